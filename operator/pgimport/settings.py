"""Settings of the operator and of the API, read once from environment variables. Every error names the variable."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pgimport.extras import explain_missing_package
from pgimport.model.policy import Policy
from pgimport.model.string_types import NetworkAddress
from pgimport.model.uploads import StoreSettings
from pgimport.model.watch_scope import split_names
from pgimport.store.upload_store import UploadStore, open_store

PREFIX = "PGIMPORT_"
_JSON_FIELDS = ("worker_images", "uploads")
_LIST_FIELDS = ("image_pull_secrets", "clerk_parties", "watch_namespaces", "denied_networks", "trusted_proxies")


SettingsT = TypeVar("SettingsT", bound=BaseModel)


class SettingsError(Exception):
    """A variable is missing or invalid; the message names it."""


class Settings(BaseModel):
    """Settings of the operator. Each field is the variable PGIMPORT_ with the field's name in capitals."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field(description="The operator's namespace, which contains the admin Secrets.")
    worker_images: dict[str, str] = Field(description="The worker image for each major version of PostgreSQL, as JSON.")
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = Field(default=(), description="Names of Secrets, separated by commas.")
    set_user: bool = Field(
        default=True, description="Whether import pods set their user. OpenShift chooses a user for each namespace."
    )
    service_account: str | None = Field(
        default=None, description="The operator's service account, for the RoleBindings that it creates."
    )
    tenant_cluster_role: str | None = Field(
        default=None, description="The ClusterRole that these RoleBindings grant to the operator."
    )
    api_service_account: str | None = Field(
        default=None, description="The API's service account, if the API is installed."
    )
    api_cluster_role: str | None = Field(
        default=None, description="The ClusterRole that the API gets in the namespaces of Projects."
    )
    release_name: str = Field(
        default="pgimport", description="The prefix of the objects that the operator creates in Projects' namespaces."
    )
    network_policy: bool = Field(
        default=False, description="Whether the operator creates a NetworkPolicy for import pods."
    )
    denied_networks: tuple[NetworkAddress, ...] = Field(
        default=(), description="More networks that import pods must not reach, separated by commas."
    )
    uploads: StoreSettings | None = Field(default=None, description="The object store for uploads, as JSON.")
    watch_namespaces: tuple[str, ...] = Field(
        default=(), description="The namespaces of the Projects that this operator serves, separated by commas."
    )
    log_level: str = "info"
    pod_ip: str = Field(default="", description="The pod's address, to which the kubelet sends its probes.")
    health_port: int = Field(default=8080, ge=1, le=65535)
    metrics_port: int = Field(default=8081, ge=1, le=65535)
    workers: int = Field(
        default=8,
        ge=1,
        le=64,
        description="The number of resources of each Project that are reconciled at the same time.",
    )
    sweep_seconds: float = Field(default=10.0, gt=0, le=10, description="The time between two sweeps.")

    @property
    def health_host(self) -> str:
        """All addresses of the family of the pod's address: kopf opens one socket, and asyncio's has one family."""
        return "[::]" if ":" in self.pod_ip else "0.0.0.0"  # noqa: S104 (the port of a pod)

    def to_policy(self) -> Policy:
        return Policy(
            operator_namespace=self.namespace,
            worker_images=dict(self.worker_images),
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=self.image_pull_secrets,
            set_user=self.set_user,
            release_name=self.release_name,
            network_policy=self.network_policy,
            denied_networks=self.denied_networks,
            uploads=self.uploads is not None,
            upload_retention=self.uploads.retention if self.uploads else timedelta(0),
        )


class ApiSettings(BaseModel):
    """Settings of the API. Each field is the variable PGIMPORT_ with the field's name in capitals."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field(description="The operator's namespace, which contains the Secret with the API keys.")
    api_secret_file: str = Field(description="A file with at least 32 random bytes, which all replicas share.")
    # Not `api_port`: a Service named pgimport-api would set PGIMPORT_API_PORT to an address.
    listen_port: int = Field(default=8090, ge=1, le=65535)
    clerk_jwks_url: str | None = Field(default=None, pattern="^https://", description="The URL of Clerk's public keys.")
    clerk_pem_file: str | None = Field(default=None, description="A file with Clerk's public key, instead of the URL.")
    clerk_parties: tuple[str, ...] = Field(
        default=(), description="Allowed values of the claim azp, separated by commas."
    )
    clerk_issuer: str | None = Field(default=None, description="The expected value of the claim iss.")
    uploads: StoreSettings | None = Field(default=None, description="The object store for uploads, as JSON.")
    trusted_proxies: tuple[NetworkAddress, ...] = Field(
        default=(),
        description="Addresses and networks of proxies whose X-Forwarded-For is trusted, separated by commas.",
    )
    page: bool = Field(default=True, description="Serves the web page.")
    log_level: str = "info"


def open_uploads(settings: Settings | ApiSettings, environment: Mapping[str, str]) -> UploadStore | None:
    """Opens the object store for uploads, or returns None if none is configured. Raises SettingsError."""
    if settings.uploads is None:
        return None
    try:
        return open_store(settings.uploads, environment, own_folder=isinstance(settings, ApiSettings))
    except KeyError as error:
        raise SettingsError(f"{error.args[0]} is missing: PGIMPORT_UPLOADS needs it") from error
    except OSError as error:
        raise SettingsError(f"PGIMPORT_UPLOADS: {error.filename}: {error.strerror}") from error
    except ModuleNotFoundError as error:
        message = explain_missing_package(error, "PGIMPORT_UPLOADS: an S3 store", "s3")
        if message is None:
            raise
        raise SettingsError(message) from error


def _parse(name: str, value: str) -> object:
    if name in _JSON_FIELDS:
        return json.loads(value)
    return split_names(value) if name in _LIST_FIELDS else value


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the settings of the operator. Raises SettingsError."""
    return _read(Settings, environment)


def read_api_settings(environment: Mapping[str, str]) -> ApiSettings:
    """Reads the settings of the API. Raises SettingsError."""
    return _read(ApiSettings, environment)


def _read(model: type[SettingsT], environment: Mapping[str, str]) -> SettingsT:
    values: dict[str, object] = {}
    for name in model.model_fields:
        variable = PREFIX + name.upper()
        if (value := environment.get(variable, "")) == "":
            continue
        try:
            values[name] = _parse(name, value)
        except ValueError as error:
            raise SettingsError(f"{variable}: not JSON: {error}") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(f"{PREFIX}{str(first['loc'][0]).upper()}: {first['msg']}") from error

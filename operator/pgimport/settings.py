"""Environment → one frozen Settings, read once, by the doors. Every error names the variable."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pgimport.extras import explain_missing_package
from pgimport.model.policy import Policy
from pgimport.model.uploads import StoreSettings
from pgimport.store.upload_store import UploadStore, open_store

PREFIX = "PGIMPORT_"
_JSON_FIELDS = ("worker_images", "uploads")
_LIST_FIELDS = ("image_pull_secrets", "clerk_parties")


Read = TypeVar("Read", bound=BaseModel)


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it."""


class Settings(BaseModel):
    """What the chart sets. Each field is the variable of its name in capitals, after PGIMPORT_."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field(description="The operator's own namespace; admin Secrets lie here.")
    worker_images: dict[str, str] = Field(description="Major of the target server → worker image, as JSON.")
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = Field(default=(), description="Names, with commas between them.")
    service_account: str | None = Field(default=None, description="Of the operator, for its own RoleBindings.")
    tenant_cluster_role: str | None = Field(default=None, description="What those RoleBindings give.")
    api_service_account: str | None = Field(default=None, description="Of the HTTP API, where there is one.")
    api_cluster_role: str | None = Field(default=None, description="What it gets in the namespaces of Projects.")
    uploads: StoreSettings | None = Field(default=None, description="The store for uploads, as JSON.")
    log_level: str = "info"
    health_port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=8, ge=1, le=64, description="Keys that are worked on at once.")
    sweep_seconds: float = Field(default=10.0, gt=0, le=10, description="Between two sweeps.")

    def to_policy(self) -> Policy:
        return Policy(
            operator_namespace=self.namespace,
            worker_images=dict(self.worker_images),
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=self.image_pull_secrets,
            uploads=self.uploads is not None,
            upload_retention=self.uploads.retention if self.uploads else timedelta(0),
        )


class ApiSettings(BaseModel):
    """Of the HTTP API: what the chart sets for its pods."""

    model_config = ConfigDict(frozen=True)

    namespace: str = Field(description="The operator's own namespace; the Secret with the API keys lies here.")
    api_secret_file: str = Field(description="A file of at least 32 random bytes, the same for all replicas.")
    # Not `api_port`: a Service named pgimport-api would set PGIMPORT_API_PORT to an address.
    listen_port: int = Field(default=8090, ge=1, le=65535)
    clerk_jwks_url: str | None = Field(default=None, pattern="^https://", description="Where Clerk's keys are.")
    clerk_pem_file: str | None = Field(default=None, description="A file with Clerk's public key instead.")
    clerk_parties: tuple[str, ...] = Field(default=(), description="Allowed azp of tokens, with commas.")
    clerk_issuer: str | None = Field(default=None, description="Expected iss of tokens.")
    uploads: StoreSettings | None = Field(default=None, description="The store for uploads, as JSON.")
    trusted_proxies: str = Field(default="", description="Addresses whose X-Forwarded-For is believed, with commas.")
    log_level: str = "info"


def open_uploads(settings: Settings | ApiSettings, environment: Mapping[str, str]) -> UploadStore | None:
    """The store for uploads, where there is one. Raises SettingsError."""
    if settings.uploads is None:
        return None
    try:
        return open_store(settings.uploads, environment, own_folder=isinstance(settings, ApiSettings))
    except KeyError as error:
        raise SettingsError(f"{error.args[0]}: it is missing, and PGIMPORT_UPLOADS needs it") from error
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
    return tuple(one.strip() for one in value.split(",") if one.strip()) if name in _LIST_FIELDS else value


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Of the operator. Raises SettingsError."""
    return _read(Settings, environment)


def read_api_settings(environment: Mapping[str, str]) -> ApiSettings:
    """Of the HTTP API. Raises SettingsError."""
    return _read(ApiSettings, environment)


def _read(model: type[Read], environment: Mapping[str, str]) -> Read:
    found: dict[str, object] = {}
    for name in model.model_fields:
        variable = PREFIX + name.upper()
        if (value := environment.get(variable, "")) == "":
            continue
        try:
            found[name] = _parse(name, value)
        except ValueError as error:
            raise SettingsError(f"{variable}: not JSON: {error}") from error
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SettingsError(f"{PREFIX}{str(first['loc'][0]).upper()}: {first['msg']}") from error

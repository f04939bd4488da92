"""Fixtures that serve the HTTP API on loopback, with an emulator of Kubernetes behind it."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.kubernetes import Kubernetes, a_body, run_kubernetes

from pgimport.api.api_context import ApiContext, build_resolver
from pgimport.api.app import build_app
from pgimport.api.main import build_context, build_server_config, raise_thread_limit
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.secrets_and_config_maps import ensure_entry
from pgimport.model.api_caller import ApiScope
from pgimport.model.api_keys import API_KEYS_SECRET, build_api_key, format_entry
from pgimport.model.names import PROJECTS
from pgimport.model.uploads import S3Settings
from pgimport.settings import ApiSettings
from pgimport.store.s3_store import S3UploadStore

PUBLIC = "93.184.215.14"
SOURCE = f"postgresql://reader:hush-hush@{PUBLIC}:5432/shop"
READS = (ApiScope.PROJECTS_READ, ApiScope.JOBS_READ)
# Name of a key in the tests → organization, project, scopes, days until it expires.
KEYS: dict[str, tuple[str, str | None, tuple[ApiScope, ...], int]] = {
    "all": ("acme", None, tuple(ApiScope), 30),
    "of-shop": ("acme", "shop", tuple(ApiScope), 30),
    "of-other-project": ("acme", "mall", tuple(ApiScope), 30),
    "foreign": ("rivals", None, tuple(ApiScope), 30),
    "reads": ("acme", None, READS, 30),
    "none": ("acme", None, (), 30),
    "expired": ("acme", None, tuple(ApiScope), -1),
}
SERVER_SETTINGS = ApiSettings(namespace="system", api_secret_file="-")
PARTY = "https://app.example.com"


@cache
def clerk_key() -> RSAPrivateKey:
    """The key that signs valid sessions. Only processes that run tests of the API generate it."""
    return generate_private_key(65537, 2048)


def a_session(signing_key: RSAPrivateKey | None = None, algorithm: str = "RS256", **changes: Any) -> str:
    """Builds a Clerk session token for a user of the organization acme, by default with a valid signature."""
    now = int(time.time())
    claims = {"sub": "user_1", "azp": PARTY, "exp": now + 60, "nbf": now - 5, "v": 2, "o": {"id": "acme"}} | changes
    return jwt.encode(claims, "" if algorithm == "none" else signing_key or clerk_key(), algorithm)


def write_keys(cluster: KubernetesClient, namespace: str = "system") -> dict[str, str]:
    """Writes the keys of KEYS to the Secret, and returns the text of each by its name in the tests."""
    texts, now = {}, datetime.now(UTC)
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": API_KEYS_SECRET, "namespace": namespace}}
    for name, (organization, project, scopes, days) in KEYS.items():
        new_key = build_api_key(
            secrets.token_bytes(38),
            organization=organization,
            project=project,
            scopes=scopes,
            name=name,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        ensure_entry(cluster, manifest, new_key.id, format_entry(new_key.entry))
        texts[name] = new_key.text
    return texts


class NoThrottle:
    """Never makes a client wait. The tests of the throttle use the real one."""

    def check(self, address: str, now: float) -> int | None:
        return None

    def fail(self, address: str, now: float) -> None:
        return None


def a_project(name: str, organization: str = "acme", namespace: str = "shop") -> dict[str, Any]:
    spec = {
        "organizationID": organization,
        "namespace": namespace,
        "storageLimitBytes": 1073741824,
        "server": {"clusterID": "main", "host": "db.internal", "adminSecretRef": {"name": "admin"}},
    }
    body = a_body(PROJECTS, name, None, spec=spec)
    return {**body, "status": {"ready": True, "targetVersion": "17.12"}}


@dataclass
class Api:
    """A running API server, and a client for it."""

    url: str
    kubernetes: Kubernetes
    context: ApiContext
    keys: dict[str, str] = field(repr=False)
    client: httpx.Client = field(repr=False)

    def call(self, method: str, path: str, key: str | None = "all", **options: Any) -> httpx.Response:
        """Sends a request with the credentials that KEYS names `key`, or with `key` itself as credentials."""
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key else {}
        return self.client.request(method, f"/v1{path}", headers=headers | options.pop("headers", {}), **options)

    def read(self, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
        """Reads an object from Kubernetes."""
        body: dict[str, Any] = self.context.cluster.get(
            f"/apis/capydb.dev/v1alpha1/namespaces/{namespace}/{kind}/{name}"
        )
        return body

    def set_status(self, kind: str, name: str, namespace: str = "shop", **status: Any) -> None:
        """Writes a status like the operator, and waits until the API's cache has it."""
        path = f"/apis/capydb.dev/v1alpha1/namespaces/{namespace}/{kind}/{name}"
        written = self.context.cluster.patch(f"{path}/status", [{"op": "add", "path": "/status", "value": status}])
        version = int(written["metadata"]["resourceVersion"])

        def is_cached() -> bool:
            cached = self.context.cache.find(kind, namespace, name)
            return cached is not None and int(cached["metadata"]["resourceVersion"]) >= version

        assert self.context.cache.wait_for(is_cached, 10)


def start_import(api: Api, project: str = "shop") -> str:
    """Starts an import, and returns the id of its job."""
    response = api.call("POST", f"/projects/{project}/imports", json={"source_url": SOURCE})
    job_id: str = response.json()["job"]["id"]
    return job_id


@contextmanager
def serve(context: ApiContext, trusted_proxies: tuple[str, ...] = ()) -> Iterator[str]:
    """Serves the API with uvicorn on a free port, and yields its URL."""
    settings = SERVER_SETTINGS.model_copy(update={"trusted_proxies": trusted_proxies})
    config = build_server_config(build_app(context, raise_thread_limit), settings)
    config.host, config.port = "127.0.0.1", 0
    with run_server(config) as server:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def run_server(config: uvicorn.Config) -> Iterator[uvicorn.Server]:
    """Runs uvicorn in a thread. Yields the server when it accepts connections."""
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with run_kubernetes() as kubernetes:
        cluster = kubernetes.connect()
        for body in (a_project("shop"), a_project("mall", namespace="mall"), a_project("den", "rivals", "den")):
            cluster.create("/apis/capydb.dev/v1alpha1/projects", body)
        keys = write_keys(cluster)
        folder = tmp_path_factory.mktemp("api")
        pem = clerk_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "clerk.pem").write_bytes(pem)
        settings = ApiSettings(
            namespace="system", api_secret_file="-", clerk_pem_file=str(folder / "clerk.pem"), clerk_parties=(PARTY,)
        )
        context = replace(
            build_context(cluster, settings, secrets.token_bytes(32)),
            throttle=NoThrottle(),
            preflight_seconds=1.0,
            max_dry_runs=1000,
            store=S3UploadStore(
                S3Settings(bucket="dumps", endpoint="http://127.0.0.1:9"),
                {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"},
            ),  # signs, and never answers
            resolver=build_resolver(lambda host, _: [PUBLIC if host.endswith(".example.com") else host]),
        )
        context.start_cache()
        assert context.cache.wait_for(lambda: context.cache.ready, 20)
        with serve(context) as url, httpx.Client(base_url=url, timeout=20) as client:
            yield Api(url, kubernetes, context, keys, client)
        context.cache.stop()

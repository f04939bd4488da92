"""The HTTP API over an emulator of Kubernetes: a real server on loopback, called as its users call it."""

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest
import uvicorn
from tests.support.kubernetes import Kubernetes, a_body, run_kubernetes

from pgimport.api.app import build_app
from pgimport.api.context import Context, NotKnown
from pgimport.api.main import serve_threads
from pgimport.cluster.cache import Cache
from pgimport.model.caller import Caller, Scope
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS

PUBLIC = "93.184.215.14"
SOURCE = f"postgresql://reader:hush-hush@{PUBLIC}:5432/shop"
KEYS = {
    "all": Caller(name="ci", organization="acme"),
    "of-shop": Caller(name="shop", organization="acme", project="shop"),
    "of-other-project": Caller(name="other", organization="acme", project="mall"),
    "foreign": Caller(name="spy", organization="rivals"),
    "reads": Caller(name="viewer", organization="acme", scopes=frozenset({Scope.PROJECTS_READ, Scope.JOBS_READ})),
    "none": Caller(name="nobody", organization="acme", scopes=frozenset()),
}


def authenticate(text: str, now: datetime) -> Caller:
    """Keys of the tests: their names."""
    if text not in KEYS:
        raise NotKnown("the API key is not known, or has expired")
    return KEYS[text]


class NoThrottle:
    """Lets everything through: its own tests try the real one."""

    def check(self, address: str, now: float) -> int | None:
        return None

    def fail(self, address: str, now: float) -> None:
        return None


def a_project(name: str, organization: str = "acme", namespace: str = "shop") -> dict[str, Any]:
    spec = {
        "organizationID": organization, "namespace": namespace, "storageLimitBytes": 1073741824,
        "server": {"clusterID": "main", "host": "db.internal", "adminSecretRef": {"name": "admin"}},
    }  # fmt: skip
    body = a_body(PROJECTS, name, None, spec=spec)
    return {**body, "status": {"ready": True, "targetVersion": "17.12"}}


@dataclass
class Api:
    """One running server."""

    url: str
    kubernetes: Kubernetes
    context: Context
    client: httpx.Client = field(repr=False)

    def call(self, method: str, path: str, key: str | None = "all", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.request(method, f"/v1{path}", headers=headers | options.pop("headers", {}), **options)

    def read(self, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
        """As Kubernetes has it."""
        found: dict[str, Any] = self.context.cluster.get(
            f"/apis/capydb.dev/v1alpha1/namespaces/{namespace}/{kind}/{name}"
        )
        return found

    def set_status(self, kind: str, name: str, namespace: str = "shop", **status: Any) -> None:
        """As the operator would, seen by the API before it returns."""
        path = f"/apis/capydb.dev/v1alpha1/namespaces/{namespace}/{kind}/{name}"
        made = self.context.cluster.patch(f"{path}/status", [{"op": "add", "path": "/status", "value": status}])
        version = int(made["metadata"]["resourceVersion"])

        def seen() -> bool:
            found = self.context.cache.find(kind, namespace, name)
            return found is not None and int(found["metadata"]["resourceVersion"]) >= version

        assert self.context.cache.wait_for(seen, 10)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with run_kubernetes() as kubernetes:
        cluster = kubernetes.connect()
        for body in (a_project("shop"), a_project("mall", namespace="mall"), a_project("den", "rivals", "den")):
            cluster.create("/apis/capydb.dev/v1alpha1/projects", body)
        context = Context(
            cluster=cluster, cache=Cache(cluster, (PROJECTS, PREVIEWS, IMPORTS)), authenticate=authenticate,
            throttle=NoThrottle(), secret=secrets.token_bytes(32),
            resolve=lambda host, _: [PUBLIC if host.endswith(".example.com") else host], preflight_seconds=2.0,
        )  # fmt: skip
        context.cache.start()
        server = uvicorn.Server(
            uvicorn.Config(build_app(context, serve_threads), port=0, log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not (server.started and context.cache.ready):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=20) as client:
            yield Api(url, kubernetes, context, client)
        context.cache.stop()
        server.should_exit = True
        thread.join(20)

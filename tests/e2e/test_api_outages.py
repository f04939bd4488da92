"""Tests that the HTTP API loses nothing and answers correctly when Kubernetes is unreachable or the API is stopped."""

import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from kubernetes import config
from tests.e2e.api_calls import make_key
from tests.e2e.api_process import ApiProcess, is_ready, run_api, wait_until_ready
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import IMPORTS, PREVIEWS, Tenant, is_over
from tests.support import kubectl
from tests.support.recording_proxy import run_recording_proxy

from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.json_cache import JsonCache

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class ProxiedServer:
    """The API server's address, and a kubeconfig that names a loopback port for it."""

    host: str
    port: int
    proxy_port: int
    kubeconfig: Path


@pytest.fixture
def api_server(tenant: Tenant, tmp_path: Path) -> ProxiedServer:
    kubeconfig = yaml.safe_load(Path(kubectl.environment()["KUBECONFIG"]).read_text())
    server = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    with run_recording_proxy("127.0.0.1", server.hostname or "", server.port or 443) as proxy:
        proxy_port = proxy.port
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy_port}"
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(kubeconfig))
    return ProxiedServer(server.hostname or "", server.port or 443, proxy_port, path)


@pytest.fixture(scope="module")
def key(tenant: Tenant) -> str:
    return make_key("--organization", "e2e", "--name", "away")


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def wait_for(program: ApiProcess, ready: bool, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_ready(program) is not ready:
        assert time.monotonic() < deadline, program.log.read_text()
        time.sleep(0.2)


def _answers(url: str, headers: dict[str, str], code: int) -> bool | None:
    return httpx.get(url, headers=headers).status_code == code or None


def test_kubernetes_goes_and_comes_back(
    api_server: ProxiedServer, headers: dict[str, str], tenant: Tenant, tmp_path: Path
) -> None:
    """The API knows afterwards which objects were created and deleted in between."""
    name = "away-" + secrets.token_hex(4)
    tenant.make_previews(f"{name}-before")
    with ExitStack() as stack:
        with run_recording_proxy("127.0.0.1", api_server.host, api_server.port, at=api_server.proxy_port):
            program = stack.enter_context(run_api(tmp_path, api_server.kubeconfig))
        # The end of the block closed the proxy and all its connections.
        wait_for(program, False, 30)
        for method, path, body in (
            ("GET", f"/v1/projects/{tenant.name}/jobs", None),
            ("GET", f"/v1/preview-databases/{tenant.name}.{name}-before", None),
            ("POST", f"/v1/projects/{tenant.name}/preview-databases", {}),
        ):
            answer = httpx.request(method, program.url + path, headers=headers, json=body, timeout=60)
            assert (answer.status_code, set(answer.json())) == (503, {"error"}), path
            assert int(answer.headers["retry-after"]) >= 1
        assert httpx.get(f"{program.url}/healthz").status_code == 200
        tenant.make_previews(f"{name}-during")
        kubectl.delete(PREVIEWS, f"{name}-before", namespace=tenant.name)
        with run_recording_proxy("127.0.0.1", api_server.host, api_server.port, at=api_server.proxy_port):
            wait_until_ready(program)
            # A watch that continues where it was brings them in this order, one by one.
            for preview, code, what in (("during", 200, "what was made"), ("before", 404, "what was deleted")):
                url = f"{program.url}/v1/preview-databases/{tenant.name}.{name}-{preview}"
                kubectl.wait_until(partial(_answers, url, headers, code), f"{what} is known", 20)


def test_a_version_that_is_too_old_is_listed_anew(tenant: Tenant) -> None:
    """The real API server answers 410, because it no longer has the changes since the first version."""
    cluster = KubernetesClient(config.new_client_from_config(kubectl.environment()["KUBECONFIG"]))
    lists: list[str] = []

    class Forgetful(JsonCache):
        def _list(self, kind: str) -> str:
            lists.append(super()._list(kind))
            return "1" if len(lists) == 1 else lists[-1]

    kind = PREVIEWS.partition(".")[0]
    cache = Forgetful(cluster, (kind,))
    cache.start()
    try:
        assert cache.wait_for(lambda: len(lists) >= 2, 30)
        name = "old-" + secrets.token_hex(4)
        tenant.make_previews(name)
        assert cache.wait_for(lambda: cache.find(kind, tenant.name, name) is not None, 20)
        assert len(lists) == 2
    finally:
        cache.stop()


def test_a_stop_ends_what_has_begun(headers: dict[str, str], tenant: Tenant, source: Source, tmp_path: Path) -> None:
    url = f"/v1/projects/{tenant.name}/imports/preflight"
    with (
        run_api(tmp_path, kubectl.environment()["KUBECONFIG"]) as program,
        ThreadPoolExecutor(1) as pool,
        httpx.Client(base_url=program.url, headers=headers, timeout=60) as client,
    ):
        response = pool.submit(client.post, url, json={"source_url": source.url("shop")})
        kubectl.wait_until(partial(_find_preflight, tenant), "the preflight has begun", 20)
        program.process.send_signal(signal.SIGTERM)
        answer = response.result()
        assert (answer.status_code, answer.json()["preflight"]["ok"]) == (200, True)
        assert program.process.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{program.url}/healthz")


def _find_preflight(tenant: Tenant) -> str | None:
    """Returns the name of a preflight that has not ended, or None."""
    imports = kubectl.list_objects(IMPORTS, tenant.name)
    names = (body["metadata"]["name"] for body in imports if not is_over(body))
    return next((name for name in names if name.startswith("preflight-")), None)


def test_what_was_accepted_before_a_stop_is_there(
    headers: dict[str, str], tenant: Tenant, source: Source, tmp_path: Path
) -> None:
    """Each accepted import exists, with its Secret, whose URL the operator needs."""
    body = {"source_url": source.url("small"), "dry_run": True}
    accepted: list[str] = []
    with (
        run_api(tmp_path, kubectl.environment()["KUBECONFIG"]) as program,
        httpx.Client(base_url=program.url, headers=headers, timeout=60) as client,
        ThreadPoolExecutor(8) as pool,
    ):

        def call(_: int) -> None:
            try:
                answer = client.post(f"/v1/projects/{tenant.name}/imports", json=body)
            except httpx.TransportError:
                return  # the request was not accepted
            if answer.status_code == 429:
                return  # the Project has as many dry runs as it may have; how many were accepted before the stop varies
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["job"]["id"].removeprefix(f"{tenant.name}."))
            if len(accepted) == 10:
                program.process.send_signal(signal.SIGTERM)

        list(pool.map(call, range(60)))
        assert program.process.wait(60) == 0
    assert 10 <= len(accepted) < 60
    for name in accepted:
        assert kubectl.get(IMPORTS, name, tenant.name)["spec"]["dryRun"] is True
        assert kubectl.get("secret", f"{name}-source", tenant.name)["immutable"] is True
    kubectl.delete(IMPORTS, *accepted, namespace=tenant.name)

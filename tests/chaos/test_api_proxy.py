import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.chaos.api_proxy import ApiProxy, name_request, run_api_proxy
from tests.chaos.watch_faults import WatchFault
from tests.chaos.write_counter import Side, WriteCounter, WritePoint
from tests.support import kubectl

JOBS = "/apis/batch/v1/namespaces/shop/jobs"
EVENT = b'{"type":"ADDED","object":{}}\n'


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/namespaces/shop/secrets", "POST secrets"),
        ("/api/v1/namespaces/shop/secrets/source-1", "POST secrets"),
        ("/apis/capydb.dev/v1alpha1/namespaces/shop/postgresimports/orders/status", "POST postgresimports/status"),
        ("/apis/capydb.dev/v1alpha1/projects/shop", "POST projects"),
        ("/api/v1/namespaces/shop", "POST namespaces"),
    ],
)
def test_requests_are_named_without_object_names(path: str, name: str) -> None:
    assert name_request("POST", path) == name


class _ApiServer(ThreadingHTTPServer):
    """Answers like an API server and remembers the writes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.written: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _ApiServer

    def do_GET(self) -> None:
        body = EVENT if "watch=1" in self.path else json.dumps({"writes": len(self.server.written)}).encode()
        self._answer(200, body)

    def do_POST(self) -> None:
        manifest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.written.append(manifest["metadata"]["name"])
        self._answer(201, json.dumps(manifest).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        """Write no log."""


@contextmanager
def _run_api_server() -> Iterator[_ApiServer]:
    with _ApiServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def api_server() -> Iterator[_ApiServer]:
    with _run_api_server() as server:
        yield server


@pytest.fixture
def counter() -> WriteCounter:
    return WriteCounter()


@pytest.fixture
def proxy(
    api_server: _ApiServer, counter: WriteCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ApiProxy]:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{api_server.server_port}"}}],
                "users": [{"name": "test", "user": {}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )
    )
    monkeypatch.setattr(kubectl, "environment", lambda: {"KUBECONFIG": str(kubeconfig)})
    with run_api_proxy(counter, tmp_path) as (running, operator_kubeconfig):
        content = json.loads(operator_kubeconfig.read_text())
        assert content["clusters"][0]["cluster"]["server"] == f"http://127.0.0.1:{running.port}"
        yield running


def _create(proxy: ApiProxy, name: str) -> int:
    return httpx.post(f"http://127.0.0.1:{proxy.port}{JOBS}", json={"metadata": {"name": name}}).status_code


def _get(proxy: ApiProxy, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{proxy.port}{path}")


def test_writes_are_forwarded_and_counted(proxy: ApiProxy, api_server: _ApiServer, counter: WriteCounter) -> None:
    counter.begin()
    assert _create(proxy, "first") == 201
    assert _get(proxy, JOBS).json() == {"writes": 1}
    assert (counter.end(), api_server.written) == (["POST jobs"], ["first"])


@pytest.mark.parametrize(("side", "written"), [(Side.BEFORE, []), (Side.AFTER, ["first"])])
def test_the_connection_is_cut_at_a_write(
    proxy: ApiProxy, api_server: _ApiServer, counter: WriteCounter, side: Side, written: list[str]
) -> None:
    counter.begin(WritePoint(1, side))
    with pytest.raises(httpx.TransportError):
        _create(proxy, "first")
    assert (counter.struck_write, api_server.written) == ("POST jobs", written)
    assert _create(proxy, "second") == 201


def test_a_stale_view_shows_the_cluster_before_a_write(proxy: ApiProxy, counter: WriteCounter) -> None:
    counter.begin()
    assert _get(proxy, JOBS).json() == {"writes": 0}
    _create(proxy, "first")
    assert _get(proxy, JOBS).json() == {"writes": 1}
    proxy.answer_history.go_back(1)
    assert _get(proxy, JOBS).json() == {"writes": 0}
    assert _get(proxy, f"{JOBS}/first").status_code == 404
    proxy.answer_history.return_to_present()
    assert _get(proxy, JOBS).json() == {"writes": 1}


@pytest.mark.parametrize(("watch_fault", "body"), [(WatchFault.NONE, EVENT), (WatchFault.DOUBLED, 2 * EVENT)])
def test_watches_are_disturbed(proxy: ApiProxy, watch_fault: WatchFault, body: bytes) -> None:
    proxy.watch_fault = watch_fault
    assert _get(proxy, f"{JOBS}?watch=1").content == body

"""The server of the metrics: every pod of the cluster may connect to it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from pgimport.metrics import metrics_server
from pgimport.metrics.exposition import Exposition
from pgimport.metrics.metrics_server import CONNECTIONS, PortTaken, serve_metrics


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def served() -> Iterator[int]:
    registry, port = CollectorRegistry(), free_port()
    Counter("imports", "Number of imports.", registry=registry).inc()
    with serve_metrics(port, Exposition(registry)):
        yield port


def test_it_serves_metrics_and_nothing_else() -> None:
    with served() as port:
        response = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=")
        assert "imports_total 1.0" in response.text
        assert "_created" not in response.text, "it doubles the number of series"
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 404
        assert httpx.post(f"http://127.0.0.1:{port}/metrics").status_code == 501


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_it_listens_on_both_ip_families(address: str) -> None:
    """On an IPv4 address alone, Prometheus could not read the metrics of a pod that has only an IPv6 address."""
    if "::" in address and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with served() as port:
        assert httpx.get(f"http://{address}:{port}/metrics").status_code == 200


def test_a_port_that_is_taken_is_named() -> None:
    with (
        served() as port,
        pytest.raises(PortTaken, match=str(port)),
        serve_metrics(port, Exposition(CollectorRegistry())),
    ):
        pass


@pytest.mark.isolation
def test_more_connections_than_allowed_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "CONNECTION_SECONDS", 1000.0)
    with served() as port, ExitStack() as stack:
        for _ in range(CONNECTIONS):  # that send nothing
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as excess:
            assert excess.recv(1) == b""


@pytest.mark.isolation
def test_a_connection_that_sends_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "CONNECTION_SECONDS", 0.1)
    with served() as port, socket.create_connection(("127.0.0.1", port), timeout=30) as idle:
        assert idle.recv(1) == b""

"""The limits of requests that run at the same time, and of what slow and malformed requests may hold."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from tests.api.conftest import SERVER_SETTINGS, SOURCE, Api, serve

from pgimport.api import http_protocol, middleware
from pgimport.api.error_responses import ApiError
from pgimport.api.main import build_server_config
from pgimport.api.middleware import MAX_LOG_LINE, OTHER_METHOD, format_log_line
from pgimport.api.request_limits import HostResolver, RequestLimit


def send(url: str, *parts: bytes) -> tuple[bytes, dict[str, str]]:
    """Sends bytes over a new connection, and returns the status line and the JSON body of the response."""
    address = url.removeprefix("http://").split(":")
    with closing(socket.create_connection((address[0], int(address[1])), 10)) as connection:
        for part in parts:
            connection.sendall(part)
        response = b""
        while piece := connection.recv(4096):
            response += piece
    head, _, body = response.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)


def test_one_key_cannot_take_all_places() -> None:
    limit = RequestLimit("preflights", total=3, each=2)
    for key in ("acme", "acme"):
        limit.begin(key)
    with pytest.raises(ApiError, match="2 preflights of yours") as too_many:
        limit.begin("acme")
    assert (too_many.value.status, too_many.value.retry_after) == (429, 5)
    with limit.counted("rivals"), pytest.raises(ApiError) as full:
        limit.begin("third")
    assert full.value.status == 503
    limit.end("acme")
    limit.begin("acme")


@pytest.fixture
def dead_name_server() -> Iterator[threading.Event]:
    """An event for which the lookups of a test wait."""
    event = threading.Event()
    yield event
    event.set()


def test_a_name_server_that_does_not_answer_delays_one_caller_only(dead_name_server: threading.Event) -> None:
    def resolve(host: str, _: int) -> list[str]:
        if host == "slow":
            dead_name_server.wait(20)
        return ["192.0.2.1"]

    resolver = HostResolver(resolve, seconds=0.05, threads=3, each=2)
    for _ in range(2):
        with pytest.raises(OSError, match="no answer within"):
            resolver.for_key("acme")("slow", 1)
    with pytest.raises(ApiError) as too_many:
        resolver.for_key("acme")("fast", 1)
    assert too_many.value.status == 429
    assert resolver.for_key("rivals")("fast", 1) == ["192.0.2.1"]


def test_the_dry_runs_of_a_project_are_limited(api: Api) -> None:
    with serve(replace(api.context, max_dry_runs=0)) as url:
        headers = {"X-API-Key": api.keys["all"]}
        for path, body in (
            ("imports", {"source_url": SOURCE, "dry_run": True}),
            ("imports/preflight", {"source_url": SOURCE}),
        ):
            response = httpx.post(f"{url}/v1/projects/shop/{path}", headers=headers, json=body)
            assert (response.status_code, response.headers["retry-after"]) == (429, "5")
        response = httpx.post(f"{url}/v1/projects/shop/imports", headers=headers, json={"source_url": SOURCE})
        assert response.status_code == 202


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n", b"G"], ids=["nothing", "a line", "a byte"])
def test_headers_that_do_not_arrive_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    monkeypatch.setattr(http_protocol.ApiProtocol, "header_seconds", 0.3)
    status, body = send(api.url, first)
    assert status == b"HTTP/1.1 408 Request Timeout"
    assert "headers did not arrive within 0.3 seconds" in body["error"]


def test_connections_that_send_nothing_close_before_others(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol.ApiProtocol, "max_connections", 3)
    with serve(api.context) as url, ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")

        def connect(request: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection((host, int(port)), 10))
            connection.sendall(request)
            return connection

        silent = [connect(b"GET") for _ in range(3)]
        kept = connect(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        response = b""
        while not response.endswith(b"ok\n"):
            response += kept.recv(4096)
        assert response.startswith(b"HTTP/1.1 200")
        for oldest in silent:
            assert oldest.recv(4096).startswith(b"HTTP/1.1 503")
            connect(b"GET")
        assert kept.recv(4096) == b"", "it has waited longest now, and expects no response"


def test_an_idle_connection_outlives_those_of_proxies() -> None:
    """A proxy that uses a connection at the moment at which the API closes it answers 502."""
    assert build_server_config(FastAPI(), SERVER_SETTINGS).timeout_keep_alive > 600


def test_headers_of_a_second_request_that_drip_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol.ApiProtocol, "header_seconds", 0.5)
    host, port = api.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), 10)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        response, started = b"", time.monotonic()
        while not response.endswith(b"\r\n\r\nok\n"):
            response += connection.recv(4096)
        assert b"200 OK" in response
        response = b""
        for byte in b"GET / HTTP/1.1\r\nHost: a-name-that-drips":
            connection.sendall(bytes([byte]))
            connection.settimeout(0.1)
            with suppress(TimeoutError):
                response = connection.recv(4096)
            if response:
                break
    assert b"HTTP/1.1 408" in response
    assert time.monotonic() - started < 5


def test_a_body_that_drips_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.3)
    head = b"POST /v1/projects/shop/imports HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: 500\r\nX-API-Key: " + api.keys["all"].encode() + b"\r\n"
    status, body = send(api.url, head + b"\r\n{")
    assert (status, set(body)) == (b"HTTP/1.1 408 Request Timeout", {"error"})


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"no request at all\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000,
    ],
    ids=["both lengths", "both lengths, POST", "not HTTP", "no Host", "negative length", "large headers"],
)
def test_malformed_requests_get_a_json_error_and_the_connection_ends(api: Api, request_bytes: bytes) -> None:
    status, body = send(api.url, request_bytes)
    assert (status.split()[1] in (b"400", b"431"), set(body)) == (True, {"error"})


def test_invented_methods_share_one_metric_label(api: Api) -> None:
    for number in range(5):
        assert api.client.request(f"INVENTED{number}", "/v1/projects").status_code in (404, 405)
    text = api.client.get("/metrics").text
    assert "INVENTED" not in text
    assert f'method="{OTHER_METHOD}"' in text


@pytest.mark.parametrize("path", ["/" + "a" * 16_000, "/" + "\x1b\u202e\x9b" * 4000, "/\U0001f600" * 3000])
def test_a_log_line_is_short_and_ascii(path: str) -> None:
    line = format_log_line({"method": "GET", "path": path, "status": 404})
    assert len(line) <= MAX_LOG_LINE
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == path[: len(json.loads(line)["path"])]
    assert len(line) > MAX_LOG_LINE - 30

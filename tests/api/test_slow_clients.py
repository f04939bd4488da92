"""Clients that do not read their responses hold neither a connection nor a report for long."""

import asyncio
import os
import socket
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message
from tests.api.conftest import Api, serve, start_import
from tests.api.stored_reports import store_report
from tests.support.samples import a_result

from pgimport.api.app import build_app
from pgimport.api.error_responses import ApiError
from pgimport.api.http_protocol import ApiProtocol
from pgimport.api.request_limits import RequestLimit
from pgimport.model.import_report import build_report_lines
from pgimport.model.uploads import EmbeddedSettings, build_object_key
from pgimport.store.embedded_store import open_local_store

MORE_THAN_BUFFERS = 24_000_000  # bytes that no kernel buffers for one connection


def connect(url: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    host, port = url.removeprefix("http://").split(":")
    connection.connect((host, int(port)))
    return connection


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def read_to_end(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def read_body(connection: socket.socket) -> bytes:
    """Reads one response with Content-Length."""
    with connection.makefile("rb") as stream:
        length = 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return stream.read(length)


@pytest.fixture
def aborted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that the API sets when it ends a connection because of a slow client."""
    event, abort = threading.Event(), ApiProtocol._abort

    def record(protocol: ApiProtocol) -> None:
        abort(protocol)
        event.set()

    monkeypatch.setattr(ApiProtocol, "_abort", record)
    monkeypatch.setattr(ApiProtocol, "response_seconds", 0.2)
    return event


def test_only_a_download_may_wait_for_its_client(api: Api, aborted: threading.Event, tmp_path: Path) -> None:
    settings = {"endpoint": "http://127.0.0.1:9", "folder": str(tmp_path), "capacity": "100M"}
    uploads = open_local_store(EmbeddedSettings.model_validate(settings), b"s" * 48)
    content, key = os.urandom(MORE_THAN_BUFFERS), build_object_key("shop", b"a" * 16)
    (tmp_path / "files" / key.removeprefix("uploads/").replace("/", ".")).write_bytes(content)
    target = uploads.sign_get(key, timedelta(minutes=5)).removeprefix("http://127.0.0.1:9")
    size = len(api.client.get("/v1/openapi.json").content)
    with (
        serve(replace(api.context, store=uploads)) as url,
        closing(connect(url)) as download,
        closing(connect(url)) as silent,
    ):
        download.sendall(get(target))
        silent.sendall(get("/v1/openapi.json") * (MORE_THAN_BUFFERS // size))
        assert aborted.wait(20)
        assert len(read_to_end(silent)) < MORE_THAN_BUFFERS
        assert read_body(download) == content


def test_a_quick_client_may_send_many_requests_on_one_connection(api: Api, aborted: threading.Event) -> None:
    with closing(connect(api.url)) as connection:
        for _ in range(20):
            connection.sendall(get("/v1/openapi.json"))
            assert read_body(connection).startswith(b"{")
    assert not aborted.is_set()


def test_a_report_counts_until_it_was_read(api: Api) -> None:
    job, limit = start_import(api), RequestLimit("reports", total=1, each=1)
    store_report(api, job, ["\n".join(build_report_lines(a_result()))])
    app = build_app(replace(api.context, report_limit=limit))
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": f"/v1/jobs/{job}/report", "query_string": b""}
    scope |= {"headers": [(b"x-api-key", api.keys["all"].encode())], "client": None, "server": None}

    async def run() -> None:
        sent, is_read = asyncio.Event(), asyncio.Event()

        async def receive() -> Message:
            await is_read.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                sent.set()
                await is_read.wait()

        response = asyncio.create_task(app(scope, receive, send))
        await sent.wait()
        with pytest.raises(ApiError, match="reports of yours"):
            limit.begin("acme")
        is_read.set()
        await response
        limit.begin("acme")

    asyncio.run(run())

"""A connection of asyncpg that cannot be used is closed, and one that the server has ended is lost."""

import asyncio
import socket
import struct
import time
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import CHUNK, TcpProxy, listen, read_exactly
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.model.reasons import Reason
from pgimport.worker.postgres import asyncpg_connect
from pgimport.worker.postgres.asyncpg_connect import build_loop_factory, connect_asyncpg, noticing_loss
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import open_source_connection

ALERT_BYTES = 19  # of an alert of TLS 1.3, such as close_notify: two, the real type of the record, and a tag of 16
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'unusable'"


def test_a_connection_whose_settings_are_refused_is_closed(
    postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its socket stays open until Python collects it."""
    endpoint = replace(build_superuser_endpoint(postgres16, "postgres"), application_name="unusable")
    monkeypatch.setattr(asyncpg_connect, "build_session_statement", lambda *_: "SELECT 1 / 0")

    async def connect() -> None:
        with pytest.raises(asyncpg.DivisionByZeroError) as failure:
            await connect_asyncpg(endpoint)
        # The exception keeps the connection's frame alive, so nothing is collected meanwhile.
        deadline = time.monotonic() + 10
        while postgres16.query(SESSIONS) != [(0,)]:
            assert time.monotonic() < deadline, failure.value
            await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=build_loop_factory(endpoint)) as runner:
        runner.run(connect())


def test_a_refused_login_over_tls_is_closed_before_the_server_closes_it(tls_server: PostgresServer) -> None:
    """Before, the socket stayed open until Python collected it: the end of TLS waits for the server's answer."""
    ended = Event()

    def serve(client: socket.socket, _: TcpProxy) -> None:
        """Passes on what both say, but not the server's end of TLS or of the connection."""
        with socket.create_connection((tls_server.host, tls_server.port)) as upstream:

            def pump_back() -> None:
                with suppress(OSError):
                    client.sendall(read_exactly(upstream, 1))  # the answer to SSLRequest
                    while True:
                        header = read_exactly(upstream, 5)
                        record = read_exactly(upstream, int.from_bytes(header[3:]))
                        if len(record) > ALERT_BYTES:
                            client.sendall(header + record)

            Thread(target=pump_back, daemon=True).start()
            with suppress(OSError):  # a reset is an end too
                while data := client.recv(CHUNK):
                    with suppress(OSError):
                        upstream.sendall(data)
            ended.set()

    with listen(serve) as proxy:
        endpoint = replace(build_superuser_endpoint(tls_server, "postgres"), port=proxy.port)
        endpoint = replace(endpoint, password="wrong", sslmode="require")
        with (
            pytest.raises(asyncpg.InvalidPasswordError) as failure,
            asyncio.Runner(loop_factory=build_loop_factory(endpoint)) as runner,
        ):
            runner.run(connect_asyncpg(endpoint))
        assert ended.wait(10), failure.value


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_session_that_the_server_has_ended_is_lost(is_closed: bool) -> None:
    """Before, the worker ended with InternalClientError or AttributeError, and its traceback."""
    connection: Any = SimpleNamespace(is_closed=lambda: is_closed)
    words = "cannot switch to state 15; another operation (2) is in progress"
    error = AttributeError("'NoneType' object has no attribute 'send'")
    with pytest.raises(ConnectionResetError), noticing_loss(connection):
        # What asyncpg raises for a statement after the server's FATAL message, before the end of the connection.
        raise error if is_closed else asyncpg.InternalClientError(words)
    with pytest.raises(type(error) if not is_closed else ConnectionResetError), noticing_loss(connection):
        raise error


AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)
READY = b"Z" + struct.pack("!i", 5) + b"I"


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        pytest.param(b"R" + struct.pack("!ii", 8, 7), Reason.SOURCE_AUTH_FAILED, "GSSAPI", id="GSSAPI"),
        pytest.param(b"R" + struct.pack("!i", 4), Reason.SOURCE_AUTH_FAILED, "", id="no method"),
        pytest.param(
            AUTHENTICATED + READY,
            Reason.SOURCE_UNREACHABLE,
            "server closed",
            id="no version",
            # Of asyncpg's Connection, which was not constructed to its end.
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
    ],
)
def test_a_login_that_asyncpg_does_not_understand_has_a_reason(
    postgres16: PostgresServer, answer: bytes, reason: Reason, words: str
) -> None:
    """Before, the worker ended with InternalClientError: gssapi module not found; please install asyncpg[gssauth]."""

    def serve(client: socket.socket, _: TcpProxy) -> None:
        client.recv(CHUNK)
        client.sendall(answer)
        client.recv(CHUNK)

    with listen(serve) as proxy, pytest.raises(ImportStopped) as stopped:
        open_source_connection(build_superuser_endpoint(replace(postgres16, port=proxy.port), "postgres"))
    assert stopped.value.failure.reason is reason
    assert words in stopped.value.failure.message
    assert "asyncpg" not in stopped.value.failure.message

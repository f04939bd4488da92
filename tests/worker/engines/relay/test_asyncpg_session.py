"""Tests that a stream ends when it is stopped, also between two of its statements, and when it loses its target."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.support.https import make_certificates
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import CHUNK, SSL_REQUEST, TcpProxy, listen, pass_on, read_exactly
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.engines.relay import asyncpg_session
from pgimport.worker.engines.relay.asyncpg_session import AsyncpgSession
from pgimport.worker.engines.relay.relay_plan import Driver, RowsStep, TableCopy
from pgimport.worker.engines.relay.row_buffer import RowBuffer
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.scope.snapshot import Table


def test_a_stream_that_is_stopped_after_the_begin_of_its_step_ends(
    postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the stream waited for ever: its tasks began after those that the stop cancelled."""
    table = Table(1, "public", "items", partitioned=False, bytes=0, counted_as=None, readable=True)
    step = RowsStep((TableCopy(table, ("id",)),), Driver.ASYNCPG)
    execute_at_target = asyncpg_session._execute_at_target
    messages: list[str] = []
    with postgres16.database("stopped") as dbname, postgres16.connect(dbname) as holder:
        holder.execute("CREATE TABLE items AS SELECT generate_series(1, 10) AS id")
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        endpoint = build_superuser_endpoint(postgres16, dbname)
        session = AsyncpgSession(endpoint, endpoint, snapshot)

        async def execute_and_stop(*arguments: Any) -> None:
            await execute_at_target(*arguments)
            session._stop()  # as `abort` calls it in the session's loop

        def copy() -> None:
            session.open()
            try:
                session.copy_step(step, lambda _oid, _count: None)
            except StepFailed as error:
                messages.append(error.failure.message)
            finally:
                session.close()

        monkeypatch.setattr(asyncpg_session, "_execute_at_target", execute_and_stop)
        thread = Thread(target=copy, daemon=True)
        thread.start()
        thread.join(30)
    assert len(messages) == 1
    assert "the stream was stopped" in messages[0]


def copy_in_vain(session: AsyncpgSession, step: RowsStep) -> StepFailed:
    """Opens the session, copies the step and returns its error. Fails if the step does not end."""
    errors: list[StepFailed] = []
    ended = Event()

    def copy() -> None:
        session.open()
        try:
            session.copy_step(step, lambda _oid, _count: None)
        except StepFailed as error:
            errors.append(error)
        finally:
            ended.set()
            session.close()

    thread = Thread(target=copy, daemon=True)
    thread.start()
    assert ended.wait(20)
    thread.join()
    (error,) = errors
    return error


def end_and_read_on(client: socket.socket) -> None:
    """Ends the connection towards the client, whose last bytes are still read."""
    client.shutdown(socket.SHUT_WR)
    while client.recv(CHUNK):
        continue


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextmanager
def run_losing_proxy(server: PostgresServer, after: int, lose: Callable[[socket.socket], None]) -> Iterator[TcpProxy]:
    """Stops reading after so many bytes from the client until its buffers are full, and then loses the connection."""

    def serve(client: socket.socket, line: TcpProxy) -> None:
        received = 0

        def count(data: bytes, is_client: bool) -> None:
            nonlocal received
            received += len(data) if is_client else 0
            if is_client and received > after:
                time.sleep(1)
                lose(client)
                raise ConnectionResetError

        pass_on(client, (server.host, server.port), count)

    with listen(serve) as line:
        yield line


@pytest.mark.parametrize("lose", [end_and_read_on, reset])
def test_a_target_that_is_lost_while_rows_wait_to_be_sent_ends_the_step(
    postgres16: PostgresServer, lose: Callable[[socket.socket], None]
) -> None:
    """Before, asyncpg waited for ever to send to a reset connection, or wrote to one without a socket."""
    table = Table(1, "public", "items", partitioned=False, bytes=0, counted_as=None, readable=True)
    step = RowsStep((TableCopy(table, ("id", "note")),), Driver.ASYNCPG)
    with (
        postgres16.database("lost_source") as source_dbname,
        postgres16.database("lost_shadow") as shadow_dbname,
        postgres16.connect(source_dbname) as holder,
        run_losing_proxy(postgres16, 1 << 20, lose) as proxy,
    ):
        holder.execute(
            "CREATE TABLE items AS SELECT i AS id, repeat('x', 1000) AS note FROM generate_series(1, 60000) i"
        )
        postgres16.execute("CREATE TABLE items (id int, note text)", shadow_dbname)
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        source = build_superuser_endpoint(postgres16, source_dbname)
        shadow = build_superuser_endpoint(replace(postgres16, port=proxy.port), shadow_dbname)
        error = copy_in_vain(AsyncpgSession(source, shadow, snapshot), step)
    assert error.connection_lost
    assert "the target failed while the rows of public.items were copied" in error.failure.message


@contextmanager
def run_resetting_tls_proxy(server: PostgresServer, certificates: Path, after: int, when: Event) -> Iterator[TcpProxy]:
    """Adds TLS to a server. Resets each connection after so many bytes from the server, as soon as `when` is set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")

    def serve(client: socket.socket, line: TcpProxy) -> None:
        assert read_exactly(client, 8)[4:] == SSL_REQUEST
        client.sendall(b"S")
        sent = 0
        with context.wrap_socket(client, server_side=True) as tls_client:

            def count(data: bytes, is_client: bool) -> None:
                nonlocal sent
                sent += 0 if is_client else len(data)
                if sent > after:
                    when.wait(20)
                    socket.socket.shutdown(tls_client, socket.SHUT_RD)  # ends the other thread's recv
                    reset(tls_client)
                    raise ConnectionResetError

            pass_on(tls_client, (server.host, server.port), count)

    with listen(serve) as line:
        yield line


def test_a_source_that_is_lost_while_no_rows_can_be_written_ends_the_step(
    postgres16: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS, asyncpg reads on while the buffer is full. Before, it then waited for ever for more rows."""
    make_certificates(tmp_path, "localhost")
    table = Table(1, "public", "items", partitioned=False, bytes=0, counted_as=None, readable=True)
    step = RowsStep((TableCopy(table, ("note",)),), Driver.ASYNCPG)
    is_full = Event()
    with (
        postgres16.database("lost_source") as source_dbname,
        postgres16.database("lost_shadow") as shadow_dbname,
        postgres16.connect(source_dbname) as holder,
        run_resetting_tls_proxy(postgres16, tmp_path, 1 << 17, is_full) as proxy,
    ):
        holder.execute("CREATE TABLE items AS SELECT repeat('x', 1000) AS note FROM generate_series(1, 1000)")
        postgres16.execute("CREATE TABLE items (note text)", shadow_dbname)
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        source = build_superuser_endpoint(replace(postgres16, port=proxy.port), source_dbname)
        shadow = build_superuser_endpoint(postgres16, shadow_dbname)
        session = AsyncpgSession(replace(source, sslmode="require"), shadow, snapshot)

        class FullBuffer(RowBuffer):
            """Takes rows only after the source was lost."""

            async def put(self, chunk: bytes) -> None:
                is_full.set()
                while not session._connections[0].is_closed():
                    await asyncio.sleep(0.01)
                await super().put(chunk)

        monkeypatch.setattr(asyncpg_session, "RowBuffer", FullBuffer)
        monkeypatch.setattr(asyncpg_session, "LOSS_SECONDS", 0.1)
        error = copy_in_vain(session, step)
    assert error.connection_lost
    assert "the source failed while the rows of public.items were copied" in error.failure.message

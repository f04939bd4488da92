"""While the source is silent, no backend of the target waits in COPY, so other databases can be dropped."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import TcpProxy, listen, pass_on
from tests.worker.conftest import Bench

from pgimport.model.result import WorkerResult
from pgimport.worker.engines.relay import row_buffer, row_writer
from pgimport.worker.engines.relay.copy_statements import build_copy_out, build_step_begin
from pgimport.worker.engines.relay.libpq_copy import read_result, read_rows, send_query
from pgimport.worker.engines.relay.relay_plan import Driver, RowsStep, TableCopy
from pgimport.worker.engines.relay.row_writer import RowWriter
from pgimport.worker.scope.snapshot import Table

pytestmark = pytest.mark.isolation

SILENT_SECONDS = 12.0
TABLES = {
    # One table of 3 MB, which has a stream of its own.
    "a large table": "CREATE TABLE one AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 30000) AS i",
    # Ten tables of 60 KB, which share one step.
    "small tables": "".join(
        f"CREATE TABLE small_{number} AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 600) AS i;"  # noqa: S608
        for number in range(10)
    ),
}


@contextmanager
def run_silent_proxy(server: PostgresServer, after: int) -> Iterator[tuple[TcpProxy, threading.Event]]:
    """Passes so many bytes of each COPY on, then none for SILENT_SECONDS. Sets the event when that begins."""
    silent = threading.Event()

    def serve(client: socket.socket, _: TcpProxy) -> None:
        passed = 0

        def count(data: bytes, is_client: bool) -> None:
            nonlocal passed
            if is_client:
                passed = 0
                return
            passed += len(data)
            if passed > after and not silent.is_set() and b"xxxxxxxxxx" in data:
                silent.set()
                time.sleep(SILENT_SECONDS)

        pass_on(client, (server.host, server.port), count)

    with listen(serve) as proxy:
        yield proxy, silent


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"], ids=["asyncpg", "libpq"])
@pytest.mark.parametrize("tables", TABLES)
def test_another_database_is_dropped_while_the_source_is_silent(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, encoding: str, tables: str
) -> None:
    """Before, DROP DATABASE waited for as long as the source was silent."""
    postgres16.execute(f"CREATE DATABASE silent TEMPLATE template0 ENCODING {encoding} LOCALE 'C'")
    results: list[WorkerResult] = []
    try:
        postgres16.execute(TABLES[tables], "silent")
        with run_silent_proxy(postgres16, 200_000) as (proxy, silent), bench.shadow(encoding=encoding):
            bench.source_url = postgres16.url("silent").replace(f":{postgres16.port}/", f":{proxy.port}/")
            thread = threading.Thread(target=lambda: results.append(bench.run(jobs=1)))
            thread.start()
            assert silent.wait(60)
            time.sleep(row_buffer.SILENCE_SECONDS + 1)
            began = time.monotonic()
            postgres18.execute("CREATE DATABASE other")
            postgres18.execute("DROP DATABASE other")
            took = time.monotonic() - began
            is_silent = thread.is_alive()
            thread.join(60)
    finally:
        postgres16.execute("DROP DATABASE silent WITH (FORCE)")
    assert is_silent
    assert took < SILENT_SECONDS / 2
    (result,) = results
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == (30_000 if tables == "a large table" else 6000)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("collected", [0, 1 << 20], ids=["each table alone", "collected"])
def test_a_copy_that_is_ended_again_and_again_has_all_rows(
    postgres16: PostgresServer,
    postgres18: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    binary: bool,
    collected: int,
) -> None:
    """Also in binary format, whose header and trailer each COPY needs, and with FREEZE."""
    monkeypatch.setattr(row_writer, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(row_writer, "COLLECTED_BYTES", collected)
    monkeypatch.setattr(row_writer, "CHUNK_BYTES", 30)
    names = ("filled", "empty", "also_filled")
    copies = tuple(
        TableCopy(Table(number, "public", name, False, 0, None, True), ("i", "t")) for number, name in enumerate(names)
    )
    step = RowsStep(copies, Driver.LIBPQ, binary=binary)
    with postgres16.database("pauses"), postgres18.database("pauses"):
        for server in (postgres16, postgres18):
            for name in names:
                server.execute(f"CREATE TABLE {name} (i int, t text)", "pauses")
        for name in ("filled", "also_filled"):
            statement = f"INSERT INTO {name} SELECT i, E'line\\n' || i FROM generate_series(1, 50) AS i"  # noqa: S608
            postgres16.execute(statement, "pauses")
        with postgres16.connect("pauses") as source, postgres18.connect("pauses") as shadow:
            shadow.execute(build_step_begin(step).encode())
            writer = RowWriter(shadow, step, lambda _oid, _size: None)
            for table_copy in copies:
                _copy_with_pauses(source, writer, table_copy, binary=binary)
            writer.finish()
            shadow.execute("COMMIT")
        assert [writer.row_counts[number] for number in range(3)] == [50, 0, 50]
        for name in names:
            query = f"SELECT * FROM {name} ORDER BY i"  # noqa: S608
            assert postgres18.query(query, "pauses") == postgres16.query(query, "pauses")


def _copy_with_pauses(
    source: psycopg.Connection[Any], writer: RowWriter, table_copy: TableCopy, *, binary: bool
) -> None:
    send_query(source, build_copy_out(table_copy, binary=binary).encode())
    read_result(source)
    writer.begin_table(table_copy)
    for row in read_rows(source, 1):
        if row is not None:
            writer.add(row)
            writer.pause()  # sends the rows
            writer.pause()  # ends the COPY
    writer.end_table()
    while read_result(source) is not None:
        continue


def is_copying(shadow: psycopg.Connection[Any]) -> bool:
    return shadow.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE


def test_no_copy_is_open_between_pauses(postgres18: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_writer, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(row_writer, "COLLECTED_BYTES", 0)
    monkeypatch.setattr(row_writer, "CHUNK_BYTES", 1)
    table_copy = TableCopy(Table(7, "public", "t", False, 0, None, True), ("i",))
    step = RowsStep((table_copy,), Driver.LIBPQ)
    with postgres18.database("pauses"), postgres18.connect("pauses") as shadow:
        shadow.execute("CREATE TABLE t (i int)")
        shadow.execute(build_step_begin(step).encode())
        writer = RowWriter(shadow, step, lambda _oid, _size: None)
        writer.begin_table(table_copy)
        assert not is_copying(shadow)
        for number in range(3):
            writer.add(memoryview(f"{number}\n".encode()))
            assert is_copying(shadow)
            writer.pause()
            assert not is_copying(shadow)
        writer.end_table()
        shadow.execute("COMMIT")
        assert shadow.execute(sql.SQL("SELECT count(*) FROM t")).fetchone() == (3,)

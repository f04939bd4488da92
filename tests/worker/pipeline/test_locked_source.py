"""A session of the source waits for a lock of the import, and the import behind it: the import releases the source.

PostgreSQL sees no deadlock, because the sessions of an import wait for each other only in the worker.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import TcpProxy, run_slow_proxy
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason, RetryClassification
from pgimport.worker.scope import source_watch, table_locks

pytestmark = [pytest.mark.isolation, pytest.mark.thorough]

SOURCE = "contended"
# Rows of 100 bytes. Two streams copy the first two tables long before the third one.
ROWS = {"first": 60_000, "second": 30_000, "third": 12_000}
WAIT_SECONDS = 4


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_locks, "REPORT_SECONDS", 0.5)
    monkeypatch.setattr(table_locks, "WAIT_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(source_watch, "INTERVAL_SECONDS", 0.2)


@pytest.fixture
def source(postgres16: PostgresServer) -> Iterator[PostgresServer]:
    with postgres16.database(SOURCE):
        for name, count in ROWS.items():
            postgres16.execute(f"CREATE TABLE {name} (i int, t text)", SOURCE)
            postgres16.execute(
                f"INSERT INTO {name} SELECT i, repeat('x', 100) FROM generate_series(1, {count}) AS i",  # noqa: S608
                SOURCE,
            )
        postgres16.execute("CREATE VIEW shown AS SELECT i FROM third", SOURCE)
        yield postgres16


@contextmanager
def slow(bench: Bench, source: PostgresServer) -> Iterator[TcpProxy]:
    """Delays each packet of the source, so that a COPY takes seconds."""
    with run_slow_proxy(source, 0.03) as proxy:
        bench.source_url = source.url(SOURCE).replace(f":{source.port}/", f":{proxy.port}/")
        yield proxy


class Production(threading.Thread):
    """Runs one statement when the import reads the first table."""

    def __init__(self, source: PostgresServer, statement: str) -> None:
        super().__init__()
        self._source, self._statement = source, statement
        self.waited: float | None = None

    def run(self) -> None:
        with self._source.connect(SOURCE, application_name="migration") as connection:
            deadline = time.monotonic() + 60
            query = "SELECT FROM pg_stat_progress_copy WHERE relid = 'first'::regclass"
            while connection.execute(query).fetchone() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            began = time.monotonic()
            connection.execute(self._statement.encode())
            self.waited = time.monotonic() - began


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_alter_table_in_the_middle_of_copy(bench: Bench, source: PostgresServer, engine: str) -> None:
    """Before, the stream waited with lock_timeout 60s, and pg_dump's refusal was final: DumpFailed."""
    production = Production(source, "ALTER TABLE third ADD COLUMN added int")
    with slow(bench, source), bench.shadow():
        production.start()
        result = bench.run(engine=engine, jobs=1 if engine == "relay" else 2)
        production.join(30)
    assert result.failure is not None
    failure = result.failure.to_failure()
    assert (failure.reason, failure.classification) == (Reason.SOURCE_LOCKED, RetryClassification.TRANSIENT), failure
    assert production.waited is not None
    if engine == "relay":
        assert "third is locked by readers, and process" in failure.message
        assert "(application migration, user postgres) waits for them" in failure.message
        waits = [line["waitingFor"] for line in bench.lines("progress") if "waitingFor" in line]
        assert "the import waits for a lock at the source: public.third is locked by readers" in waits[0]


def test_pg_dump_does_not_wait_for_a_view(bench: Bench, source: PostgresServer) -> None:
    """pg_dump sets lock_timeout = 0, so before, it waited until stallTimeout."""
    bench.source_url = source.url(SOURCE)
    with bench.shadow(), source.connect(SOURCE, application_name="migration") as migration:
        migration.execute("BEGIN; CREATE OR REPLACE VIEW shown AS SELECT i FROM third WHERE i > 0")
        began = time.monotonic()
        result = bench.run(verify="none")
        took = time.monotonic() - began
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_LOCKED, result.failure
    assert "public.shown is locked by process" in result.failure.message
    assert took < 30


def test_no_lock_on_views_is_left_after_their_definitions_were_read(bench: Bench, source: PostgresServer) -> None:
    """PostgreSQL locks what a view reads when it prints the view, until the end of the transaction."""
    source.execute("CREATE VIEW above AS SELECT i FROM shown", SOURCE)
    production = Production(source, "CREATE OR REPLACE VIEW shown AS SELECT i FROM third WHERE i > 0")
    with slow(bench, source), bench.shadow():
        production.start()
        result = bench.run(jobs=1)
        production.join(30)
    assert result.ok, result.failure
    assert production.waited is not None
    assert production.waited < 1


def test_the_import_fails_when_the_snapshot_is_lost(bench: Bench, source: PostgresServer) -> None:
    """The watch never ends silently: before, the copy went on without the locks that protect its rows."""

    def end_snapshot() -> None:
        with source.connect() as superuser:
            query = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'contended'"
                " AND application_name = 'pgimport' ORDER BY backend_start LIMIT 1"
            )
            deadline = time.monotonic() + 60
            with source.connect(SOURCE) as watcher:
                copying = "SELECT FROM pg_stat_progress_copy WHERE relid = 'first'::regclass"
                while watcher.execute(copying).fetchone() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
            superuser.execute(query)

    thread = threading.Thread(target=end_snapshot)
    with slow(bench, source), bench.shadow():
        thread.start()
        result = bench.run(jobs=1)
        thread.join()
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_UNREACHABLE
    assert "the source has lost the snapshot" in result.failure.message

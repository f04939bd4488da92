"""A lock at the source that is not granted: who holds it is said, and the attempt fails as transient."""

from contextlib import closing
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.reasons import Reason, RetryClassification
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.scope import table_locks
from pgimport.worker.scope.live_scope import SourceScope
from pgimport.worker.scope.snapshot import Snapshot, take_snapshot


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_locks, "REPORT_SECONDS", 0.2)
    monkeypatch.setattr(table_locks, "WAIT_SECONDS", 1)


def take(server: PostgresServer, waits: list[str]) -> Snapshot:
    with server.connect("locks") as connection:
        return take_snapshot(connection, SourceScope(), waits.append)


def test_the_holder_is_named_and_the_attempt_fails_as_transient(
    postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    clock = SimpleNamespace(monotonic=iter([0, 0.2, 0.4, 0.6, 0.8, 1]).__next__)  # whatever the machine is busy with
    monkeypatch.setattr(table_locks, "time", clock)
    with postgres16.database("locks"):
        postgres16.execute("CREATE TABLE free (x int); CREATE TABLE taken (x int)", "locks")
        with postgres16.connect("locks", application_name="migration") as holder:
            holder.execute("BEGIN; LOCK TABLE taken IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(ImportStopped) as stopped:
                take(postgres16, waits)
            pid = holder.info.backend_pid
    holder_title = f"public.taken is locked by process {pid} (application migration, user postgres)"
    assert len(waits) == 4
    assert waits[0] == f"the import waits for a lock at the source: {holder_title}"
    assert stopped.value.failure.reason is Reason.SOURCE_LOCKED
    assert stopped.value.failure.classification is RetryClassification.TRANSIENT
    assert stopped.value.failure.message == f"the source's lock was not granted within 1 s: {holder_title}"


def release(holder: psycopg.Connection[Any]) -> None:
    holder.execute("COMMIT")


def test_the_import_goes_on_when_the_lock_is_released(postgres16: PostgresServer) -> None:
    with postgres16.database("locks"):
        postgres16.execute("CREATE TABLE taken (x int)", "locks")
        with postgres16.connect("locks") as holder, postgres16.connect("locks") as connection:
            holder.execute("BEGIN; LOCK TABLE taken")
            snapshot = take_snapshot(connection, SourceScope(), lambda _: release(holder))
            assert [table.title for table in snapshot.copied] == ["public.taken"]
            assert connection.execute("SHOW lock_timeout").fetchone() == ("1s",)


def test_a_prepared_transaction_is_named(postgres16: PostgresServer) -> None:
    waits: list[str] = []
    with postgres16.database("locks"):
        postgres16.execute("CREATE TABLE taken (x int)", "locks")
        with postgres16.connect("locks") as holder:
            holder.execute("BEGIN; LOCK TABLE taken; PREPARE TRANSACTION 'two phases'")
            with pytest.raises(ImportStopped):
                take(postgres16, waits)
            holder.execute("ROLLBACK PREPARED 'two phases'")
    assert waits[0].endswith("public.taken is locked by the prepared transaction two phases")


def test_a_session_that_waits_for_readers_is_named(postgres16: PostgresServer) -> None:
    waits: list[str] = []
    with postgres16.database("locks"):
        postgres16.execute("CREATE TABLE taken (x int)", "locks")
        with (
            postgres16.connect("locks") as reader,
            closing(postgres16.connect("locks", application_name="migration")) as waiter,
        ):
            reader.execute("BEGIN; TABLE taken")
            waiter.pgconn.send_query(b"ALTER TABLE taken ADD y int")
            with pytest.raises(ImportStopped):
                take(postgres16, waits)
    assert "public.taken is locked by readers, and process" in waits[-1]
    assert "(application migration, user postgres) waits" in waits[-1]

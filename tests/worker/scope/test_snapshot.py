"""The snapshot in which a source is read, and the locks on its tables."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.scope.live_scope import SourceScope
from pgimport.worker.scope.snapshot import begin_snapshot, read_locked_tables, take_snapshot
from pgimport.worker.scope.table_locks import lock_tables


@pytest.mark.parametrize("change", ["TRUNCATE a", "VACUUM FULL a", "ALTER TABLE a ALTER x TYPE bigint"])
def test_a_table_rewritten_before_it_was_locked_is_noticed(postgres16: PostgresServer, change: str) -> None:
    with postgres16.database("rewritten"):
        postgres16.execute("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b (x int)", "rewritten")
        with postgres16.connect("rewritten") as connection:
            _, _, tables = begin_snapshot(connection, SourceScope())
            postgres16.execute(change, "rewritten")
            lock_tables(connection, tables)
            assert read_locked_tables(connection, tables).rewritten == ["public.a"]
            connection.execute("ROLLBACK")
            snapshot = take_snapshot(connection, SourceScope())
            assert [table.title for table in snapshot.copied] == ["public.a", "public.b"]


@pytest.mark.parametrize("style", ["ISO", "German", "Postgres, DMY"])
def test_the_time_of_the_snapshot_is_that_of_the_source(postgres16: PostgresServer, style: str) -> None:
    with postgres16.database("dated"), postgres16.connect("dated") as connection:
        connection.execute(f"SET DateStyle = '{style}'; SET TimeZone = 'Asia/Tokyo'".encode())
        before = datetime.now(UTC)
        snapshot = take_snapshot(connection, SourceScope())
        assert before - timedelta(seconds=1) <= snapshot.taken_at <= datetime.now(UTC)


def test_a_table_dropped_before_it_was_locked_is_an_error_with_its_sqlstate(postgres16: PostgresServer) -> None:
    with postgres16.database("dropped"):
        postgres16.execute("CREATE TABLE a (x int)", "dropped")
        with postgres16.connect("dropped") as connection:
            _, _, tables = begin_snapshot(connection, SourceScope())
            postgres16.execute("DROP TABLE a", "dropped")
            with pytest.raises(Exception, match="does not exist") as caught:
                lock_tables(connection, tables)
            assert getattr(caught.value, "sqlstate", None) == "42P01"


def test_an_unreadable_sequence_is_reported_with_the_missing_grant(postgres16: PostgresServer) -> None:
    with postgres16.database("sequences"):
        postgres16.execute("CREATE SEQUENCE hidden", "sequences")
        with postgres16.connect("sequences", "admin") as connection, pytest.raises(ImportStopped) as caught:
            take_snapshot(connection, SourceScope())
    assert caught.value.failure.reason is Reason.SOURCE_PERMISSION_DENIED
    assert 'GRANT SELECT ON SEQUENCE "public"."hidden" TO "admin"' in caught.value.failure.message

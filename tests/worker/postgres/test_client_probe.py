"""The cause of a failed pg_dump is found by repeating its statement."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import run_cutting_proxy
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.client_probe import DumpSource, explain_dump_exit
from pgimport.worker.postgres.errors import ClientErrorParser


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT pg_catalog.repeat('x', 1000000)", id="query"),
        pytest.param("COPY (SELECT pg_catalog.generate_series(1, 200000)) TO STDOUT", id="COPY"),
    ],
)
def test_a_repeated_statement_whose_session_is_lost(postgres16: PostgresServer, tmp_path: Path, statement: str) -> None:
    """Before, the message ended with `(SQLSTATE None)`, or the worker with an unexpected error."""
    errors = ClientErrorParser()
    errors.read_line("pg_dump: error: query failed: server closed the connection unexpectedly")
    errors.read_line(f"pg_dump: detail: Query was: {statement}")
    with postgres16.connect() as holder, run_cutting_proxy(postgres16, 100_000, cuts=99) as proxy:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot_id,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        source = build_superuser_endpoint(replace(postgres16, port=proxy.port), "postgres")
        dump_source = DumpSource(source=source, client=source, snapshot_id=snapshot_id)
        failure = explain_dump_exit(1, errors, dump_source, tmp_path)
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert failure.message.startswith("the source ended a session of pg_dump: pg_dump: query failed: server closed")
    assert "SQLSTATE" not in failure.message


def test_a_cursor_of_pg_dump_cannot_be_read_again(postgres16: PostgresServer, tmp_path: Path) -> None:
    """Before, the import failed for good with DumpFailed and SQLSTATE 34000."""
    errors = ClientErrorParser()
    errors.read_line("pg_dump: error: query failed: server closed the connection unexpectedly")
    errors.read_line("pg_dump: detail: Query was: FETCH 1000 IN looid")
    with postgres16.connect() as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot_id,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        source = build_superuser_endpoint(postgres16, "postgres")
        dump_source = DumpSource(source=source, client=source, snapshot_id=snapshot_id)
        failure = explain_dump_exit(1, errors, dump_source, tmp_path)
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert "34000" not in failure.message


def test_a_large_object_whose_reading_was_ended(postgres16: PostgresServer, tmp_path: Path) -> None:
    """pg_dump reads it by function calls. Before, the import failed for good with DumpFailed."""
    with postgres16.database("probe") as dbname, postgres16.connect(dbname) as holder:
        ((oid,),) = holder.execute("SELECT lo_from_bytea(0, 'x')").fetchall()
        errors = ClientErrorParser()
        words = "FATAL:  terminating connection due to administrator command"
        errors.read_line(f"pg_dump: error: error reading large object {oid}: {words}")
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot_id,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        source = build_superuser_endpoint(postgres16, dbname)
        dump_source = DumpSource(source=source, client=source, snapshot_id=snapshot_id)
        failure = explain_dump_exit(1, errors, dump_source, tmp_path)
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert failure.message.startswith("the source ended a session of pg_dump: pg_dump: error reading large object")

"""The source is released as soon as its last row is read: locks and snapshot end before indexes and postImport do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.result import WorkerResult

pytestmark = [pytest.mark.isolation, pytest.mark.thorough]

SOURCE = "released"
# Building the index takes two seconds in the copy, and no time at the source.
TABLES = """
CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF i = 1 AND pg_catalog.current_database() <> 'released' THEN PERFORM pg_catalog.pg_sleep(2); END IF;
    RETURN i;
END $$;
CREATE TABLE orders (i int PRIMARY KEY, t text) PARTITION BY RANGE (i);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (1000);
CREATE TABLE customers (i int PRIMARY KEY);
INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 500) AS i;
INSERT INTO customers SELECT i FROM generate_series(1, 200) AS i;
CREATE INDEX slow ON orders_1 (slow(i));
CREATE INDEX slow_customers ON customers (slow(i));
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
SELECT lo_from_bytea(7, 'large object');
"""
POST_IMPORT = "SELECT pg_sleep(2) /* postImport */"
DDL = (
    "ALTER TABLE orders ADD COLUMN added int",
    "CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (1000) TO (2000)",
    "ALTER TABLE customers ADD COLUMN added int",
    "REFRESH MATERIALIZED VIEW totals",
)


@contextmanager
def running(bench: Bench, **changes: Any) -> Iterator[Callable[[], WorkerResult]]:
    """Runs an import in a thread. Yields a function that waits for its result."""
    results: list[WorkerResult] = []
    thread = Thread(target=lambda: results.append(bench.run(**changes)))
    thread.start()

    def wait() -> WorkerResult:
        thread.join(60)
        (result,) = results
        return result

    yield wait
    thread.join(60)


def wait_for_statement(bench: Bench, text: str) -> None:
    """Waits until a session of the shadow executes a statement that contains the text."""
    deadline = time.monotonic() + 30
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = %s AND position(%s IN query) > 0"
    )
    with bench.target.connect() as superuser:
        while superuser.execute(query, [bench.names.role, text]).fetchone() == (0,):
            assert time.monotonic() < deadline, f"no session executes {text}"
            time.sleep(0.02)


def count_sessions(source: PostgresServer) -> int:
    ((count,),) = source.query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'released' AND application_name = 'pgimport'"
    )
    return int(count)


def time_ddl(source: PostgresServer, statement: str) -> float:
    began = time.monotonic()
    with source.connect(SOURCE) as connection:
        connection.execute("SET lock_timeout = '1s'")
        connection.execute(statement.encode())
    return time.monotonic() - began


@pytest.fixture
def source(postgres16: PostgresServer) -> Iterator[PostgresServer]:
    with postgres16.database(SOURCE):
        postgres16.execute(TABLES, SOURCE)
        yield postgres16


@pytest.mark.parametrize("engine", ["relay", "dump"])
@pytest.mark.parametrize("verify", ["counts", "checksums"])
def test_production_changes_tables_during_index_builds_and_post_import(
    bench: Bench, source: PostgresServer, engine: str, verify: str
) -> None:
    """Before, ALTER TABLE waited until the rows were compared: after indexes, constraints and ANALYZE."""
    bench.source_url = source.url(SOURCE)
    (bench.home / "post-import").write_text(POST_IMPORT)
    with bench.shadow(), running(bench, engine=engine, verify=verify) as wait:
        wait_for_statement(bench, "INDEX")
        during_indexes = [time_ddl(source, statement) for statement in DDL]
        wait_for_statement(bench, "postImport")
        assert count_sessions(source) == 0
        during_post_import = time_ddl(source, "ALTER TABLE customers ADD COLUMN later int")
        result = wait()
    assert max(*during_indexes, during_post_import) < 1
    assert result.ok, result.failure
    assert result.verification is not None
    assert (result.verification.verified, result.verification.rows) == (True, 700)
    assert result.verification.large_objects == 1


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_progress_says_how_long_the_source_was_held(bench: Bench, source: PostgresServer, engine: str) -> None:
    bench.source_url = source.url(SOURCE)
    with bench.shadow():
        assert bench.run(engine=engine, verify="checksums").ok
    progress = bench.lines("progress")
    held = [line["sourceHeldSeconds"] for line in progress]
    assert held == sorted(held)
    assert held[-1] < 30
    assert "digests of its rows, because of verify: checksums" in [line.get("sourceHeldFor") for line in progress]
    assert "sourceHeldFor" not in progress[-1]
    assert any("the source is released after" in line["message"] for line in bench.lines("log"))


@pytest.mark.parametrize("engine", ["relay", "dump"])
@pytest.mark.parametrize("verify", ["counts", "checksums"])
def test_a_copy_that_differs_is_found_after_the_release(
    bench: Bench, source: PostgresServer, engine: str, verify: str
) -> None:
    """Counts and digests of the source were read before the release."""
    bench.source_url = source.url(SOURCE)
    with bench.shadow() as shadow, running(bench, engine=engine, verify=verify) as wait:
        wait_for_statement(bench, "INDEX")
        with bench.target.connect(shadow) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute("DELETE FROM orders WHERE i = 7")
        result = wait()
    assert result.failure is not None
    assert result.failure.reason.value == "VerificationFailed"

"""Relays between real servers, by both drivers, also with lost connections and full servers."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Thread

import pytest
from tests.support.object_zoo.content import find_differences, read_content
from tests.support.object_zoo.database import DATABASE, create_object_zoo
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.tcp_proxies import run_cutting_proxy, run_slow_proxy
from tests.worker.conftest import Bench

from pgimport.model.import_choices import OnObjectError
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult
from pgimport.worker.engines.relay import large_objects, relay_plan
from pgimport.worker.engines.relay.copy_stream import CopyStream

BOTH_DRIVERS = pytest.mark.parametrize(
    "small_table_bytes", [-1, relay_plan.SMALL_TABLE_BYTES], ids=["a step for each table", "small tables in one step"]
)
ROWS = 100_000
LONG_TABLE = "AS SELECT i, repeat(i::text, 20) AS note FROM generate_series(1, 100000) AS i"  # about 13 MiB
MIB = 1024 * 1024
# The function that a CHECK calls has become stricter since the rows were written.
STRICTER_DOMAIN = """
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE DOMAIN known_number AS int CONSTRAINT known CHECK (is_known(VALUE)) CONSTRAINT small CHECK (VALUE < 10000);
CREATE TYPE pair AS (n known_number);
CREATE TABLE arrays (id int PRIMARY KEY, n known_number[]);
CREATE TABLE rows (id int PRIMARY KEY, n pair);
INSERT INTO arrays VALUES (1, '{5000}'), (2, '{4711}');
INSERT INTO rows VALUES (1, ROW(4711));
CREATE OR REPLACE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 4999';
"""


@pytest.fixture(scope="module")
def object_zoo() -> Iterator[PostgresServer]:
    """A server of PostgreSQL 18 with the object zoo."""
    with run_postgres(18, max_locks_per_transaction="256") as server:
        create_object_zoo(server, has_contrib=False)
        yield server


@pytest.fixture(scope="module")
def long_database(postgres16: PostgresServer) -> Iterator[str]:
    """A database of three tables whose copy takes a while."""
    with postgres16.database("long") as name:
        for table in ("one", "two", "three"):
            postgres16.execute(f"CREATE TABLE {table} {LONG_TABLE}; CREATE INDEX ON {table} (note)", name)
        yield name


@pytest.mark.thorough
@BOTH_DRIVERS
def test_the_object_zoo_is_copied(
    bench: Bench,
    object_zoo: PostgresServer,
    postgres18: PostgresServer,
    small_table_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_plan, "SMALL_TABLE_BYTES", small_table_bytes)
    monkeypatch.setattr(large_objects, "CHUNK_BYTES", 50)
    bench.source_url = object_zoo.url(DATABASE)
    with bench.shadow() as shadow:
        result = bench.run(engine="relay")
        assert result.failure is None
        skipped = [item.object for item in result.skipped]
        source, copy = (
            read_content(server, name, postgres18.bin / "pg_dump")
            for server, name in ((object_zoo, DATABASE), (postgres18, shadow))
        )
        assert "\n".join(find_differences(source, copy, skipped, {})) == ""


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("at_source", "cuts"),
    [
        pytest.param(True, 1, id="source once"),
        pytest.param(True, 3, id="source three times"),
        pytest.param(False, 1, id="target once"),
    ],
)
def test_a_stream_that_lost_its_connection_copies_its_table_again(
    bench: Bench, long_database: str, postgres16: PostgresServer, at_source: bool, cuts: int
) -> None:
    server = postgres16 if at_source else bench.target
    with run_cutting_proxy(server, 2 * MIB, cuts, sent=not at_source) as proxy:
        bench.source_url = postgres16.url(long_database)
        if at_source:
            bench.source_url = bench.source_url.replace(f":{server.port}/", f":{proxy.port}/")
        else:
            bench.target = replace(server, port=proxy.port)
        with bench.shadow():
            result = bench.run(engine="relay", jobs=2)
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == 3 * ROWS
    retries = [line["message"] for line in bench.lines("log") if "starts again" in line["message"]]
    assert len(retries) == cuts
    pattern = r"the copy of public\.(one|two|three) starts again: the (source|target) failed while the rows of"
    assert re.match(pattern, retries[0])


COPYING = "FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COPY%' AND state = 'active'"


def wait_until_copying(server: PostgresServer, dbname: str) -> None:
    while not server.query(f"SELECT {COPYING.format(dbname)}"):
        time.sleep(0.01)


@pytest.mark.thorough
def test_losing_the_snapshot_ends_the_import(bench: Bench, long_database: str, postgres16: PostgresServer) -> None:
    """No stream can copy its table again, because another snapshot would show other rows."""
    results: list[WorkerResult] = []
    with run_slow_proxy(postgres16, 0.02) as proxy, bench.shadow():
        bench.source_url = postgres16.url(long_database).replace(f":{postgres16.port}/", f":{proxy.port}/")
        worker = Thread(target=lambda: results.append(bench.run(engine="relay", jobs=2)))
        worker.start()
        wait_until_copying(postgres16, long_database)
        postgres16.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'long'")
        worker.join(60)
    (result,) = results
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_UNREACHABLE
    assert "the source has lost the snapshot" in result.failure.message


@pytest.mark.thorough
def test_an_error_of_one_stream_ends_all_streams_at_once(
    bench: Bench, long_database: str, postgres16: PostgresServer
) -> None:
    """The stream stops sending to the failed backend, and the others are aborted: each would take half a minute."""
    results: list[WorkerResult] = []
    with run_slow_proxy(postgres16, 0.1) as proxy, bench.shadow() as shadow:
        bench.source_url = postgres16.url(long_database).replace(f":{postgres16.port}/", f":{proxy.port}/")
        worker = Thread(target=lambda: results.append(bench.run(engine="relay", jobs=2)))
        worker.start()
        wait_until_copying(bench.target, shadow)
        canceled_at = time.monotonic()
        bench.target.execute(f"SELECT pg_cancel_backend((SELECT pid {COPYING.format(shadow)} LIMIT 1))")
        worker.join(30)
        seconds = time.monotonic() - canceled_at
    (result,) = results
    assert result.failure is not None
    assert result.failure.reason is Reason.TARGET_CONFLICT
    assert "canceling statement due to user request" in result.failure.message
    assert "(SQLSTATE 57014)" in result.failure.message
    assert seconds < 25


@pytest.mark.slow
def test_a_source_with_one_free_connection_gets_one_stream(
    bench: Bench, long_database: str, postgres16: PostgresServer
) -> None:
    """The snapshot's session and pg_dump take two connections; the stream connects when pg_dump has ended."""
    postgres16.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2 PASSWORD 'p'; GRANT pg_read_all_data TO narrow")
    try:
        bench.source_url = postgres16.url(long_database, "narrow", "p")
        with bench.shadow():
            result = bench.run(engine="relay", jobs=4)
    finally:
        postgres16.execute("DROP OWNED BY narrow; DROP ROLE narrow")
    assert result.ok, result.failure
    assert result.verification is not None
    assert "1 stream instead of 4: the source has no more free connections" in result.verification.notes


@pytest.mark.slow
def test_streams_end_if_others_take_their_connections(
    bench: Bench, long_database: str, postgres16: PostgresServer
) -> None:
    """Other clients take all free connections but one between the plan and the first stream."""
    postgres16.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 6 PASSWORD 'p'; GRANT pg_read_all_data TO crowded")
    try:
        bench.source_url = postgres16.url(long_database, "crowded", "p")
        with bench.shadow(), ExitStack() as others:
            results: list[WorkerResult] = []
            worker = Thread(target=lambda: results.append(bench.run(engine="relay", jobs=4)))
            worker.start()
            while worker.is_alive() and not any("by relay" in line["message"] for line in bench.lines("log")):
                time.sleep(0.005)
            for _ in range(4):
                others.enter_context(postgres16.connect(long_database, "crowded", "p"))
            worker.join(30)
    finally:
        postgres16.execute("DROP OWNED BY crowded; DROP ROLE crowded")
    (result,) = results
    assert result.ok, result.failure
    assert any(line["message"].startswith("the copy continues with one stream less: ") for line in bench.lines("log"))


def test_a_source_in_another_encoding_keeps_it(bench: Bench, postgres16: PostgresServer) -> None:
    postgres16.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1")
    try:
        postgres16.execute(
            'CREATE TABLE "Größe" AS SELECT chr(228) || i AS "Wört" FROM generate_series(1, 50000) AS i;'
            'CREATE INDEX ON "Größe" ("Wört")',
            "latin",
        )
        bench.source_url = postgres16.url("latin")
        with bench.shadow(encoding="LATIN1") as shadow:
            result = bench.run(engine="relay")
            assert result.ok, result.failure
            assert bench.target.query('SELECT count(DISTINCT "Wört"), max("Wört") FROM "Größe"', shadow) == [
                (50000, "ä9999")
            ]
    finally:
        postgres16.execute("DROP DATABASE latin WITH (FORCE)")
    assert result.verification is not None
    assert any("the source's encoding is LATIN1" in note for note in result.verification.notes)


def test_tables_are_frozen_and_analyzed(bench: Bench, long_database: str, postgres16: PostgresServer) -> None:
    bench.source_url = postgres16.url(long_database)
    with bench.shadow() as shadow:
        assert bench.run(engine="relay").ok
        visible = "SELECT relallvisible > 0.9 * relpages FROM pg_class WHERE relname IN ('one', 'two', 'three')"
        assert bench.target.query(visible, shadow) == [(True,), (True,), (True,)]
        analyzed = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'"
        assert bench.target.query(analyzed, shadow) == [(6,)]


@pytest.mark.thorough
def test_a_copy_that_exceeds_the_storage_limit_is_stopped(
    bench: Bench, long_database: str, postgres16: PostgresServer
) -> None:
    """Preflight does not run here, as if the source had grown after it."""
    with run_slow_proxy(postgres16, 0.05) as proxy, bench.shadow():
        bench.source_url = postgres16.url(long_database).replace(f":{postgres16.port}/", f":{proxy.port}/")
        result = bench.run(engine="relay", jobs=1, storage_limit_bytes=12 * MIB)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_TOO_LARGE
    assert "before the copy is complete; the Project allows 12.0 MiB" in result.failure.message


BINARY_VALUES = """
CREATE TABLE kinds AS SELECT i, i::numeric / 7 AS n, now() + i * interval '1 day 2 s' AS at, 'é' || i AS t,
  decode(md5(i::text), 'hex') AS b, ARRAY[i, NULL]::int[] AS a, jsonb_build_object('i', i) AS j, i % 2 = 0 AS bool,
  gen_random_uuid() AS u, NULL::text AS nothing, int4range(i, i + 5) AS r, ('10.0.0.' || i)::inet AS ip
  FROM generate_series(1, 200) AS i;
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (of regclass, n int);
CREATE DOMAIN owned AS regclass; CREATE TYPE moods AS RANGE (subtype = mood);
CREATE TYPE tables AS RANGE (subtype = regclass, subtype_opclass = oid_ops, multirange_type_name = table_sets);
CREATE FUNCTION noted(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE registered (id int GENERATED ALWAYS AS IDENTITY, c regclass, p regprocedure, t regtype, o owned,
  n regnamespace, many regclass[], moods mood[], two pair, r moods, s table_sets, f bytea,
  twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO registered (c, p, t, o, n, many, moods, two, r, s, f)
  SELECT 'kinds', 'noted(int)', 'mood', 'kinds', 'public', ARRAY['kinds', 'registered'::regclass],
    ARRAY['ok'::mood, NULL], ROW('kinds', 1)::pair, '[sad,ok]', '{[kinds,registered]}', 'x' FROM generate_series(1, 5);
CREATE TABLE parted (id int, at date) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT i, date '2026-01-01' + i FROM generate_series(1, 100) AS i;
"""


def test_rows_are_copied_in_binary_format(
    bench: Bench, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forces the binary format: the shortest value that needs it has half a gigabyte."""
    run_step = CopyStream.run_step

    def run_step_in_binary(stream: CopyStream, step: relay_plan.Step) -> dict[int, int]:
        return run_step(stream, step.in_binary if isinstance(step, relay_plan.RowsStep) else step)

    monkeypatch.setattr(CopyStream, "run_step", run_step_in_binary)
    with postgres16.database("kinds") as name:
        postgres16.execute(BINARY_VALUES, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(engine="relay", verify="checksums")
    assert result.failure is None
    assert result.verification is not None
    assert (result.verification.verified, result.verification.rows) == (True, 305)


@pytest.mark.thorough
def test_a_value_of_half_a_gigabyte_is_copied(bench: Bench, postgres16: PostgresServer) -> None:
    size = 540 * MIB
    with postgres16.database("huge") as name:
        postgres16.execute(
            f"CREATE TABLE files AS SELECT 1 AS id, convert_to(repeat('x', {size}), 'UTF8') AS body"
            " UNION ALL SELECT 2, 'short'",
            name,
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine="relay")
            assert result.failure is None
            assert bench.target.query("SELECT id, length(body) FROM files ORDER BY id", shadow) == [(1, size), (2, 5)]
    assert "the copy of public.files starts again: a row is too long for the text format" in bench.out.getvalue()


@BOTH_DRIVERS
def test_a_domain_inside_another_type_keeps_what_rows_do_not_violate(
    bench: Bench, postgres16: PostgresServer, small_table_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL cannot validate a CHECK of such a domain after the rows."""
    monkeypatch.setattr(relay_plan, "SMALL_TABLE_BYTES", small_table_bytes)
    with postgres16.database("strict") as name:
        postgres16.execute(STRICTER_DOMAIN, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine="relay")
            assert result.ok, result.failure
            rows = bench.target.query("SELECT (SELECT count(*) FROM arrays), count(*) FROM rows", shadow)
            constraints = bench.target.query(
                "SELECT conname::text, convalidated FROM pg_constraint WHERE conname IN ('known', 'small') ORDER BY 1",
                shadow,
            )
    assert rows == [(2, 1)]
    assert constraints == [("known", False), ("small", True)]
    (skipped,) = result.skipped
    assert skipped.object == "CHECK CONSTRAINT public.known_number known"
    assert "4711" in (skipped.offending_key or "")


def test_fail_ends_a_relay_at_the_first_row_that_violates_a_domain(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("strict") as name:
        postgres16.execute(STRICTER_DOMAIN, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            failure = bench.run(engine="relay", on_object_error=OnObjectError.FAIL).failure
    assert failure is not None
    assert "known_number" in failure.message

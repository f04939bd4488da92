"""Imports of a source 16 into a target 18: the copy is equal to its source, and failures have a reason."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench, list_skipped

from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.postgres import client_probe

ENGINES = ["relay", "dump"]
SHOP = (Path(__file__).parent / "shop.sql").read_text()
# Queries that must have equal results at the source and in the copy.
COMPARED = {
    "customers": "SELECT * FROM customers ORDER BY id",
    "orders": "SELECT * FROM orders ORDER BY id",
    "events": "SELECT * FROM events ORDER BY id",
    "moods": "SELECT * FROM moods ORDER BY n",
    "odd names": 'SELECT * FROM "Odd Schema"."Semi;colon ""quoted""" ORDER BY 1',
    "secrets": "SELECT * FROM secrets ORDER BY secret",
    "large objects": "SELECT oid, lo_get(oid) FROM pg_largeobject_metadata ORDER BY oid",
    "comments": "SELECT obj_description('customers'::regclass), col_description('customers'::regclass, 2)",
    "view": "SELECT * FROM busy ORDER BY 1",
    "materialised views": "SELECT t.n, a.n FROM totals t, totals_again a",
    "sequence that was never called": "SELECT last_value, is_called FROM untouched",
    "sequence set without a call": "SELECT last_value, is_called FROM moved",
    "identity": "SELECT last_value, is_called FROM customers_id_seq",
    "policies": "SELECT polname FROM pg_policy WHERE polname = 'own'",
    "forced row security": "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'secrets'",
    "not valid": "SELECT conname FROM pg_constraint WHERE NOT convalidated",
    "unfilled": "SELECT relname FROM pg_class WHERE relkind = 'm' AND NOT relispopulated",
}


@pytest.fixture(scope="module")
def shop(postgres16: PostgresServer) -> Iterator[str]:
    """Creates a database at the source with objects of every kind. Returns its name."""
    postgres16.execute("CREATE ROLE shop_clerk")
    with postgres16.database("shop"):
        postgres16.execute(SHOP, "shop")
        yield "shop"
    postgres16.execute("DROP ROLE shop_clerk")


def failure_reason(result: WorkerResult) -> Reason | None:
    return result.failure.reason if result.failure else None


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("jobs", [1, 3], ids=["one stream", "three streams"])
def test_a_copy_is_equal_to_its_source(
    bench: Bench, shop: str, postgres16: PostgresServer, postgres18: PostgresServer, jobs: int, engine: str
) -> None:
    bench.source_url = postgres16.url(shop)
    with bench.shadow() as shadow:
        result = bench.run(jobs=jobs, engine=engine)
        assert result.failure is None
        assert result.ok
        for name, query in COMPARED.items():
            assert postgres18.query(query, shadow) == postgres16.query(query, shop), name
        owners_query = (
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert postgres18.query(owners_query, shadow) == [(bench.names.role,)]
        estimates_query = "SELECT reltuples FROM pg_class WHERE relname IN ('orders', 'totals') ORDER BY reltuples"
        assert postgres18.query(estimates_query, shadow) == [(1.0,), (3000.0,)]
    verification = result.verification
    assert verification is not None
    assert (verification.verified, verification.large_objects, verification.rows) == (
        True,
        5,
        500 + 3000 + 1000 + 300 + 2 + 1 + 10,
    )
    compared = {group.kind: group.count for group in verification.compared}
    assert {"constraint", "function", "index", "materialized view", "table", "trigger", "type", "view"} <= set(compared)
    assert (compared["table"], compared["materialized view"]) == (12, 3)
    assert verification.not_compared == [
        "contents of 5 large objects: only `verify: checksums` compares them",
        "rows of 3 materialised views: the copy makes them anew",
    ]
    skipped_objects = list_skipped(result)
    for skipped in (
        "PUBLICATION news",
        "EVENT TRIGGER watch",
        "SERVER away",
        "FOREIGN TABLE public.remote",
        "VIEW public.remote_view: it needs FOREIGN TABLE public.remote",
        "POLICY public.secrets of the clerk: it names a role that the target lacks (shop_clerk)",
    ):
        assert skipped in skipped_objects
    percents = [line["percent"] for line in bench.lines("progress")]
    assert percents == sorted(percents)
    assert {line["phase"] for line in bench.lines("progress")} == {"schema", "data", "indexes", "analyze", "verify"}
    assert not list(bench.environment.private.iterdir())
    assert any(f"by {engine}, with" in line["message"] for line in bench.lines("log"))


def wrap_client(bench: Bench, tmp_path: Path, program: str, major: int, script: str) -> None:
    """Replaces one client program by a shell script, in which `$REAL` is the client."""
    root = tmp_path / "wrapped"
    for path in bench.bin_root.iterdir():
        (root / path.name / "bin").mkdir(parents=True)
        for client in (path / "bin").iterdir():
            (root / path.name / "bin" / client.name).symlink_to(client.resolve())
    wrapper = root / str(major) / "bin" / program
    real = wrapper.resolve()
    wrapper.unlink()
    wrapper.write_text(f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec "$REAL" --version\n{script}\n')
    wrapper.chmod(0o755)
    bench.bin_root = root


def test_T40_clients_get_no_password_in_arguments_or_environment(
    bench: Bench, shop: str, postgres16: PostgresServer, tmp_path: Path
) -> None:
    bench.source_url = postgres16.url(shop)
    wrap_client(bench, tmp_path, "pg_dump", 16, f'(env; echo "$@") > {tmp_path}/recorded; exec "$REAL" "$@"')
    with bench.shadow():
        assert bench.run().ok
    recorded = (tmp_path / "recorded").read_text()
    assert "PGPASSFILE=" in recorded
    assert "PGHOSTADDR=127.0.0.1" in recorded
    assert postgres16.superuser_password not in recorded
    assert postgres16.superuser_password not in bench.out.getvalue()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("program", "major", "script", "expected", "message"),
    [
        pytest.param("pg_dump", 16, "kill -9 $$", Reason.WORKER_OUT_OF_MEMORY, "signal 9", id="pg_dump is killed"),
    ],
)
def test_T30_a_failure_during_the_copy_has_a_reason(
    bench: Bench,
    shop: str,
    postgres16: PostgresServer,
    tmp_path: Path,
    program: str,
    major: int,
    script: str,
    expected: Reason,
    message: str,
    engine: str,
) -> None:
    bench.source_url = postgres16.url(shop)
    wrap_client(bench, tmp_path, program, major, script)
    with bench.shadow():
        result = bench.run(engine=engine)
    assert failure_reason(result) is expected
    assert result.failure is not None
    assert message in result.failure.message
    assert result.verification is None or not result.verification.verified


@pytest.mark.parametrize("engine", ENGINES)
def test_T30_a_full_scratch_volume_is_named(
    bench: Bench, shop: str, postgres16: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The test raises the limit instead of filling a volume."""
    monkeypatch.setattr(client_probe, "FULL_BYTES", 2**62)
    bench.source_url = postgres16.url(shop)
    wrap_client(bench, tmp_path, "pg_dump", 16, 'echo "pg_dump: error: could not write to file" >&2; exit 1')
    with bench.shadow():
        result = bench.run(engine=engine)
    assert failure_reason(result) is Reason.SCRATCH_FULL
    assert result.failure is not None
    assert "could not write to file" in result.failure.message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("step", "statement", "expected", "message"),
    [
        pytest.param(
            "create_post_data",
            "DELETE FROM orders WHERE id = 1",
            Reason.VERIFICATION_FAILED,
            "public.orders has 3000 rows at the source and 2999 rows in the copy",
            id="a row is lost",
        ),
        pytest.param(
            "create_post_data",
            "ALTER TABLE orders DROP CONSTRAINT long_note",
            Reason.VERIFICATION_FAILED,
            "missing in the copy: constraint public.orders: long_note",
            id="a constraint is lost",
        ),
        pytest.param(
            "create_structure",
            'DROP TABLE "DATA".foo',
            Reason.RESTORE_FAILED,
            'relation "DATA.foo" does not exist',
            id="a table is lost",
        ),
    ],
)
def test_T30_what_is_lost_after_a_step_fails_the_import(
    bench: Bench,
    shop: str,
    postgres16: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    statement: str,
    expected: Reason,
    message: str,
    engine: str,
) -> None:
    bench.source_url = postgres16.url(shop)
    run_step = getattr(DefinitionRestore, step)
    with bench.shadow() as shadow:

        def run_step_and_lose(*arguments: Any, **options: Any) -> None:
            run_step(*arguments, **options)
            bench.target.execute(statement, shadow)

        monkeypatch.setattr(DefinitionRestore, step, run_step_and_lose)
        result = bench.run(engine=engine)
    assert failure_reason(result) is expected
    assert result.failure is not None
    assert message in result.failure.message
    assert result.verification is None or not result.verification.verified


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ENGINES)
def test_T21_timeouts_of_either_server_do_not_end_a_copy(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, engine: str
) -> None:
    """Each timeout is shorter than the copy, which idles in a transaction and runs long statements on both servers."""
    settings = ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout")
    with postgres16.database("hasty") as name:
        postgres16.execute(
            "CREATE TABLE long AS SELECT i, repeat('x', 99) AS t FROM generate_series(1, 499999) AS i", name
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            for server, database in ((postgres16, name), (postgres18, shadow)):
                for setting in settings:
                    server.execute(f'ALTER DATABASE "{database}" SET {setting} = 300')
            result = bench.run(engine=engine)
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == 499999


@pytest.mark.parametrize("on_object_error", ["skip", "fail"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_index_that_the_target_refuses_is_skipped_or_fails_the_import(
    bench: Bench, postgres16: PostgresServer, engine: str, on_object_error: str
) -> None:
    with postgres16.database("broken"):
        postgres16.execute(
            "CREATE FUNCTION home(int) RETURNS boolean LANGUAGE sql IMMUTABLE"
            " AS $$ SELECT current_database() = 'broken' $$;"
            "CREATE TABLE homesick AS SELECT 1 AS id; CREATE INDEX away ON homesick ((1 / home(id)::int))",
            "broken",
        )
        bench.source_url = postgres16.url("broken")
        with bench.shadow():
            result = bench.run(engine=engine, on_object_error=on_object_error)
    if on_object_error == "skip":
        assert result.ok
        assert [(item.object, item.sqlstate) for item in result.skipped] == [("INDEX public.away", "22012")]
    else:
        assert failure_reason(result) is Reason.RESTORE_FAILED
        assert result.failure is not None
        assert "the target refuses INDEX public.away: division by zero" in result.failure.message


def test_unreadable_tables_are_reported_with_the_missing_grant(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("closed"):
        postgres16.execute(
            "CREATE TABLE readable (x int); CREATE TABLE hidden (x int); GRANT SELECT ON readable TO admin", "closed"
        )
        bench.source_url = postgres16.url("closed", "admin")
        with bench.shadow():
            result = bench.run()
    assert failure_reason(result) is Reason.SOURCE_PERMISSION_DENIED
    assert result.failure is not None
    assert 'public.hidden: GRANT USAGE ON SCHEMA "public" TO "admin"; GRANT SELECT ON TABLE' in result.failure.message


def test_extensions_and_schemas_that_the_shadow_has_are_used(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer
) -> None:
    create_extension = "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions;"
    with postgres16.database("vectors"):
        postgres16.execute(create_extension, "vectors")
        postgres16.execute(
            "COMMENT ON EXTENSION vector IS 'x'; COMMENT ON SCHEMA extensions IS 'y';"
            "CREATE TABLE public.points (p extensions.vector(2)); INSERT INTO public.points VALUES ('[1,2]')",
            "vectors",
        )
        bench.source_url = postgres16.url("vectors")
        with bench.shadow() as shadow:
            postgres18.execute(f"{create_extension} GRANT USAGE ON SCHEMA extensions TO {bench.names.role}", shadow)
            result = bench.run()
            assert result.failure is None
            assert postgres18.query("SELECT p::text FROM points", shadow) == [("[1,2]",)]


@pytest.mark.parametrize(
    ("comment", "lost"), [(r"it''s \y", []), ("z", ['COMMENT SCHEMA "extensions"'])], ids=["equal", "different"]
)
def test_a_comment_that_the_shadow_has_already_is_not_lost(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, comment: str, lost: list[str]
) -> None:
    """Seen before: a schema of a template, which belongs to a superuser, made FullyImported False by its comment."""
    statement = "CREATE SCHEMA extensions; COMMENT ON SCHEMA extensions IS '{}'"
    with postgres16.database("commented") as name:
        postgres16.execute(statement.format(r"it''s \y"), name)
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            postgres18.execute(statement.format(comment), shadow)
            result = bench.run()
    assert result.ok, result.failure
    assert [item.object for item in result.skipped] == lost


def test_an_empty_database_is_copied(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("nothing"):
        bench.source_url = postgres16.url("nothing")
        with bench.shadow():
            result = bench.run()
    assert result.ok
    assert result.verification is not None
    assert (result.verification.verified, result.verification.tables) == (True, 0)


def test_a_view_that_cannot_be_refreshed_is_reported_and_the_import_succeeds(
    bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("views"):
        postgres16.execute(
            "CREATE TABLE t (x int); INSERT INTO t VALUES (1);"
            "CREATE MATERIALIZED VIEW ratio AS SELECT 1 / x FROM t; UPDATE t SET x = 0",
            "views",
        )
        bench.source_url = postgres16.url("views")
        with bench.shadow():
            result = bench.run()
    assert result.ok
    assert list_skipped(result) == (
        "MATERIALIZED VIEW DATA public.ratio: the view exists without rows: division by zero (SQLSTATE 22012)"
    )
    assert [item.group for item in result.skipped] == [SkipGroup.REFUSED]


UNANALYZABLE = """
    CREATE TABLE t (x int, y int); CREATE STATISTICS s ON (1 / x), y FROM t; INSERT INTO t VALUES (0, 0);
    CREATE TABLE fine (x int); INSERT INTO fine VALUES (1);
    CREATE MATERIALIZED VIEW v AS SELECT * FROM t; CREATE STATISTICS v_s ON (1 / x), y FROM v"""


@pytest.mark.parametrize("engine", ENGINES)
def test_statistics_that_cannot_be_collected_are_a_note(bench: Bench, postgres16: PostgresServer, engine: str) -> None:
    """Seen before: an import ended with `division by zero`, raised by an expression of CREATE STATISTICS."""
    with postgres16.database("unanalyzable") as name:
        postgres16.execute(UNANALYZABLE, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            analyzed = "SELECT tablename FROM pg_stats WHERE schemaname = 'public'"
            assert bench.target.query(analyzed, shadow) == [("fine",)]
    assert result.verification is not None
    for relation in ("t", "v"):
        note = f"public.{relation} has no statistics for the planner, because ANALYZE fails: division by zero"
        assert [text.startswith(note) for text in result.verification.notes].count(True) == 1
    assert result.skipped == []


GENERATED = """
    CREATE SCHEMA app;
    CREATE FUNCTION app.part(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
    SET search_path = app;
    CREATE FUNCTION app.whole(text) RETURNS text LANGUAGE {language} IMMUTABLE AS '{body}';
    CREATE TABLE app.items (name text, shown text GENERATED ALWAYS AS (whole(name)) STORED);
    INSERT INTO items VALUES ('x')"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("language", "body"),
    [("sql", "SELECT part($1)"), ("plpgsql", "BEGIN RETURN part($1); END")],
    ids=["sql", "plpgsql"],
)
def test_a_generated_column_that_needs_a_search_path_is_explained(
    bench: Bench, postgres16: PostgresServer, engine: str, language: str, body: str
) -> None:
    """The server inlines the function of the first case when it creates the table."""
    with postgres16.database("generated") as name:
        postgres16.execute(GENERATED.format(language=language, body=body), name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(engine=engine)
    cause = "The function's body names an object without its schema, which the import's search_path does not have"
    text = list_skipped(result) if result.failure is None else result.failure.advice + result.failure.message
    assert cause in text
    assert "whole" in text


UNQUALIFIED = """
    CREATE TABLE rates (rate int); INSERT INTO rates VALUES (2);
    CREATE FUNCTION rated(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
        'BEGIN RETURN $1 * (SELECT rate FROM rates); END';
    CREATE TABLE prices (price int CONSTRAINT positive CHECK (rated(price) > 0)); INSERT INTO prices VALUES (1)"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_check_gets_the_search_path_that_its_function_needs(
    bench: Bench, postgres16: PostgresServer, engine: str
) -> None:
    """Seen before: the copy lacked the CHECK: `relation "rates" does not exist`."""
    with postgres16.database("unqualified") as name:
        postgres16.execute(UNQUALIFIED, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(engine=engine)
    assert result.ok, result.failure
    assert list_skipped(result) == ""


UNUSUAL_SETTINGS = """
    ALTER DATABASE "{0}" SET timezone = 'Asia/Kathmandu'; ALTER DATABASE "{0}" SET datestyle = 'German';
    ALTER DATABASE "{0}" SET bytea_output = 'escape'; ALTER DATABASE "{0}" SET intervalstyle = 'iso_8601'"""
EVERY_TYPE = """
    CREATE TABLE every (
        one integer, at timestamptz, day date, span interval, price money, bytes bytea, ratio float8, tags text[],
        doc jsonb, point point, net inet, flag boolean, bits bit varying, id uuid, vec tsvector, one_more numeric);
    INSERT INTO every SELECT n, now(), now()::date, now() - '2000-01-01', n::numeric::money,
        pg_catalog.sha256(n::text::bytea), 1.0 / (n + 1), ARRAY[n::text, NULL, '\\"'], jsonb_build_object('n', n),
        point(n, n), '10.0.0.1', n % 2 = 0, B'101', pg_catalog.gen_random_uuid(), to_tsvector('simple', 'a ' || n),
        1e30 / (n + 1) FROM generate_series(1, 500) AS n;
    CREATE TABLE nothing (); INSERT INTO nothing SELECT FROM generate_series(1, 3);
    CREATE TABLE without_rows (i integer);
    CREATE TABLE parted (i integer, t text) PARTITION BY HASH (i);
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO parted SELECT n, n FROM generate_series(1, 100) AS n"""


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ENGINES)
def test_a_view_that_needs_a_key_is_created_before_its_indexes(
    bench: Bench, postgres16: PostgresServer, engine: str
) -> None:
    """The view groups by a primary key, so pg_dump creates it after the keys and not with the tables."""
    with postgres16.database("grouped") as name:
        postgres16.execute(
            "CREATE TABLE one (id int PRIMARY KEY, name text); INSERT INTO one VALUES (1, 'a');"
            " CREATE MATERIALIZED VIEW grouped AS SELECT id, name, count(*) FROM one GROUP BY id;"
            " CREATE UNIQUE INDEX grouped_by_id ON grouped (id); COMMENT ON INDEX grouped_by_id IS 'late'",
            name,
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            assert bench.target.query("SELECT id, obj_description('grouped_by_id'::regclass) FROM grouped", shadow) == [
                (1, "late")
            ]


@pytest.mark.parametrize("engine", ENGINES)
def test_digests_of_equal_rows_do_not_depend_on_settings(bench: Bench, postgres16: PostgresServer, engine: str) -> None:
    with postgres16.database("digests") as name:
        for statement in (*UNUSUAL_SETTINGS.format(name).split(";"), *EVERY_TYPE.split(";")):
            postgres16.execute(statement, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(verify="checksums", engine=engine)
    assert result.ok, result.failure
    assert result.verification is not None
    assert (result.verification.mode, result.verification.verified) == ("checksums", True)
    assert (result.verification.rows, result.verification.differences) == (603, [])


@pytest.mark.thorough
@pytest.mark.parametrize("verify", ["checksums", "counts"])
def test_a_value_that_changed_during_the_copy_is_found_by_its_digest(
    bench: Bench, shop: str, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    bench.source_url = postgres16.url(shop)
    create_post_data = DefinitionRestore.create_post_data
    with bench.shadow() as shadow:

        def create_post_data_and_change(*arguments: Any, **options: Any) -> None:
            create_post_data(*arguments, **options)
            bench.target.execute("UPDATE orders SET id = -id WHERE id = 1", shadow)

        monkeypatch.setattr(DefinitionRestore, "create_post_data", create_post_data_and_change)
        result = bench.run(verify=verify)
    assert result.verification is not None
    if verify == "counts":
        assert result.ok, result.failure
        return
    assert result.failure is not None
    assert result.failure.reason is Reason.VERIFICATION_FAILED
    assert "public.orders has 3000 rows on both sides, but not the same ones" in result.failure.message
    (difference,) = result.verification.differences
    assert (difference.source_rows, difference.target_rows) == (3000, 3000)
    assert difference.source_digest != difference.target_digest


def test_an_import_without_verification_is_not_verified(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("plain"):
        bench.source_url = postgres16.url("plain")
        with bench.shadow():
            result = bench.run(verify="none")
    assert result.ok
    assert result.verification is not None
    assert (result.verification.mode, result.verification.verified) == ("none", False)


def test_the_import_waits_for_its_gate(bench: Bench, postgres16: PostgresServer) -> None:
    results: list[WorkerResult] = []
    with postgres16.database("late"), bench.shadow(login=False):
        bench.source_url = postgres16.url("late")
        worker = Thread(target=lambda: results.append(bench.run()))
        worker.start()
        while worker.is_alive() and not bench.lines("log"):
            time.sleep(0.02)
        assert "is not permitted to log in" in bench.lines("log")[0]["message"]
        bench.open_gate()
        worker.join(20)
    assert [result.ok for result in results] == [True]


def test_clients_without_security_fixes_are_refused(bench: Bench) -> None:
    result = bench.run(floors={16: 15, 18: 6})
    assert failure_reason(result) is Reason.CLIENT_TOO_OLD
    assert result.failure is not None
    assert "pg_restore 18.4 lacks security fixes: at least 18.6 is needed" in result.failure.message

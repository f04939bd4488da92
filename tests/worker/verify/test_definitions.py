"""Definitions mean the same in the copy as at the source, or the report lists them."""

import time

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.verify.conftest import ContribBench

from pgimport.worker.pipeline.live_source import LiveSource
from pgimport.worker.verify.definitions import read_definitions, read_source_definitions
from pgimport.worker.verify.findings import Findings

EXTENSIONS = "CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore"
# Definitions that do not print their operators, and what depends on them.
OPERATORS = """
CREATE TABLE people (id int PRIMARY KEY, email citext, path ltree, tags hstore, changes int DEFAULT 0,
  known boolean DEFAULT (NULLIF('A'::citext, 'a'::citext) IS NULL),
  same boolean GENERATED ALWAYS AS (NULLIF(email, 'X'::citext) IS NULL) STORED,
  CONSTRAINT not_root CHECK (email IS DISTINCT FROM 'ROOT'::citext));
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN new.changes := old.changes + 1; RETURN new; END';
CREATE TRIGGER email_changed BEFORE UPDATE ON people FOR EACH ROW
  WHEN (old.email IS DISTINCT FROM new.email) EXECUTE FUNCTION count_change();
CREATE TRIGGER off BEFORE UPDATE ON people FOR EACH ROW
  WHEN (old.email IS DISTINCT FROM new.email) EXECUTE FUNCTION count_change();
ALTER TABLE people DISABLE TRIGGER off;
COMMENT ON TRIGGER email_changed ON people IS 'counts';
INSERT INTO people (id, email, path, tags) VALUES (1, 'x', 'a.b', 'k=>1'), (2, 'Y', 'b', NULL);
CREATE VIEW addresses AS SELECT id, NULLIF(email, 'X'::citext) AS email FROM people;
CREATE VIEW known_addresses AS SELECT email FROM addresses WHERE email IS NOT NULL;
COMMENT ON VIEW addresses IS 'all'; COMMENT ON COLUMN addresses.email IS 'one';
CREATE VIEW cased AS SELECT id, CASE email WHEN 'X' THEN 1 ELSE 2 END AS n FROM people;
CREATE VIEW listed AS SELECT id FROM people WHERE email IN ('X', 'Y') OR email = ANY (ARRAY['Z'::citext]);
CREATE VIEW plain AS SELECT people.id, count(*) AS n FROM people GROUP BY people.id;
CREATE MATERIALIZED VIEW stored AS SELECT id, NULLIF(email, 'X'::citext) AS email FROM people;
CREATE UNIQUE INDEX stored_key ON stored (id); COMMENT ON INDEX stored_key IS 'key';
CREATE VIEW over_stored AS SELECT email FROM stored;
CREATE INDEX by_known ON people ((NULLIF(email, 'X'::citext)));
CREATE RULE no_x AS ON DELETE TO people WHERE (old.email IS DISTINCT FROM 'X'::citext) DO INSTEAD NOTHING;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY others ON people USING (email IS DISTINCT FROM 'X'::citext);
CREATE FUNCTION is_x(email citext) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN NULLIF(email, 'X'::citext) IS NULL;
CREATE DOMAIN address AS citext CHECK (VALUE IS DISTINCT FROM 'ROOT'::citext);
"""
BEHAVIOUR = """
SELECT (SELECT string_agg(COALESCE(email::text, '-'), ',' ORDER BY id) FROM addresses),
  (SELECT string_agg(email::text, ',') FROM known_addresses), (SELECT string_agg(n::text, ',' ORDER BY id) FROM cased),
  (SELECT count(*) FROM listed), (SELECT string_agg(COALESCE(email::text, '-'), ',' ORDER BY id) FROM stored),
  is_x('x'), (SELECT string_agg(same::text, ',' ORDER BY id) FROM people),
  (SELECT string_agg(tgname::text || tgenabled::text, ',' ORDER BY tgname)
   FROM pg_trigger WHERE tgrelid = 'people'::regclass),
  obj_description((SELECT oid FROM pg_trigger WHERE tgname = 'email_changed'), 'pg_trigger'),
  obj_description('addresses'::regclass), col_description('addresses'::regclass, 2),
  obj_description('stored_key'::regclass)
"""


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_operators_of_extensions_are_the_same_in_the_copy(contrib_bench: ContribBench, engine: str) -> None:
    bench, source, target = contrib_bench, contrib_bench.source, contrib_bench.target
    copied: list[list[tuple[object, ...]]] = []

    def inspect(shadow: str) -> None:
        copied.append(target.query(BEHAVIOUR, shadow))
        target.execute("UPDATE people SET email = upper(email::text)::citext", shadow)
        copied.append(target.query("SELECT id, changes FROM people ORDER BY id", shadow))

    with source.database("operators") as name:
        source.execute(f"{EXTENSIONS}; {OPERATORS}", name)
        result = bench.run(name, EXTENSIONS, inspect, engine=engine, verify="checksums")
        expected = source.query(BEHAVIOUR, name)
        source.execute("UPDATE people SET email = upper(email::text)::citext", name)
        changes = source.query("SELECT id, changes FROM people ORDER BY id", name)
    assert result.ok, result.failure
    assert result.verification is not None
    assert copied == [expected, changes]
    assert [item for item in result.skipped if item.group == "refused"] == []
    recreated = [note for note in result.verification.notes if note.startswith("created again")]
    assert any("VIEW public.addresses" in note for note in recreated), result.verification.notes
    assert any("TRIGGER public.people email_changed" in note for note in recreated)
    assert not any("plain" in note for note in recreated)


# Types without a cast to text: with an empty search_path, the server finds no operator at all.
OTHER_OPERATORS = """
CREATE TABLE nodes (id int, path ltree, tags hstore, changes int DEFAULT 0,
  same boolean GENERATED ALWAYS AS (tags IS NOT DISTINCT FROM 'k=>1'::hstore) STORED,
  CONSTRAINT no_root CHECK (path IS DISTINCT FROM 'root'::ltree));
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN new.changes := old.changes + 1; RETURN new; END';
CREATE TRIGGER path_changed BEFORE UPDATE ON nodes FOR EACH ROW
  WHEN (old.path IS DISTINCT FROM new.path) EXECUTE FUNCTION count_change();
CREATE TRIGGER tags_changed BEFORE UPDATE ON nodes FOR EACH ROW
  WHEN (old.tags IS DISTINCT FROM new.tags) EXECUTE FUNCTION count_change();
INSERT INTO nodes VALUES (1, 'a.b', 'k=>1'), (2, 'b', NULL);
CREATE VIEW paths AS SELECT id, NULLIF(path, 'b'::ltree) AS path, CASE tags WHEN 'k=>1'::hstore THEN 1 END AS n
  FROM nodes;
CREATE MATERIALIZED VIEW stored AS SELECT id FROM paths WHERE path IS NOT DISTINCT FROM 'a.b'::ltree;
"""
OTHER_BEHAVIOUR = """
SELECT (SELECT string_agg(concat(id, path, n), ',' ORDER BY id) FROM paths), (SELECT sum(id) FROM stored),
  (SELECT string_agg(same::text, ',' ORDER BY id) FROM nodes)
"""


def test_operators_of_types_without_a_cast_are_found(contrib_bench: ContribBench) -> None:
    copied: list[list[tuple[object, ...]]] = []
    changes = "SELECT id, changes FROM nodes ORDER BY id"
    update = "UPDATE nodes SET tags = tags, path = 'c' WHERE id = 1"

    def inspect(shadow: str) -> None:
        copied.append(contrib_bench.target.query(OTHER_BEHAVIOUR, shadow))
        contrib_bench.target.execute(update, shadow)
        copied.append(contrib_bench.target.query(changes, shadow))

    with contrib_bench.source.database("nodes") as name:
        contrib_bench.source.execute(f"{EXTENSIONS}; {OTHER_OPERATORS}", name)
        result = contrib_bench.run(name, EXTENSIONS, inspect, verify="checksums")
        expected = contrib_bench.source.query(OTHER_BEHAVIOUR, name)
        contrib_bench.source.execute(update, name)
        assert copied == [expected, contrib_bench.source.query(changes, name)]
    assert [item for item in result.skipped if item.group == "refused"] == []


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_backslashes_of_a_source_without_standard_strings_stay_the_same(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, engine: str
) -> None:
    indexes = "SELECT pg_get_indexdef('files_path'::regclass), pg_get_viewdef('normal'::regclass)"
    with postgres16.database("backslashes") as name:
        postgres16.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off")
        postgres16.execute(
            "CREATE TABLE files (path text DEFAULT E'c:\\\\x', CHECK (path <> E'\\\\'));"
            "CREATE UNIQUE INDEX files_path ON files (replace(path, E'\\\\', '/'));"
            "CREATE VIEW normal AS SELECT replace(path, E'\\\\', '/') FROM files; INSERT INTO files VALUES (E'a\\\\b')",
            name,
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            copied = postgres18.query(indexes, shadow)
            assert postgres18.query("SELECT * FROM normal", shadow) == [("a/b",)]
        with postgres16.connect(name) as connection:
            connection.execute("SET standard_conforming_strings = on")
            assert connection.execute(indexes).fetchall() == copied
    assert result.verification is not None
    assert [note for note in result.verification.notes if "created again" in note] == []


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_a_partition_that_gets_its_parents_identity_from_17_on_is_no_difference(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer, engine: str
) -> None:
    with postgres16.database("identities") as name:
        postgres16.execute(
            "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY, at date) PARTITION BY RANGE (at);"
            "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');"
            "INSERT INTO events (at) VALUES ('2025-01-01'), ('2025-02-01')",
            name,
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            postgres18.execute("INSERT INTO events (at) VALUES ('2025-03-01')", shadow)
            assert postgres18.query("SELECT max(id) FROM events", shadow) == [(3,)]
    assert result.verification is not None
    assert [note for note in result.verification.notes if "definition" in note] == []
    assert result.skipped == []


FUNCTIONS = """
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION g(b text, OUT c int) LANGUAGE sql AS 'SELECT 2';
CREATE TABLE t (n int DEFAULT f(1), m int CHECK (f(m) > 0)); INSERT INTO t VALUES (1, 1);
CREATE VIEW v AS SELECT n FROM t; CREATE VIEW w AS SELECT g('a') AS x
"""
CHANGES = """
DROP VIEW w; DROP FUNCTION g(text); CREATE FUNCTION g(b text) RETURNS text LANGUAGE sql AS 'SELECT b';
CREATE OR REPLACE VIEW v AS SELECT n, 1 AS one FROM t
"""


@pytest.mark.parametrize("step", ["compare_rows", "_release"])
@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_functions_and_views_may_change_at_the_source_during_the_import(
    bench: Bench, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch, step: str, engine: str
) -> None:
    run_step = getattr(LiveSource, step)

    def change_and_run(source: LiveSource, *arguments: object) -> object:
        postgres16.execute(CHANGES, "changing")
        return run_step(source, *arguments)

    monkeypatch.setattr(LiveSource, step, change_and_run)
    with postgres16.database("changing") as name:
        postgres16.execute(FUNCTIONS, name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(engine=engine)
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.verified


@pytest.mark.parametrize("on_object_error", ["skip", "fail"])
def test_a_definition_that_still_differs_is_listed_or_fails_the_import(
    bench: Bench, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch, on_object_error: str
) -> None:
    """The pipeline's other steps do not change definitions, so the test changes the copy."""
    compare_definitions = LiveSource.compare_definitions

    def change_and_compare(source: LiveSource, findings: Findings) -> None:
        bench.target.execute(
            "ALTER TYPE mood RENAME VALUE 'sad' TO 'glum'; ALTER TABLE t ALTER COLUMN n DROP DEFAULT",
            bench.names.database,
        )
        compare_definitions(source, findings)

    monkeypatch.setattr(LiveSource, "compare_definitions", change_and_compare)
    with postgres16.database("moods") as name:
        postgres16.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (n int DEFAULT 1)", name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(on_object_error=on_object_error)
    assert result.verification is not None
    if on_object_error == "fail":
        assert result.failure is not None
        assert "ENUM public.mood is" in result.failure.message
        return
    assert result.ok, result.failure
    assert [(item.object, item.group) for item in result.skipped] == [("ENUM public.mood", "refused")]
    assert "is `'sad', 'ok'` at the source and `'glum', 'ok'` in the copy" in result.skipped[0].reason
    assert any("DEFAULT public.t n" in note for note in result.verification.notes)


def test_texts_that_the_server_prints_in_another_form_after_it_has_read_them_are_no_difference(
    bench: Bench, postgres18: PostgresServer
) -> None:
    with postgres18.database("printed") as name:
        postgres18.execute(
            "CREATE TABLE t (id int, note text);"
            " CREATE VIEW listed (a, b) AS VALUES (1, 'x'), (2, NULL);"
            " CREATE FUNCTION change() RETURNS void LANGUAGE sql BEGIN ATOMIC"
            "   UPDATE t SET (note, id) = (SELECT 'x', NULL::int); END",
            name,
        )
        bench.source_url = postgres18.url(name)
        with bench.shadow():
            result = bench.run()
    assert result.ok, result.failure
    assert result.skipped == []
    assert result.verification is not None
    assert result.verification.notes == []


def test_a_policy_that_names_a_role_twice_is_no_difference(postgres16: PostgresServer) -> None:
    """pg_dump writes each role once."""
    policies = (
        "CREATE TABLE t (id int); CREATE POLICY once ON t TO admin, postgres;"
        " CREATE POLICY twice ON t TO postgres, admin, postgres;"
    )
    with postgres16.database("policies") as name, postgres16.connect(name) as connection:
        connection.execute(policies)
        once, twice = read_definitions(connection, ("",), ["policy"])
    assert once.statements[0] == str(twice.statements[0]).replace("twice", "once")


def test_five_thousand_objects_are_read_within_a_second(postgres16: PostgresServer) -> None:
    with postgres16.database("many") as name:
        for part in range(10):
            postgres16.execute(
                "DO $$ BEGIN FOR i IN 1..100 LOOP"  # noqa: S608
                f" EXECUTE format('CREATE TABLE t{part}_%s (id int PRIMARY KEY, n int DEFAULT 1 CHECK (n > 0))', i);"
                f" EXECUTE format('CREATE VIEW v{part}_%s AS SELECT n FROM t{part}_%s', i, i); END LOOP; END $$",
                name,
            )
        with postgres16.connect(name) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            begin = time.monotonic()
            read_source_definitions(connection)
            seconds = time.monotonic() - begin
            assert seconds < 20  # quadratic, it took minutes

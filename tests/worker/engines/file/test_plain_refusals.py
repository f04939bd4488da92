"""What the target refuses in plain SQL is skipped and listed, with everything that needs it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump
from tests.worker.engines.file.hand_written import list_skipped

from pgimport.model.import_choices import OnObjectError, Provider, SkipGroup
from pgimport.model.reasons import Reason
from pgimport.worker.archive.extension_names import describe_missing_extension
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.trim import find_mentions

ServeDump = Callable[[bytes], None]
REFUSED_CODE = """
CREATE FUNCTION safe(int) RETURNS bool IMMUTABLE LEAKPROOF LANGUAGE sql AS 'SELECT $1 > 0';
CREATE FUNCTION calls(int) RETURNS bool LANGUAGE sql AS 'SELECT public.safe($1)';
CREATE DOMAIN positive AS int CONSTRAINT is_positive CHECK (safe(VALUE));
CREATE TABLE t (id int PRIMARY KEY CONSTRAINT is_safe CHECK (safe(id)), flag bool DEFAULT safe(1), size positive);
CREATE VIEW v AS SELECT id FROM t WHERE safe(id);
CREATE VIEW w AS SELECT id FROM v;
COMMENT ON VIEW v IS 'gone';
INSERT INTO t VALUES (1, true, 1), (2, false, 2);
"""
ORPHANS = """
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int, parent int CONSTRAINT to_parent REFERENCES parents);
CREATE TABLE twins (id int);
INSERT INTO twins VALUES (7), (7);
CREATE FUNCTION is_small(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 10';
CREATE TABLE sizes (id int PRIMARY KEY, size int CONSTRAINT small CHECK (is_small(size)));
INSERT INTO sizes VALUES (1, 5);
CREATE OR REPLACE FUNCTION is_small(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 3';
SET session_replication_role = replica;
INSERT INTO children VALUES (1, 42);
"""


def make_dump(server: PostgresServer, folder: Path, statements: str, *options: str) -> bytes:
    with server.database("plain_source") as name:
        server.execute(statements, name)
        return dump(server, name, "plain", folder, *options)


def test_a_sequence_without_its_skipped_table_is_named(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    """Another table's default keeps the sequence, which then belongs to nothing."""
    statements = """
    CREATE FUNCTION size(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4abs';
    CREATE TABLE refused (id int, s int GENERATED ALWAYS AS (size(id)) STORED);
    CREATE SEQUENCE numbers OWNED BY refused.id;
    CREATE TABLE kept (id int DEFAULT nextval('numbers')); INSERT INTO kept DEFAULT VALUES;
    """
    serve_dump(make_dump(postgres16, tmp_path, statements))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        sequences = file_bench.target.query("SELECT relname FROM pg_class WHERE relkind = 'S'", shadow)
    skipped = list_skipped(result)
    assert "TABLE public.refused" in skipped
    named = "SEQUENCE OWNED BY public.numbers" if sequences else "SEQUENCE public.numbers"
    assert "TABLE public.refused" in skipped[named].reason
    assert sequences or "DEFAULT public.kept id" in skipped


def test_a_refused_function_costs_only_what_needs_it(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    serve_dump(make_dump(postgres16, tmp_path, REFUSED_CODE))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM t", shadow) == [(2,)]
    skipped = list_skipped(result)
    assert skipped.keys() == {
        "FUNCTION public.safe(integer)",
        "FUNCTION public.calls(integer)",
        "CHECK CONSTRAINT public.positive is_positive",
        "CHECK CONSTRAINT public.t is_safe",
        "DEFAULT public.t flag",
        "VIEW public.v",
        "VIEW public.w",
    }
    assert skipped["FUNCTION public.safe(integer)"].sqlstate == "42501"
    assert {item.group for item in skipped.values()} == {SkipGroup.REFUSED}
    assert "it needs FUNCTION public.safe(integer)" in skipped["VIEW public.v"].reason
    assert "it needs VIEW public.v" in skipped["VIEW public.w"].reason


def test_the_first_refusal_ends_the_import_if_the_user_wants_it(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    serve_dump(make_dump(postgres16, tmp_path, REFUSED_CODE))
    with file_bench.shadow():
        failure = file_bench.run(on_object_error=OnObjectError.FAIL).failure
    assert failure is not None
    assert failure.reason is Reason.RESTORE_FAILED
    assert "FUNCTION public.safe(integer)" in failure.message
    assert "42501" in failure.message


def test_rows_that_violate_a_constraint_are_named_by_their_key(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    content = make_dump(postgres16, tmp_path, ORPHANS)
    end = content.rindex(b"--\n-- PostgreSQL database dump complete")
    index = b"CREATE UNIQUE INDEX one_of_each ON public.twins USING btree (id);\n"
    key = b"ALTER TABLE public.sizes ADD CONSTRAINT to_twin FOREIGN KEY (id) REFERENCES public.twins (id);\n"
    serve_dump(content[:end] + index + key + content[end:])
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        valid = file_bench.target.query(
            "SELECT conname::text, convalidated FROM pg_constraint WHERE contype IN ('f', 'c')"
            " AND conrelid > 16384 ORDER BY 1",
            shadow,
        )
    skipped = list_skipped(result)
    assert valid == [("small", False), ("to_parent", False)]
    assert skipped.keys() == {
        "FK CONSTRAINT public.children to_parent",
        "CHECK CONSTRAINT public.sizes small",
        "INDEX public.one_of_each",
        "FK CONSTRAINT public.sizes to_twin",
    }
    needing = skipped["FK CONSTRAINT public.sizes to_twin"].reason
    assert needing.startswith("it needs INDEX public.one_of_each, which the target refused")
    assert skipped["FK CONSTRAINT public.children to_parent"].offending_key == "(parent)=(42)"
    assert skipped["INDEX public.one_of_each"].offending_key == "(id)=(7)"
    assert "42)" not in file_bench.out.getvalue()  # the log is no place for values of rows


@pytest.mark.parametrize("rows", [(), ("--inserts",), ("--rows-per-insert=2",), ("--column-inserts",)])
def test_rows_of_a_refused_table_are_counted_and_not_run_as_sql(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, rows: tuple[str, ...]
) -> None:
    statements = """
    CREATE FUNCTION low_in(cstring) RETURNS low IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
    CREATE FUNCTION low_out(low) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
    CREATE TYPE low (INPUT = low_in, OUTPUT = low_out, LIKE = int4);
    CREATE TABLE t (id serial, note text, value low);
    INSERT INTO t (note) VALUES ('; CREATE TABLE intruder ();'), (E'\\\\.'), ('x');
    CREATE INDEX i ON t (note);
    CREATE TABLE u (id int);
    INSERT INTO u VALUES (1);
    """
    serve_dump(make_dump(postgres16, tmp_path, statements, *rows))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        tables = file_bench.target.query(
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace",
            shadow,
        )
    skipped = list_skipped(result)
    assert tables == [("u",)]
    assert skipped["TABLE public.t"].rows == 3
    assert {"SEQUENCE public.t_id_seq", "INDEX public.i"} <= skipped.keys()


def test_a_refused_row_fails_the_import_and_names_its_table(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    content = make_dump(postgres16, tmp_path, "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (4711);")
    serve_dump(content.replace(b"4711", b"four"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert failure.reason is Reason.RESTORE_FAILED
    assert "public.t" in failure.message
    assert "line 2" in failure.message


def test_a_foreign_table_and_its_view_are_skipped_by_design(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    statements = """
    CREATE FOREIGN DATA WRAPPER far; CREATE SERVER there FOREIGN DATA WRAPPER far;
    CREATE FOREIGN TABLE f (id int) SERVER there; CREATE VIEW v AS SELECT id FROM f; CREATE TABLE t (id int);
    COMMENT ON FOREIGN TABLE f IS 'x'; COMMENT ON COLUMN f.id IS 'y'; COMMENT ON VIEW v IS 'z';
    """
    serve_dump(make_dump(postgres16, tmp_path, statements))
    with file_bench.shadow():
        result = file_bench.run(on_object_error=OnObjectError.FAIL)
    assert result.ok, result.failure
    skipped = list_skipped(result)
    assert skipped.keys() == {
        "FOREIGN DATA WRAPPER far",
        "SERVER there",
        "FOREIGN TABLE public.f",
        "VIEW public.v",
    }
    assert {item.group for item in skipped.values()} == {SkipGroup.BY_DESIGN}


@pytest.mark.parametrize(
    ("statement", "in_dump", "hint"),
    [
        ("CREATE TABLE app.t (a public.citext);", (), "--extension=citext"),
        ("CREATE INDEX i ON app.t USING gin (a public.gin_trgm_ops);", (), "--extension=pg_trgm"),
        ("CREATE TABLE app.t (a ext.hstore);", ("hstore",), "extension hstore, which is not in the copy"),
    ],
)
def test_a_missing_extension_is_named_with_the_option_of_pg_dump(
    statement: str, in_dump: tuple[str, ...], hint: str
) -> None:
    described = describe_missing_extension(find_mentions(scan_tokens(statement)), in_dump)
    assert described is not None
    assert hint in described


def test_a_table_of_another_schema_is_no_extension() -> None:
    assert describe_missing_extension(find_mentions(scan_tokens("CREATE VIEW v AS SELECT a FROM b.c;")), ()) is None


def test_objects_of_the_provider_are_skipped_with_their_rows(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    statements = """
    CREATE SCHEMA auth; CREATE TABLE auth.users (id int PRIMARY KEY); INSERT INTO auth.users VALUES (1);
    CREATE TABLE todos (owner int REFERENCES auth.users); INSERT INTO todos VALUES (1);
    """
    for options in ((), ("--inserts",)):
        serve_dump(make_dump(postgres16, tmp_path, statements, *options))
        with file_bench.shadow() as shadow:
            result = file_bench.run(provider=Provider.SUPABASE, on_object_error=OnObjectError.FAIL)
            assert result.ok, result.failure
            assert file_bench.target.query("SELECT count(*) FROM todos", shadow) == [(1,)]
        skipped = list_skipped(result)
        assert skipped.keys() == {
            "SCHEMA auth",
            "TABLE auth.users",
            "CONSTRAINT auth.users users_pkey",
            "FK CONSTRAINT public.todos todos_owner_fkey",
        }
        assert skipped["TABLE auth.users"].rows == 1
        assert {item.group for item in skipped.values()} == {SkipGroup.BY_DESIGN}


def test_clean_statements_and_placeholders_are_no_refusals(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path
) -> None:
    """pg_dump --clean drops what does not exist, and creates placeholders of views that need each other."""
    statements = """
    CREATE TYPE mood AS ENUM ('sad');
    CREATE TABLE t (id int PRIMARY KEY, feels mood);
    CREATE VIEW v AS SELECT id, feels FROM t GROUP BY id;
    CREATE TABLE u (id int REFERENCES t, value int DEFAULT 1 NOT NULL);
    CREATE MATERIALIZED VIEW m AS SELECT * FROM v;
    """
    for options in (("--clean",), ("--clean", "--if-exists")):
        serve_dump(make_dump(postgres16, tmp_path, statements, *options))
        with file_bench.shadow() as shadow:
            result = file_bench.run(on_object_error=OnObjectError.FAIL)
            assert result.ok, result.failure
            assert file_bench.target.query("SELECT count(*) FROM v, m", shadow) == [(0,)]
        assert result.skipped == []

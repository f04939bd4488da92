"""Statements that pg_dump does not write have the effect that they have in psql, or are named."""

import re
from collections.abc import Callable

import pytest
from tests.worker.conftest import Bench, list_skipped
from tests.worker.engines.file.archive_bytes import build_plain_dump
from tests.worker.engines.file.psql_comparison import Comparison

from pgimport.model.reasons import Reason
from pgimport.worker.engines.file.statement_rules import may_change_rows
from pgimport.worker.engines.file.tablespaces import remove_tablespaces
from pgimport.worker.verify.restored_file import FileRows, Name, plan_file_counts

ServeDump = Callable[[bytes], None]


@pytest.mark.parametrize(
    ("definition", "wanted"),
    [
        ("CREATE TABLE t (a int, tablespace text) TABLESPACE x;", "CREATE TABLE t (a int, tablespace text);"),
        ('CREATE TABLE t (a int) WITH (fillfactor=9) TABLESPACE "A x";', "CREATE TABLE t (a int) WITH (fillfactor=9);"),
        ("CREATE TABLE t (a int UNIQUE USING INDEX TABLESPACE x, b int);", "CREATE TABLE t (a int UNIQUE, b int);"),
        ("CREATE TABLE t TABLESPACE x AS SELECT 1 AS tablespace;", "CREATE TABLE t AS SELECT 1 AS tablespace;"),
        ("CREATE TABLE s.tablespace (a int);", None),
        ("CREATE INDEX i ON tablespace USING btree (a);", None),
        ("CREATE INDEX i ON t (a) TABLESPACE x WHERE tablespace > 0;", "CREATE INDEX i ON t (a) WHERE tablespace > 0;"),
        ("ALTER TABLE t ADD PRIMARY KEY (a) USING INDEX TABLESPACE x;", "ALTER TABLE t ADD PRIMARY KEY (a);"),
        ("ALTER TABLE t ADD COLUMN a int, SET TABLESPACE x;", "ALTER TABLE t ADD COLUMN a int;"),
        ("ALTER TABLE t SET TABLESPACE x, ADD COLUMN a int;", "ALTER TABLE t ADD COLUMN a int;"),
        ("ALTER TABLE t ADD COLUMN tablespace int;", None),
        ("ALTER TABLE t ADD tablespace int;", None),
        ("ALTER TABLE t ALTER tablespace SET NOT NULL;", None),
        ("ALTER TABLE t RENAME tablespace TO x;", None),
        ("ALTER TABLE t ATTACH PARTITION tablespace DEFAULT;", None),
    ],
)  # fmt: skip
def test_tablespaces_are_removed_from_a_definition(definition: str, wanted: str | None) -> None:
    assert " ".join(remove_tablespaces(definition).split()) == (wanted or definition)


PLACED = """
SET default_tablespace = fast;
CREATE TABLE public.t (id int NOT NULL, n text) TABLESPACE fast;
CREATE TABLE public.p (id int PRIMARY KEY USING INDEX TABLESPACE fast, n text UNIQUE USING INDEX TABLESPACE fast);
COPY public.t (id, n) FROM stdin;
7	a
\\.
ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id) USING INDEX TABLESPACE fast;
CREATE UNIQUE INDEX i ON public.t USING btree (n) TABLESPACE fast WHERE id > 5;
CREATE TABLE public.r (id int, tablespace text) PARTITION BY LIST (id) TABLESPACE fast;
CREATE TABLE public.r1 PARTITION OF public.r FOR VALUES IN (1) TABLESPACE fast;
ALTER TABLE public.t SET TABLESPACE fast, ADD COLUMN extra int;
ALTER INDEX public.i SET TABLESPACE fast;
SELECT pg_catalog.set_config('default_tablespace', 'fast', false);
"""


def test_tablespaces_cost_no_table_and_no_key(comparison: Comparison) -> None:
    placements = r"(?m)^(SET|ALTER INDEX|SELECT).*fast.*\n|SET TABLESPACE fast, |( USING INDEX)? TABLESPACE fast"
    result, differences = comparison.run(PLACED, for_psql=re.sub(placements, "", PLACED))
    assert differences == []
    assert result.skipped == []


def test_a_timeout_in_the_file_ends_no_statement(comparison: Comparison) -> None:
    statements = "SET lock_timeout = 1;\n{}CREATE TABLE public.t AS SELECT 1 AS one FROM pg_sleep(0.1);\n"
    timeouts = "SET statement_timeout = 1;\nSELECT set_config('statement_timeout', '1', false);\nRESET ALL;\n"
    result, differences = comparison.run(statements.format(timeouts), for_psql=statements.format(""))
    assert differences == []
    assert list_skipped(result) == ""


def test_rows_of_each_form_of_copy_arrive(comparison: Comparison) -> None:
    statements = """
    create table public.t (id int, note text);
    COPY public.t (id, note) FROM stdin WITH (FORMAT csv);
1,"a ""x"", b"
2,"two
lines"
\\.
    copy public.t from STDIN CSV HEADER DELIMITER ';' NULL 'nothing';
id;note
3;nothing
\\.
    COPY public.t FROM stdin WITH DELIMITER '|' NULL '';
4|
\\.
    COPY public.t (id, note) FROM STDIN WHERE id < 6;
5	a
6	b
\\.
    create table public.u (id int);
    copy public.u from stdin;
1
\\.
    create function public.f(a int) returns int language sql begin atomic select 1; select 2; end;
    """
    result, differences = comparison.run(statements)
    assert differences == []
    assert result.verification is not None
    assert (result.verification.tables, result.verification.rows) == (1, 1)
    assert any(text.startswith("rows of 1 table (public.t)") for text in result.verification.not_compared)


ROOT, LEAF, OTHER = ("s", "root"), ("s", "leaf"), ("s", "other")


@pytest.mark.parametrize(
    ("counts", "uncounted", "expected", "unknown"),
    [
        ({LEAF: 1, OTHER: 2}, set(), {LEAF: 1, OTHER: 2}, []),
        ({ROOT: 1}, set(), {ROOT: 1}, []),
        ({ROOT: 1, LEAF: 2}, set(), {ROOT: 3}, [LEAF]),
        ({ROOT: 1}, {LEAF}, {}, [LEAF, ROOT]),
        ({LEAF: 1}, {ROOT}, {}, [LEAF, ROOT]),
        ({LEAF: 1, OTHER: 2}, {LEAF}, {OTHER: 2}, [LEAF]),
    ],
)
def test_the_file_tells_the_rows_of_tables_that_only_get_counted_ones(
    counts: dict[Name, int], uncounted: set[Name], expected: dict[Name, int], unknown: list[Name]
) -> None:
    assert plan_file_counts(FileRows(counts, uncounted), {LEAF: {ROOT}}) == (expected, unknown)


NAMES = """
CREATE SCHEMA a;
CREATE SCHEMA b;
CREATE TABLE a.t (id int CONSTRAINT positive CHECK (id > 0), code text);
CREATE INDEX by_code ON a.t (code);
CREATE TRIGGER guard BEFORE UPDATE ON a.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE stay AS ON DELETE TO a.t DO INSTEAD NOTHING;
CREATE DOMAIN a.part AS int;
CREATE FUNCTION a.f(value int) RETURNS int LANGUAGE sql AS 'SELECT 1';
COPY a.t (id, code) FROM stdin;
1	x
\\.
CREATE MATERIALIZED VIEW a.m AS SELECT id FROM a.t WITH NO DATA;
REFRESH MATERIALIZED VIEW a.m;
ALTER TABLE a.t ADD CONSTRAINT key PRIMARY KEY (id);
ALTER TABLE a.t RENAME TO u;
ALTER TABLE a.u RENAME COLUMN code TO text;
ALTER TABLE a.u RENAME CONSTRAINT key TO u_key;
ALTER INDEX a.by_code RENAME TO by_text;
ALTER TRIGGER guard ON a.u RENAME TO guarded;
ALTER DOMAIN a.part RENAME TO portion;
ALTER FUNCTION a.f(int) RENAME TO g;
ALTER TABLE a.m RENAME TO totals;
ALTER TABLE a.u SET SCHEMA b;
ALTER SCHEMA b RENAME TO c;
COPY c.u (id, text) FROM stdin;
2	y
\\.
CREATE TABLE public.d (id int);
CREATE TABLE public.e (id int PRIMARY KEY);
CREATE TABLE public.f (id int);
CREATE VIEW public.v AS SELECT id FROM public.e;
COPY public.d (id) FROM stdin;
3
\\.
COPY public.e (id) FROM stdin;
3
\\.
ALTER TABLE public.f ADD CONSTRAINT to_e FOREIGN KEY (id) REFERENCES public.e (id);
DROP TABLE IF EXISTS public.absent, public.d, public.e CASCADE;
CREATE TABLE public.d (id int);
COPY public.d (id) FROM stdin;
4
5
\\.
ALTER TABLE c.u DROP CONSTRAINT u_key;
"""


def test_renamed_moved_and_dropped_objects_are_known_by_their_new_names(comparison: Comparison) -> None:
    result, differences = comparison.run(NAMES)
    assert differences == []
    assert result.skipped == []
    assert result.verification is not None
    assert (result.verification.tables, result.verification.rows) == (2, 4)
    lacking = [text.split(":")[1] for text in result.verification.not_compared if text.startswith("missing")]
    assert lacking == [" view public.v", " constraint public.f to_e"]  # dropped by CASCADE


PATHS = """
CREATE SCHEMA a;
CREATE SCHEMA b;
SET search_path = a;
CREATE TABLE t (id int);
COPY t (id) FROM stdin;
1
\\.
SET search_path TO "$user", b, a;
COPY t (id) FROM stdin;
2
\\.
CREATE TABLE u (id int PRIMARY KEY);
COPY u FROM stdin;
3
\\.
SET search_path = 'a', 'public';
CREATE TEMP TABLE stage (id int);
COPY stage (id) FROM stdin;
4
5
\\.
CREATE INDEX on_stage ON stage (id);
CREATE TABLE v AS SELECT id FROM stage;
SELECT id INTO w FROM stage;
SELECT id INTO TEMPORARY x FROM stage;
set schema 'b';
CREATE INDEX by_id ON u (id);
SELECT set_config('search_path', 'public, a', false);
CREATE TABLE y (id int);
COPY v (id) FROM stdin;
6
\\.
"""


def test_names_are_found_on_the_search_path(comparison: Comparison) -> None:
    result, differences = comparison.run(PATHS)
    assert differences == []
    assert result.skipped == []
    assert result.verification is not None
    assert (result.verification.tables, result.verification.rows) == (2, 3)
    listed = [text for text in result.verification.not_compared if "definitions" not in text and "values" not in text]
    assert len(listed) == 1
    assert listed[0].startswith("rows of 2 tables (a.v, a.w)")


SCHEMAS = """
SET search_path = public;
CREATE SCHEMA AUTHORIZATION owner;
CREATE SCHEMA IF NOT EXISTS s AUTHORIZATION owner;
CREATE SCHEMA shop AUTHORIZATION owner
    CREATE VIEW dear AS SELECT id FROM orders WHERE price > 10
    CREATE VIEW refused AS SELECT absent() AS a
    CREATE INDEX by_price ON orders (price)
    CREATE TABLE orders (id serial PRIMARY KEY, price int CHECK (price > 0))
    GRANT SELECT ON orders TO owner;
COPY shop.orders (price) FROM stdin;
11
\\.
CREATE TABLE after (id int);
CREATE TABLE s.dropped (id int);
DROP SCHEMA IF EXISTS s, public, absent CASCADE;
"""
SCHEMAS_IN_PSQL = """
CREATE SCHEMA owner;
CREATE SCHEMA shop
    CREATE VIEW dear AS SELECT id FROM orders WHERE price > 10
    CREATE INDEX by_price ON orders (price)
    CREATE TABLE orders (id serial PRIMARY KEY, price int CHECK (price > 0));
INSERT INTO shop.orders (price) VALUES (11);
CREATE TABLE after (id int);
"""


def test_a_schema_arrives_with_its_elements_and_without_its_owner(comparison: Comparison) -> None:
    """Schema `public` of the copy stays, because it may hold extensions that only the operator can create."""
    result, differences = comparison.run(SCHEMAS, for_psql=SCHEMAS_IN_PSQL)
    assert differences == []
    assert [item.object for item in result.skipped] == ["VIEW shop.refused"]
    assert result.verification is not None
    assert result.verification.rows == 1
    assert any("drops the schema public, which stays" in note for note in result.verification.notes)


OTHERS = """
SET standard_conforming_strings = off;
CREATE TABLE public.t (id int, note text);
INSERT INTO public.t VALUES (1, 'it\\'s; one'), (2, 'a\\\\');
SET standard_conforming_strings = on;
INSERT INTO public.t VALUES (3, 'b\\');
CREATE TABLE public.t (id int);
CREATE STATISTICS (dependencies) ON id, note FROM public.t;
CREATE POLICY p ON public.t USING (id > 1);
ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;
CREATE POLICY q ON public.t USING (id > 2);
DROP POLICY q ON public.t;
ALTER TABLE public.t RENAME TO u;
CREATE POLICY r ON public.u USING (id > 3);
ALTER POLICY r ON public.u RENAME TO s;
CREATE MATERIALIZED VIEW public.m AS SELECT id FROM public.u;
CREATE MATERIALIZED VIEW public.n AS SELECT id FROM public.u;
REFRESH MATERIALIZED VIEW public.n WITH NO DATA;
CLOSE absent;
"""


def test_policies_strings_and_second_definitions_are_as_in_psql(comparison: Comparison) -> None:
    result, differences = comparison.run(OTHERS)
    assert differences == []
    assert [item.object for item in result.skipped] == ["STATEMENT in line 16"]
    assert "TABLE public.t is there already" in result.skipped[0].reason


ROLLED_BACK = """
CREATE TABLE public.t (id int);
BEGIN;
COPY public.t (id) FROM stdin;
1
\\.
CREATE TABLE public.gone (id int CHECK (id > 0));
INSERT INTO public.gone VALUES (1);
CREATE TRIGGER gone BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ROLLBACK;
START TRANSACTION;
COPY public.t (id) FROM stdin;
2
\\.
SAVEPOINT s;
CREATE TABLE public.also_gone (id int);
COPY public.also_gone (id) FROM stdin;
3
\\.
ROLLBACK TO SAVEPOINT s;
RELEASE SAVEPOINT s;
COMMIT;
"""


def test_what_the_file_rolls_back_is_not_expected(comparison: Comparison) -> None:
    result, differences = comparison.run(ROLLED_BACK)
    assert differences == []
    assert result.skipped == []
    assert result.verification is not None
    assert (result.verification.tables, result.verification.rows) == (1, 1)
    assert not any("missing" in text for text in result.verification.not_compared)


@pytest.mark.parametrize("statement", ["DELETE FROM public.t WHERE id = 1;", "SELECT public.fill();"])
def test_rows_that_the_file_itself_changes_cost_no_import(comparison: Comparison, statement: str) -> None:
    rows = "CREATE TABLE public.t (id int);\nCOPY public.t (id) FROM stdin;\n1\n2\n\\.\n"
    fill = "CREATE FUNCTION public.fill() RETURNS void LANGUAGE sql AS 'INSERT INTO public.t VALUES (7)';\n"
    result, differences = comparison.run(rows + fill + statement)
    assert differences == []
    assert result.verification is not None
    assert any(f"{statement.split()[0]} in line " in text for text in result.verification.not_compared)


@pytest.mark.parametrize(
    ("statement", "with_rows", "without_rows"),
    [
        ("TRUNCATE t;", True, False),
        ("UPDATE t SET a = 1;", True, False),
        ("DROP TABLE IF EXISTS t CASCADE;", True, False),
        ("ALTER TABLE t DETACH PARTITION u;", True, False),
        ("ALTER TABLE t ATTACH PARTITION u DEFAULT;", False, False),
        ("DO $$ BEGIN END $$;", True, True),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a;", True, True),
        ("CALL p();", True, True),
        ("SELECT public.f();", True, True),
        ("SELECT pg_catalog.setval('public.s', 1, true);", False, False),
        ("SELECT pg_catalog.set_config('search_path', '', false);", False, False),
        ("SELECT pg_catalog.lo_create('1');", False, False),
        ("CREATE TABLE t (a int);", False, False),
    ],
)
def test_statements_that_may_change_rows_are_known(statement: str, with_rows: bool, without_rows: bool) -> None:
    assert may_change_rows(statement, has_rows=True) == with_rows
    assert may_change_rows(statement, has_rows=False) == without_rows


def test_an_extension_that_nothing_needs_costs_no_import(file_bench: Bench, serve_dump: ServeDump) -> None:
    """A live source and an archive skip it too."""
    statements = """
    SELECT pg_catalog.set_config('search_path', '', false);
    CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
    CREATE TABLE public.t (id {});
    """
    serve_dump(build_plain_dump(statements.format("int")))
    report = file_bench.preflight(allowed_extensions=[])
    assert report.ok
    assert report.preflight is not None
    details = " ".join(check.detail for check in report.preflight.checks)
    assert "skips pgcrypto (nothing in front of the dump's first rows needs it" in details
    serve_dump(build_plain_dump(statements.format("int DEFAULT length(public.crypt('a', 'b'))")))
    report = file_bench.preflight(allowed_extensions=[])
    assert report.failure is not None
    assert "TABLE public.t" in report.failure.message


ENCODED = b"CREATE TABLE public.t (note text);\nCOPY public.t (note) FROM stdin;\ngood\ngr\xfc\xdfe\n\\.\n"


@pytest.mark.parametrize(
    ("setting", "text"),
    [(b"SET client_encoding TO latin1;\n", ""), (b"SET NAMES 'WIN1252';\n", ""), (b"", "correct that setting")],
)
def test_text_in_another_encoding_arrives_or_is_named_with_its_line(
    file_bench: Bench, serve_dump: ServeDump, setting: bytes, text: str
) -> None:
    content = build_plain_dump("").replace(b"\n\n\n", b"\n" + setting + ENCODED, 1)
    serve_dump(content)
    with file_bench.shadow() as shadow:
        failure = file_bench.run().failure
        rows = file_bench.target.query("SELECT note FROM public.t", shadow)
    if not text:
        assert failure is None
        assert rows == [("good",), ("grüße",)]
        return
    assert failure is not None
    line = content[: content.index(b"gr\xfc")].count(b"\n") + 1
    assert f"psql in line {line} of the dump: TABLE DATA public.t: invalid byte sequence" in failure.message
    assert text in failure.advice


def test_a_zero_byte_is_damage(file_bench: Bench, serve_dump: ServeDump) -> None:
    """psql loses the rest of its line, and so would wait for ever for the end of a COPY."""
    serve_dump(build_plain_dump(f"CREATE TABLE t (a text);\nCOPY t (a) FROM stdin;\na{chr(0)}b\n\\.\n"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert failure.reason is Reason.DUMP_CORRUPT
    assert "line 12 contains a zero byte" in failure.message


def test_a_statement_that_fires_no_trigger_is_named(file_bench: Bench, serve_dump: ServeDump) -> None:
    """In a schema followed by its rows, no trigger must fire. An UPDATE may be meant to fire one."""
    statements = """CREATE TABLE t (a int);
CREATE TRIGGER changed BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
INSERT INTO t VALUES (1);
UPDATE t SET a = 1;
UPDATE t SET a = 2;"""
    serve_dump(build_plain_dump(statements))
    with file_bench.shadow():
        result = file_bench.run()
    assert result.verification is not None
    notes = [note for note in result.verification.notes if "did not fire" in note]
    assert len(notes) == 1
    assert notes[0].startswith("UPDATE in line 13 of the dump did not fire triggers or rules such as TRIGGER public.t")


def test_a_large_object_that_is_created_twice_costs_nothing(file_bench: Bench, serve_dump: ServeDump) -> None:
    """So do files made of --section=pre-data and --data-only by pg_dump before 17."""
    serve_dump(build_plain_dump("SELECT pg_catalog.lo_create('5001');\n" * 2))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert file_bench.target.query("SELECT oid FROM pg_largeobject_metadata", shadow) == [(5001,)]
    assert result.ok, result.failure
    assert result.skipped == []


def test_a_text_search_configuration_without_its_mappings_is_listed_and_dropped(
    file_bench: Bench, serve_dump: ServeDump
) -> None:
    statements = """
    CREATE TEXT SEARCH CONFIGURATION public.words (PARSER = pg_catalog."default");
    ALTER TEXT SEARCH CONFIGURATION public.words ADD MAPPING FOR asciiword WITH public.absent;
    """
    serve_dump(build_plain_dump(statements))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert file_bench.target.query("SELECT FROM pg_ts_config WHERE cfgname = 'words'", shadow) == []
    assert result.ok, result.failure
    assert [item.object for item in result.skipped] == ["TEXT SEARCH CONFIGURATION public.words"]

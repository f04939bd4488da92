"""Names in plain SQL mean what they mean in psql, wherever the file changes settings or uses words as names."""

import pytest
from tests.worker.engines.file.psql_comparison import Comparison


def test_rows_follow_the_search_path(comparison: Comparison) -> None:
    """The rows of `b.t` must not share the fate of `a.t`, which is refused."""
    result, differences = comparison.run("""
    CREATE SCHEMA a; CREATE SCHEMA b;
    SET search_path = b; CREATE TABLE t (id int);
    SET search_path = a; CREATE TABLE t (id absent);
    INSERT INTO t VALUES (1);
    SET search_path = b;
    INSERT INTO t VALUES (2);
    """)
    assert differences == []
    assert {item.object: item.rows for item in result.skipped} == {"TABLE a.t": 1}


@pytest.mark.parametrize("reset", ["RESET search_path", "RESET ALL"])
def test_a_setting_that_the_file_resets_does_not_return(comparison: Comparison, reset: str) -> None:
    """RENAME adds a CHECK that waits for rows, and then makes the settings of the file again."""
    result, differences = comparison.run(
        """
    SET app.tenant = 'x'; SET NAMES 'UTF8'; SET TIME ZONE 'UTC';
    CREATE SCHEMA a;
    SET search_path = a;
    CREATE TABLE t (id int CHECK (id > 0));
    INSERT INTO t VALUES (1);
    RESET ALL;
    ALTER TABLE a.t RENAME COLUMN id TO n;
    CREATE TABLE u (id int);
    INSERT INTO u VALUES (2);
    """.replace("RESET ALL", reset)
    )
    assert differences == []
    assert result.skipped == []
    assert result.verification is not None
    assert "of the dump" not in "".join(result.verification.notes)


def test_a_key_that_waits_finds_its_tables(comparison: Comparison) -> None:
    """It was written before the file set the first search path."""
    result, differences = comparison.run("""
    CREATE TABLE b (id int PRIMARY KEY);
    CREATE TABLE c (id int REFERENCES b, n int);
    ALTER TABLE c ADD CONSTRAINT n_fk FOREIGN KEY (n) REFERENCES b;
    INSERT INTO b VALUES (1);
    INSERT INTO c VALUES (1, 1);
    SELECT pg_catalog.set_config('search_path', '', false);
    """)
    assert differences == []
    assert result.skipped == []


WORDS_AS_NAMES = """
CREATE TABLE rule (id int);
ALTER TABLE rule ADD COLUMN trigger text;
ALTER TABLE rule ADD COLUMN validate text;
COPY rule (id, trigger, validate) FROM stdin;
1\tx\ty
\\.
"""


def test_tables_and_columns_are_named_as_one_likes(comparison: Comparison) -> None:
    result, differences = comparison.run(WORDS_AS_NAMES)
    assert differences == []
    assert result.skipped == []


def test_rows_of_an_insert_with_a_comment_are_expected(comparison: Comparison) -> None:
    """They meet a key whose row comes later, and a table that a COPY fills too."""
    result, differences = comparison.run("""
    CREATE TABLE people (id int PRIMARY KEY);
    CREATE TABLE orders (buyer int REFERENCES people);
    INSERT /* the ; first */ INTO orders VALUES (1);
    COPY people (id) FROM stdin;
1
\\.
    INSERT -- another; one
    INTO people VALUES (2);
    """)
    assert [line for line in differences if "orders" not in line] == []
    assert result.skipped == []


def test_a_key_has_the_settings_of_its_transaction(comparison: Comparison) -> None:
    """The worker adds keys and triggers after the rows, when the transaction of SET LOCAL is over."""
    result, differences = comparison.run("""
    CREATE SCHEMA a; CREATE SCHEMA b;
    CREATE TABLE a.t (id int PRIMARY KEY); CREATE TABLE b.t (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY);
    SET search_path = public;
    SET LOCAL search_path = b;
    CREATE TABLE u (id int, n int, m int, o int);
    ALTER TABLE u ADD CONSTRAINT of_public FOREIGN KEY (id) REFERENCES t;
    BEGIN;
    SET LOCAL search_path = a;
    ALTER TABLE public.u ADD CONSTRAINT of_a FOREIGN KEY (n) REFERENCES t;
    SELECT set_config('search_path', 'b', true);
    ALTER TABLE public.u ADD CONSTRAINT of_b FOREIGN KEY (m) REFERENCES t;
    COMMIT;
    ALTER TABLE u ADD CONSTRAINT of_public_too FOREIGN KEY (o) REFERENCES t;
    INSERT INTO t VALUES (1); INSERT INTO a.t VALUES (2); INSERT INTO b.t VALUES (3);
    INSERT INTO u VALUES (1, 2, 3, 1);
    """)
    assert differences == []
    assert result.skipped == []


def test_a_setting_of_a_transaction_does_not_outlive_it(comparison: Comparison) -> None:
    """RENAME adds a CHECK that waits for rows, and then makes the settings of the transaction again."""
    result, differences = comparison.run("""
    CREATE SCHEMA a;
    CREATE TABLE t (id int CHECK (id > 0));
    INSERT INTO t VALUES (1);
    BEGIN;
    SET LOCAL search_path = a;
    ALTER TABLE public.t RENAME COLUMN id TO n;
    CREATE TABLE u (id int);
    COMMIT;
    CREATE TABLE u (id int);
    BEGIN; SET LOCAL search_path = a; ROLLBACK;
    CREATE TABLE v (id int);
    """)
    assert differences == []
    assert result.skipped == []


FUNCTIONS_OF_ROWS = """
CREATE FUNCTION public.plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION public.plus_two(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plus_one($1) + 1; END';
CREATE TABLE public.t (id int, n int GENERATED ALWAYS AS (public.plus_two(id)) STORED);
CREATE TABLE public.u (id int, n int GENERATED ALWAYS AS (public.plus_two(id)) STORED);
COPY public.t (id) FROM stdin;
1
\\.
INSERT INTO public.t (id) VALUES (2);
COPY public.u (id) FROM stdin;
3
\\.
CREATE SCHEMA other;
"""


@pytest.mark.parametrize(
    "empty",
    ["SELECT pg_catalog.set_config('search_path', '', false);", "SET search_path = '';"],
    ids=["pg_dump", "set"],
)
def test_functions_of_rows_have_a_search_path(comparison: Comparison, empty: str) -> None:
    """pg_dump writes an empty search_path. Rows need the one that the source's sessions have."""
    unqualified = "CREATE TABLE absent (id int);"
    result, differences = comparison.run(empty + FUNCTIONS_OF_ROWS + unqualified, for_psql=FUNCTIONS_OF_ROWS)
    assert differences == []
    assert [item.object for item in result.skipped] == ["TABLE public.absent"]  # the path is empty again


def test_constraints_wait_for_rows_of_a_table_with_an_alias(comparison: Comparison) -> None:
    tables = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int REFERENCES t CHECK (id > 0));"
    late, early = "INSERT INTO public.u AS x (id) VALUES (1), (2);", "INSERT INTO t AS y VALUES (1), (2);"
    result, differences = comparison.run(tables + late + early, for_psql=tables + early + late)
    assert differences == []
    assert result.skipped == []


def test_a_constraint_that_waits_names_its_types_with_their_schema(comparison: Comparison) -> None:
    """The server prints a constraint for the search_path of its session, which is the source's for rows."""
    empty = "SELECT pg_catalog.set_config('search_path', '', false);"
    tables = """
    CREATE TYPE public.mark AS ENUM ('x', 'y');
    CREATE TABLE public.t (m public.mark CONSTRAINT named CHECK (m <> 'y'::public.mark));
    CREATE TABLE public.u (m public.mark CONSTRAINT named CHECK (m <> 'y'::public.mark));
    COPY public.t (m) FROM stdin;
x
\\.
    COPY public.u (m) FROM stdin;
x
\\.
    INSERT INTO public.t (m) VALUES ('x');
    """
    result, differences = comparison.run(empty + tables)
    assert differences == []
    assert result.skipped == []


def test_a_condition_finds_the_operators_of_other_schemas(comparison: Comparison) -> None:
    """pg_dump writes no operator for IS DISTINCT FROM."""
    statements = """
    CREATE SCHEMA e;
    CREATE TABLE public.t (p point);
    CREATE FUNCTION e.equal(point, point) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 ~= $2';
    CREATE OPERATOR e.= (LEFTARG = point, RIGHTARG = point, FUNCTION = e.equal);
    CREATE VIEW public.v AS SELECT NULLIF(p, point(1, 2)) AS n FROM public.t;
    """
    empty = "SELECT pg_catalog.set_config('search_path', '', false);"
    result, differences = comparison.run(empty + statements, for_psql=f"SET search_path = e, public; {statements}")
    assert differences == []
    assert result.skipped == []


def test_the_check_of_a_domain_that_names_no_object_of_the_file_stays_valid(comparison: Comparison) -> None:
    """PostgreSQL cannot validate it after the rows, because the domain is inside of an array."""
    result, differences = comparison.run("""
    CREATE DOMAIN d AS text CONSTRAINT not_empty CHECK (pg_catalog.lower(VALUE) OPERATOR(pg_catalog.<>) '');
    CREATE TABLE t (a d[]);
    INSERT INTO t VALUES ('{x,y}');
    """)
    assert differences == []
    assert result.skipped == []


def test_rows_do_not_change_a_setting_of_their_transaction(comparison: Comparison) -> None:
    """The worker sets another search_path for rows if the file has an empty one."""
    result, differences = comparison.run("""
    CREATE TABLE t (id int);
    BEGIN;
    SET LOCAL search_path = '';
    INSERT INTO public.t VALUES (1);
    UPDATE public.t SET id = 2;
    COMMIT;
    CREATE TABLE u (id int);
    BEGIN;
    SELECT pg_catalog.set_config('search_path', '', true);
    INSERT INTO public.t VALUES (3);
    COMMIT;
    INSERT INTO t VALUES (4);
    CREATE TABLE v (id int);
    """)
    assert differences == []
    assert result.skipped == []


def test_rows_of_a_query_with_a_name_are_kept(comparison: Comparison) -> None:
    result, differences = comparison.run("""
    CREATE TABLE t (id int); CREATE TABLE u (id int);
    INSERT INTO t (id) WITH q AS (SELECT 1 AS x) SELECT x FROM q;
    INSERT INTO u WITH q AS (SELECT 2 AS x) SELECT x FROM q;
    INSERT INTO u AS z (id) SELECT 3 AS y;
    """)
    assert differences == []
    assert result.skipped == []

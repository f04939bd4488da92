"""Rows of a live source that violate the CHECK of a domain that PostgreSQL cannot validate later."""

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.result import WorkerResult

POSITIVE = "CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';"
STRICTER = "CREATE OR REPLACE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';"
NOT_VALID = "SELECT contypid::regtype || ' ' || conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1"


def import_rows(bench: Bench, source: PostgresServer, statements: str) -> tuple[WorkerResult, list[str]]:
    """Returns the result, and the CHECKs of the copy that are NOT VALID."""
    with source.database("strict") as name:
        source.execute(statements, name)
        bench.source_url = source.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine="relay")
            return result, [str(title) for (title,) in bench.target.query(NOT_VALID, shadow)]


@pytest.mark.parametrize(
    ("names", "not_valid"),
    [(("a", "b"), ["d a"]), (("a", "a"), ["d a", "derived a"])],
    ids=["other", "same"],
)
def test_the_check_of_the_domain_below_a_domain_is_dropped(
    bench: Bench, postgres16: PostgresServer, names: tuple[str, str], not_valid: list[str]
) -> None:
    """The server's error has the name of the upper domain with the name of the lower one's CHECK."""
    statements = f"""
    {POSITIVE}
    CREATE DOMAIN d AS int CONSTRAINT {names[0]} CHECK (is_known(VALUE));
    CREATE DOMAIN derived AS d CONSTRAINT {names[1]} CHECK (VALUE < 10);
    CREATE TABLE t (n derived[]);
    INSERT INTO t VALUES ('{{-1,2}}');
    {STRICTER}
    """  # noqa: S608 (texts of this file)
    result, checks = import_rows(bench, postgres16, statements)
    assert result.ok, result.failure
    assert checks == not_valid
    assert [item.object for item in result.skipped] == [f"CHECK CONSTRAINT public.{check}" for check in not_valid]


def test_each_violated_check_of_a_domain_is_listed(bench: Bench, postgres16: PostgresServer) -> None:
    statements = f"""
    {POSITIVE}
    CREATE SCHEMA "a ""b";
    CREATE DOMAIN "a ""b"."d'D" AS int CONSTRAINT "C""1" CHECK (is_known(VALUE))
      CONSTRAINT c2 CHECK (is_known(VALUE + 1)) CONSTRAINT c3 CHECK (VALUE < 10);
    CREATE TABLE t (n "a ""b"."d'D"[]);
    INSERT INTO t VALUES ('{{-1}}');
    {STRICTER}
    """  # noqa: S608 (texts of this file)
    result, checks = import_rows(bench, postgres16, statements)
    assert result.ok, result.failure
    domain = """"a ""b"."d'D\""""
    assert checks == [f'{domain} C"1', f"{domain} c2"]
    assert len(result.skipped) == len(checks)


def test_a_function_that_raises_the_error_of_a_domain_ends_the_import(bench: Bench, postgres16: PostgresServer) -> None:
    """Otherwise the copy of its table would start again for ever."""
    body = "BEGIN RETURN $1; END"
    error = "'no' USING ERRCODE = '23514', SCHEMA = 'public', DATATYPE = 'd', CONSTRAINT = 'c'"
    statements = f"""
    CREATE DOMAIN d AS int CONSTRAINT c CHECK (VALUE > 0);
    CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $${body}$$;
    CREATE TABLE t (id int, a d[], n int GENERATED ALWAYS AS (f(id)) STORED);
    INSERT INTO t VALUES (1);
    CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE EXCEPTION {error}; END$$;
    """  # noqa: S608 (texts of this file)
    result, _ = import_rows(bench, postgres16, statements)
    assert result.failure is not None
    assert "a function of the database raised an error: no" in result.failure.message

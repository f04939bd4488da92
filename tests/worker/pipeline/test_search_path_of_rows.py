"""Rows are copied with the search_path that the operator has recorded for the source."""

import pytest
from psycopg import sql
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.owner_comment import ShadowRecord, format_owner_comment
from pgimport.model.result import DatabaseSetting

ENGINES = ("relay", "dump")


def record_search_path(bench: Bench, value: str) -> None:
    """Writes the comment of the attempt's role, as the operator does."""
    record = ShadowRecord(settings=[DatabaseSetting(name="search_path", value=value)])
    statement = sql.SQL("COMMENT ON ROLE {} IS {}").format(
        sql.Identifier(bench.names.role), sql.Literal(format_owner_comment(None, record))
    )
    with bench.target.connect(user="admin") as admin:
        admin.execute(statement)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_that_names_an_object_of_pg_catalog_keeps_its_meaning(
    bench: Bench, postgres16: PostgresServer, engine: str
) -> None:
    """The source's text of pg_catalog.english is `english`."""
    with postgres16.database("names") as name:
        postgres16.execute(
            "CREATE TEXT SEARCH CONFIGURATION public.english (COPY = pg_catalog.english);"
            " CREATE TABLE t (id int, c regconfig);"
            " INSERT INTO t VALUES (1, 'pg_catalog.english'), (2, 'public.english')",
            name,
        )
        bench.source_url = postgres16.url(name)
        with bench.shadow() as shadow:
            record_search_path(bench, "public, pg_catalog")
            result = bench.run(engine=engine)
            assert result.ok, result.failure
            schemas = (
                "SELECT id, cfgnamespace::regnamespace::text FROM t JOIN pg_ts_config AS s ON s.oid = c ORDER BY id"
            )
            assert bench.target.query(schemas, shadow) == [(1, "pg_catalog"), (2, "public")]


def test_a_search_path_has_the_encoding_of_the_database(bench: Bench, postgres16: PostgresServer) -> None:
    name, path = "latin_path", 'public, "größe"'
    postgres16.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with postgres16.connect(name, client_encoding="UTF8") as source:
            source.execute(
                """
                CREATE SCHEMA "größe";
                CREATE FUNCTION "größe".half(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2';
                CREATE FUNCTION quarter(int) RETURNS int LANGUAGE plpgsql IMMUTABLE
                  AS 'BEGIN RETURN half(half($1)); END';
                CREATE TABLE t (n int, q int GENERATED ALWAYS AS (quarter(n)) STORED);
                SET search_path = public, "größe";
                INSERT INTO t VALUES (8)""".encode()
            )
        bench.source_url = postgres16.url(name)
        with bench.shadow(encoding="LATIN1") as shadow:
            record_search_path(bench, path)
            result = bench.run(engine="relay")
            assert result.ok, result.failure
            assert bench.target.query("SELECT q FROM t", shadow) == [(2,)]
    finally:
        postgres16.execute(f"DROP DATABASE {name} WITH (FORCE)")

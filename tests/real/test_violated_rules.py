"""Rows of the source that violate its own constraints are copied, and the report names each constraint with its key."""

from dataclasses import dataclass

import pytest
from tests.real.imports import COPY, ImportPath
from tests.real.servers import RealServers
from tests.real.sources import create_source, import_by, imported

ORPHANS = """
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int CONSTRAINT of_customer REFERENCES customers, note text);
INSERT INTO customers VALUES (1, 'a');
SET session_replication_role = replica;
INSERT INTO orders VALUES (1, 1, 'fine'), (2, 4711, 'orphan');
"""
PARTITIONED_ORPHANS = """
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int, customer int CONSTRAINT of_customer REFERENCES customers) PARTITION BY RANGE (id);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (10);
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (10) TO (20);
INSERT INTO customers VALUES (1);
SET session_replication_role = replica;
INSERT INTO orders VALUES (1, 1), (12, 4711);
"""
COMPOSITE_ORPHANS = """
CREATE TABLE shops (region text, id int, PRIMARY KEY (region, id));
CREATE TABLE tills (region text, shop int, CONSTRAINT of_shop FOREIGN KEY (region, shop) REFERENCES shops
  DEFERRABLE INITIALLY DEFERRED);
INSERT INTO shops VALUES ('eu', 1);
SET session_replication_role = replica;
INSERT INTO tills VALUES ('eu', 1), ('us', 4711);
"""
SELF_ORPHANS = """
CREATE TABLE employees (id int PRIMARY KEY, boss int CONSTRAINT of_boss REFERENCES employees ON DELETE CASCADE);
SET session_replication_role = replica;
INSERT INTO employees VALUES (1, NULL), (2, 1), (3, 4711);
"""
# A function that a CHECK calls has become stricter since the rows were written.
STRICTER_CHECK = """
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE numbers (id int PRIMARY KEY, n int CONSTRAINT known CHECK (is_known(n)));
INSERT INTO numbers VALUES (1, 5000), (4711, 4711);
CREATE OR REPLACE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 4999';
"""
STRICTER_DOMAIN = """
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE DOMAIN known_number AS int CONSTRAINT known CHECK (is_known(VALUE));
CREATE TABLE numbers (id int PRIMARY KEY, n known_number);
INSERT INTO numbers VALUES (1, 5000), (4711, 4711);
CREATE OR REPLACE FUNCTION is_known(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 4999';
"""
# What a damaged index leaves behind: rows that the index did not see when they were written.
DUPLICATES = """
CREATE TABLE people (id int PRIMARY KEY, email text);
CREATE UNIQUE INDEX people_email ON people (email);
INSERT INTO people VALUES (1, 'a@x');
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'people_email'::regclass;
INSERT INTO people VALUES (2, '4711@x'), (3, '4711@x');
UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'people_email'::regclass;
"""
DUPLICATE_KEY = """
CREATE TABLE people (id int CONSTRAINT people_key PRIMARY KEY, email text);
INSERT INTO people VALUES (1, 'a@x');
UPDATE pg_index SET indisready = false WHERE indexrelid = 'people_key'::regclass;
INSERT INTO people VALUES (4711, 'b@x'), (4711, 'c@x');
UPDATE pg_index SET indisready = true WHERE indexrelid = 'people_key'::regclass;
CREATE TABLE notes (person int CONSTRAINT of_person REFERENCES people, note text);
INSERT INTO notes VALUES (1, 'x');
"""
DUPLICATE_EXPRESSION = """
CREATE TABLE people (id int PRIMARY KEY, email text);
CREATE UNIQUE INDEX people_email ON people (lower(email)) WHERE id > 0;
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'people_email'::regclass;
INSERT INTO people VALUES (2, '4711@x'), (3, '4711@X');
UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'people_email'::regclass;
"""
OVERLAPS = """
CREATE TABLE stays (id int PRIMARY KEY, during int4range,
  CONSTRAINT one_at_a_time EXCLUDE USING gist (during WITH &&));
UPDATE pg_index SET indisready = false WHERE indexrelid = 'one_at_a_time'::regclass;
INSERT INTO stays VALUES (1, '[1,5)'), (2, '[4710,4712)'), (3, '[4711,4713)');
UPDATE pg_index SET indisready = true WHERE indexrelid = 'one_at_a_time'::regclass;
"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A source whose rows violate its rules. `titles` are listed; all keys contain 4711."""

    script: str
    titles: tuple[str, ...]
    tables: dict[str, int]  # with their rows in the copy
    not_valid: tuple[str, ...] = ()  # constraints that the copy has as NOT VALID


VIOLATIONS = {
    "orphans": Violation(
        ORPHANS, ("FK CONSTRAINT public.orders of_customer",), {"orders": 2, "customers": 1}, ("of_customer",)
    ),
    "orphans in a partition": Violation(
        PARTITIONED_ORPHANS, ("FK CONSTRAINT public.orders of_customer",), {"orders": 2}
    ),
    "orphans of two columns": Violation(
        COMPOSITE_ORPHANS, ("FK CONSTRAINT public.tills of_shop",), {"tills": 2}, ("of_shop",)
    ),
    "orphans of their own table": Violation(
        SELF_ORPHANS, ("FK CONSTRAINT public.employees of_boss",), {"employees": 3}, ("of_boss",)
    ),
    "a stricter check": Violation(
        STRICTER_CHECK, ("CHECK CONSTRAINT public.numbers known",), {"numbers": 2}, ("known",)
    ),
    "a stricter domain": Violation(STRICTER_DOMAIN, ("CHECK CONSTRAINT public.known_number known",), {"numbers": 2}),
    "duplicates": Violation(DUPLICATES, ("INDEX public.people_email",), {"people": 3}),
    "duplicates of a primary key": Violation(
        DUPLICATE_KEY,
        ("CONSTRAINT public.people people_key", "FK CONSTRAINT public.notes of_person"),
        {"people": 3, "notes": 1},
    ),
    "duplicates of an expression": Violation(DUPLICATE_EXPRESSION, ("INDEX public.people_email",), {"people": 2}),
    "overlaps": Violation(OVERLAPS, ("CONSTRAINT public.stays one_at_a_time",), {"stays": 3}),
}
QUICK_PATHS = (ImportPath.RELAY, ImportPath.CUSTOM, ImportPath.PLAIN)
PATHS = [
    pytest.param(path, marks=pytest.mark.thorough if path in QUICK_PATHS else pytest.mark.real) for path in ImportPath
]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("title", VIOLATIONS)
def test_rows_that_violate_a_rule_arrive(servers: RealServers, title: str, path: ImportPath) -> None:
    violation, server = VIOLATIONS[title], servers.server(17)
    with (
        create_source(server, "violated", violation.script) as source,
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code == 0, result.err
        skipped = {entry.title: entry for entry in result.refused}
        assert set(skipped) == set(violation.titles)
        first = skipped[violation.titles[0]]
        assert "4711" in (first.offending_key or ""), first
        for table, rows in violation.tables.items():
            assert server.query(f"SELECT count(*) FROM {table}", COPY) == [(rows,)]
        for name in violation.not_valid:
            query = f"SELECT convalidated FROM pg_constraint WHERE conname = '{name}'"
            assert server.query(query, COPY) == [(False,)]


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("title", ["orphans", "duplicates", "a stricter check"])
def test_fail_ends_the_import_at_the_first_violation(servers: RealServers, title: str, path: ImportPath) -> None:
    violation, server = VIOLATIONS[title], servers.server(17)
    with (
        create_source(server, "violated", violation.script) as source,
        imported(import_by(servers, path, source, server, "--on-object-error", "fail"), server) as result,
    ):
        assert result.code not in (0, 1)
        assert "4711" in result.err
        assert violation.titles[0].rpartition(" ")[2].rpartition(".")[2] in result.err
        assert server.query(f"SELECT FROM pg_database WHERE datname = '{COPY}'") == []


@pytest.mark.thorough
@pytest.mark.parametrize("path", [ImportPath.RELAY, ImportPath.CUSTOM], ids=str)
def test_no_key_is_printed_with_sql_after_the_import(servers: RealServers, path: ImportPath) -> None:
    """The SQL may mask what the key shows."""
    server = servers.server(17)
    masking = servers.folder / "masking.sql"
    masking.write_text("UPDATE orders SET note = 'masked';")
    with (
        create_source(server, "violated", ORPHANS) as source,
        imported(import_by(servers, path, source, server, "--post-import", str(masking)), server) as result,
    ):
        assert result.code == 0, result.err
        assert "4711" not in result.text


@pytest.mark.thorough
@pytest.mark.parametrize("path", [ImportPath.RELAY, ImportPath.DUMP, ImportPath.CUSTOM], ids=str)
@pytest.mark.parametrize("script", [ORPHANS, COMPOSITE_ORPHANS], ids=["one column", "two columns"])
def test_rows_that_a_filter_excludes_leave_a_key_that_is_not_valid(
    servers: RealServers, script: str, path: ImportPath
) -> None:
    name, table = ("of_customer", "customers") if script == ORPHANS else ("of_shop", "shops")
    server = servers.server(17)
    script = script.replace("4711", "1").replace("'us'", "'eu'")
    with (
        create_source(server, "excluded", script) as source,
        imported(import_by(servers, path, source, server, "--exclude-table-data", f"public.{table}"), server) as result,
    ):
        assert result.code == 0, result.err
        assert name in result.text
        query = f"SELECT convalidated FROM pg_constraint WHERE conname = '{name}'"
        assert server.query(query, COPY) == [(False,)]

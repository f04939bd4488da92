"""Plain SQL is imported in all the forms in which people write it."""

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import build_plain_dump

from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

ServeDump = Callable[[bytes], None]
CLOSING = b"--\n-- PostgreSQL database dump complete\n--\n"
SOURCE = """
CREATE EXTENSION vector;
CREATE SCHEMA app;
CREATE DOMAIN app.code AS text CHECK (VALUE <> '');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE zones (id int PRIMARY KEY, parent int, name app.code, place vector(2));
ALTER TABLE zones ADD CONSTRAINT inside FOREIGN KEY (parent) REFERENCES zones;
CREATE TABLE app.customers (id serial PRIMARY KEY, zone int REFERENCES zones, feels mood, total int CHECK (total > 0));
CREATE TABLE app.visits (id int GENERATED ALWAYS AS IDENTITY, customer int REFERENCES app.customers);
CREATE TABLE log (entry text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.log VALUES (TG_TABLE_NAME); RETURN NEW; END $$;
INSERT INTO zones VALUES (1, 3, 'a;b', '[1,2]'), (2, 1, E'x\\ny', NULL), (3, 2, E'\\\\.', NULL);
INSERT INTO app.customers (zone, feels, total) SELECT 1 + i % 3, 'happy', i FROM generate_series(1, 250) AS i;
INSERT INTO app.visits (customer) SELECT i FROM generate_series(1, 250) AS i;
INSERT INTO log VALUES ('only this');
CREATE TRIGGER noted AFTER INSERT ON zones FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER noted AFTER INSERT ON app.customers FOR EACH ROW EXECUTE FUNCTION note();
COMMENT ON TRIGGER noted ON zones IS 'a trigger';
COMMENT ON CONSTRAINT inside ON zones IS 'a key';
ALTER TABLE zones DISABLE TRIGGER noted;
CREATE VIEW rich AS SELECT id FROM app.customers WHERE total > 100;
CREATE MATERIALIZED VIEW totals AS SELECT sum(total) AS total FROM app.customers;
CREATE RULE twice AS ON INSERT TO app.visits DO ALSO INSERT INTO log VALUES ('visit');
CREATE INDEX by_zone ON app.customers (zone);
ALTER TABLE app.visits ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.visits USING (customer = 1);
SELECT lo_from_bytea(4711, 'large');
SELECT setval('app.customers_id_seq', 4000);
"""
CONTENT = """
SELECT (SELECT count(*) FROM zones), (SELECT count(*) FROM app.customers), (SELECT count(*) FROM app.visits),
    (SELECT string_agg(entry, ',') FROM log), (SELECT last_value FROM app.customers_id_seq),
    convert_from(lo_get(4711), 'UTF8'),
    (SELECT count(*) FROM pg_constraint WHERE contype IN ('f', 'c') AND convalidated AND conrelid > 0
        AND connamespace IN ('public'::regnamespace, 'app'::regnamespace)),
    (SELECT string_agg(tgenabled::text, '' ORDER BY tgrelid::regclass::text) FROM pg_trigger WHERE NOT tgisinternal)
"""
EXPECTED = [(3, 250, 250, "only this", 4000, "large", 4, "OD")]


@pytest.fixture(scope="module")
def source(postgres16: PostgresServer) -> Iterator[str]:
    """The URL of a database that exists as long as the tests of this module run."""
    with postgres16.database("plain_shapes") as name:
        postgres16.execute(SOURCE, name)
        yield postgres16.url(name)


@pytest.fixture
def pg_dump(postgres16: PostgresServer, source: str) -> Callable[..., bytes]:
    """Returns a function that runs pg_dump with options and returns what it prints."""

    def run(*options: str, server: PostgresServer = postgres16, program: str = "pg_dump") -> bytes:
        return subprocess.run([server.bin / program, *options, source], check=True, capture_output=True).stdout

    return run


PgDump = Callable[..., bytes]


def make_supabase_dump(pg_dump: PgDump, *, keep_comments: bool) -> bytes:
    """Returns roles, schema and rows as three runs of `supabase db dump` write them."""
    schema = pg_dump("--schema-only", "--quote-all-identifiers")
    for kind in (b"SCHEMA", b"TABLE", b"SEQUENCE"):
        schema = schema.replace(b"\nCREATE " + kind + b' "', b"\nCREATE " + kind + b' IF NOT EXISTS "')
    for kind in (b"VIEW", b"FUNCTION", b"TRIGGER"):
        schema = schema.replace(b"\nCREATE " + kind + b' "', b"\nCREATE OR REPLACE " + kind + b' "')
    rows = pg_dump("--data-only", "--quote-all-identifiers")
    if not keep_comments:
        schema, rows = (re.sub(rb"(?m)^--.*\n", b"", text) for text in (schema, rows))
    roles = b'SET statement_timeout = 0;\nALTER ROLE "anon" SET "statement_timeout" TO \'3s\';\n\nRESET ALL;\n'
    rows = b"SET session_replication_role = replica;\n" + rows
    return roles + schema + b"\nRESET ALL;\n" + rows + b"\nRESET ALL;\n"


def insert_before_end(dump: bytes, text: bytes) -> bytes:
    end = dump.rindex(CLOSING)
    return dump[:end] + text + dump[end:]


SHAPES: dict[str, Callable[[PgDump], bytes]] = {
    "as it is": lambda pg_dump: pg_dump(),
    "--clean": lambda pg_dump: pg_dump("--clean"),
    "--clean --if-exists": lambda pg_dump: pg_dump("--clean", "--if-exists"),
    "--clean --create": lambda pg_dump: pg_dump("--clean", "--create"),
    "--clean --if-exists --create": lambda pg_dump: pg_dump("--clean", "--if-exists", "--create"),
    "--create": lambda pg_dump: pg_dump("--create"),
    "--inserts": lambda pg_dump: pg_dump("--inserts"),
    "--column-inserts": lambda pg_dump: pg_dump("--column-inserts"),
    "--rows-per-insert": lambda pg_dump: pg_dump("--rows-per-insert=100"),
    "--use-set-session-authorization": lambda pg_dump: pg_dump("--use-set-session-authorization"),
    "--disable-triggers behind its schema": lambda pg_dump: (
        pg_dump("--schema-only") + pg_dump("--data-only", "--disable-triggers")
    ),
    "schema and rows": lambda pg_dump: pg_dump("--schema-only") + pg_dump("--data-only"),
    "schema and INSERTs": lambda pg_dump: pg_dump("--schema-only") + pg_dump("--data-only", "--inserts"),
    "schema and rows with replication role": lambda pg_dump: (
        pg_dump("--schema-only")
        + b"SET session_replication_role = replica;\n"
        + pg_dump("--data-only")
        + b"SET session_replication_role = DEFAULT;\n"
    ),
    "three sections": lambda pg_dump: b"".join(
        pg_dump(f"--section={name}") for name in ("pre-data", "data", "post-data")
    ),
    "public dropped and made again": lambda pg_dump: (
        b"DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\nGRANT ALL ON SCHEMA public TO public;\n" + pg_dump()
    ),
    "public dropped if it exists": lambda pg_dump: b"DROP SCHEMA IF EXISTS public CASCADE;\n" + pg_dump(),
    "one transaction": lambda pg_dump: b"BEGIN;\n" + pg_dump() + b"COMMIT;\n",
    "a byte order mark": lambda pg_dump: b"\xef\xbb\xbf" + pg_dump(),
    "statements behind the end": lambda pg_dump: pg_dump() + b"\nANALYZE;\n",
    "the Supabase CLI": lambda pg_dump: make_supabase_dump(pg_dump, keep_comments=False),
    "the Supabase CLI with comments": lambda pg_dump: make_supabase_dump(pg_dump, keep_comments=True),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_dump_arrives_in_each_shape(file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump, shape: str) -> None:
    serve_dump(SHAPES[shape](pg_dump))
    with file_bench.shadow() as shadow:
        file_bench.target.execute("CREATE EXTENSION vector", shadow)
        report = file_bench.preflight()
        assert report.ok, report
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query(CONTENT, shadow) == EXPECTED
        populated = file_bench.target.query("SELECT relispopulated FROM pg_class WHERE relname = 'totals'", shadow)
    assert list_refused(result) == []
    assert result.verification is not None
    assert result.verification.verified
    kinds = {item.kind for item in result.verification.compared}
    assert {"table", "view", "index", "constraint", "trigger", "rule", "policy"} <= kinds
    assert not any("the dump creates it" in text for text in result.verification.not_compared)
    # pg_dump writes REFRESH only if it writes structure and rows.
    noted = any("populate the materialized view public.totals" in note for note in result.verification.notes)
    assert populated == [(not noted,)]


def list_refused(result: WorkerResult) -> list[str]:
    return [f"{item.object}: {item.reason}" for item in result.skipped if item.group is SkipGroup.REFUSED]


def test_pg_dump_18_with_statistics_arrives(
    file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump, postgres18: PostgresServer
) -> None:
    serve_dump(pg_dump("--statistics", server=postgres18))
    with file_bench.shadow() as shadow:
        file_bench.target.execute("CREATE EXTENSION vector", shadow)
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query(CONTENT, shadow) == EXPECTED
    assert list_refused(result) == []


@pytest.mark.parametrize("options", [("--schema=app",), ("--table=app.customers",)])
def test_a_partial_dump_comes_without_what_it_lacks(
    file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump, options: tuple[str, ...]
) -> None:
    """`--table` writes no schema, and neither option writes the types and tables of other schemas."""
    serve_dump(
        pg_dump(*options)
        .replace(b"    feels public.mood,\n", b"")
        .replace(b", feels, ", b", ")
        .replace(b"\thappy\t", b"\t")
    )
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM app.customers", shadow) == [(250,)]
    refused = {text.partition(": ")[0] for text in list_refused(result)} - {"RULE app.visits twice"}
    assert refused == {"FK CONSTRAINT app.customers customers_zone_fkey", "TRIGGER app.customers noted"}


def test_a_dump_by_pg_dumpall_arrives_if_one_database_has_objects(
    file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump
) -> None:
    cluster = (
        b"--\n-- PostgreSQL database cluster dump\n--\n\nSET default_transaction_read_only = off;\n\n"
        b"CREATE ROLE shop;\nALTER ROLE shop WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x';\n"
        b"\\connect template1\n\n"
        + build_plain_dump("")
        + b"\\connect postgres\n\n"
        + pg_dump("--create")
        + b"--\n-- PostgreSQL database cluster dump complete\n--\n\n"
    )
    serve_dump(cluster)
    with file_bench.shadow() as shadow:
        file_bench.target.execute("CREATE EXTENSION vector", shadow)
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query(CONTENT, shadow) == EXPECTED
    serve_dump(cluster.replace(b"\\connect postgres\n", b"CREATE TABLE public.other ();\n\\connect postgres\n"))
    with file_bench.shadow() as shadow:
        failure = file_bench.run().failure
    assert failure is not None
    assert failure.reason is Reason.DUMP_UNSUPPORTED
    assert "template1, plain_shapes" in failure.message


NOISE: dict[str, Callable[[bytes], bytes]] = {
    "a warning in front": lambda dump: b"pg_dump: warning: couldn't find a table's key; see below\n" + dump,
    "a banner in front": lambda dump: b"Welcome to the server. It's yours.\n" + dump,
    "the time behind": lambda dump: dump + b"\nreal\t0m3.021s\nuser\t0m0.120s\n",
    "a message behind": lambda dump: dump + b"pg_dump: it's done; bye\n",
    "a message inside": lambda dump: insert_before_end(dump, b'pg_dump: dumping contents of table "x"\n'),
    "CR LF": lambda dump: dump.replace(b"\n", b"\r\n"),
    "UTF-16": lambda dump: b"\xff\xfe" + dump.decode().encode("utf-16-le"),
}


@pytest.mark.parametrize("noise", NOISE)
def test_text_that_is_not_of_pg_dump_is_named_with_its_cure(
    file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump, noise: str
) -> None:
    serve_dump(NOISE[noise](pg_dump()))
    with file_bench.shadow() as shadow:
        file_bench.target.execute("CREATE EXTENSION vector", shadow)
        failure = file_bench.run().failure
    assert failure is not None
    assert failure.reason in (Reason.DUMP_CORRUPT, Reason.DUMP_UNSUPPORTED)
    assert "pg_dump --file" in failure.message
    assert re.search("program|CR LF|UTF-16|terminal", failure.message)


OLD_DUMP = b"""--
-- PostgreSQL database dump
--

-- Dumped from database version 9.6.24
-- Dumped by pg_dump version 9.6.24

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: plpgsql; Type: PROCEDURAL LANGUAGE; Schema: -; Owner: postgres
--

CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;
ALTER PROCEDURAL LANGUAGE plpgsql OWNER TO postgres;
COMMENT ON LANGUAGE plpgsql IS 'x';
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';

SET search_path = shop, pg_catalog;
SET default_tablespace = '';
SET default_with_oids = true;

CREATE SCHEMA shop;
ALTER SCHEMA shop OWNER TO postgres;

--
-- Name: orders; Type: TABLE; Schema: shop; Owner: postgres; Tablespace: 
--

CREATE TABLE orders (
    id integer NOT NULL,
    total integer,
    CONSTRAINT positive CHECK ((total > 0))
) WITH OIDS;

ALTER TABLE orders OWNER TO postgres;
SET default_with_oids = false;
CREATE TABLE parts (id integer, name text) WITH (oids=true);
CREATE SEQUENCE orders_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE orders_id_seq OWNED BY orders.id;
ALTER TABLE ONLY orders ALTER COLUMN id SET DEFAULT nextval('orders_id_seq'::regclass);

COPY orders (id, total) FROM stdin;
1\t5
2\t6
\\.

SELECT pg_catalog.setval('orders_id_seq', 2, true);

COPY parts (id, name) FROM stdin;
1\tx
\\.

ALTER TABLE ONLY orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

SET search_path = public, pg_catalog;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
SET search_path = shop, pg_catalog;
CREATE TRIGGER told BEFORE INSERT ON orders FOR EACH ROW EXECUTE PROCEDURE public.tell();

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM postgres;
GRANT ALL ON SCHEMA public TO postgres;

--
-- PostgreSQL database dump complete
--

"""


def test_a_dump_of_an_old_server_arrives(file_bench: Bench, serve_dump: ServeDump) -> None:
    serve_dump(OLD_DUMP)
    with file_bench.shadow() as shadow:
        assert file_bench.preflight().ok
        result = file_bench.run()
        assert result.ok, result.failure
        query = "SELECT count(*), sum(total), (SELECT count(*) FROM shop.parts) FROM shop.orders"
        assert file_bench.target.query(query, shadow) == [(2, 11, 1)]
        checks = "SELECT conname::text FROM pg_constraint WHERE conrelid = 'shop.orders'::regclass AND contype <> 'n'"
        assert sorted(file_bench.target.query(checks, shadow)) == [("orders_pkey",), ("positive",)]
    assert list_refused(result) == []


def test_rows_with_oids_are_refused_by_name(file_bench: Bench, serve_dump: ServeDump) -> None:
    serve_dump(OLD_DUMP.replace(b"(id, total) FROM", b"(id, total) WITH OIDS FROM"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert "--oids" in failure.message


def test_rows_without_their_tables_are_refused_by_name(
    file_bench: Bench, serve_dump: ServeDump, pg_dump: PgDump
) -> None:
    serve_dump(pg_dump("--data-only", "--table=zones"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert "--schema-only" in failure.message

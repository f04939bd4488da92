"""Sources in unusual states: encodings, settings, locks, a standby, and objects that change meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.real.imports import COPY, ImportPath, import_file
from tests.real.servers import RealServers
from tests.real.sources import Source, compare_copy, create_source, import_by, imported
from tests.support.postgres import PostgresServer

LIVE = (ImportPath.RELAY, ImportPath.DUMP)
QUICK_PATHS = (ImportPath.RELAY, ImportPath.DUMP, ImportPath.CUSTOM, ImportPath.PLAIN)
PARTITION_PATHS = (*QUICK_PATHS, ImportPath.TAR)

BACKSLASHES = r"""
ALTER DATABASE :"DBNAME" SET standard_conforming_strings = off;
SET standard_conforming_strings = on;
CREATE TABLE paths (id int PRIMARY KEY, p text DEFAULT 'c:\temp\new', CONSTRAINT no_unc CHECK (p NOT LIKE '\\\\%'));
INSERT INTO paths VALUES (1, 'a\b'), (2, 'a\c');
CREATE UNIQUE INDEX paths_slashes ON paths (replace(p, '\', '/'));
CREATE VIEW slashes AS SELECT replace(p, '\', '/') AS p FROM paths;
CREATE FUNCTION slashed(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN replace($1, '\', '/');
COMMENT ON TABLE paths IS 'of \windows\new';
"""
# Kind → type of the key column, and the key.
ENUM_KEYS = {
    "an expression": ("color", "(f(c))", "{}"),
    "a domain of a domain": ("dark_shade", "c", "{}"),
    "two columns": ("color", "id, c", "{}"),
    "an array": ("color[]", "c", "ARRAY[{}]"),
    "a row": ("pair", "c", "ROW(i, {})::pair"),
}
ENUM_PARTITIONS = """
CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'white', 'black');
CREATE FUNCTION f(color) RETURNS color LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE DOMAIN shade AS color;
CREATE DOMAIN dark_shade AS shade;
CREATE TYPE pair AS (n int, c color);
CREATE TABLE parted (id int, c {type}) PARTITION BY HASH ({key});
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO parted SELECT i, {value} FROM generate_series(1, 50) AS i;
"""
REG_VALUES = """
CREATE SCHEMA hidden;
CREATE TABLE hidden.far (id int);
CREATE FUNCTION hidden.g(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE hidden.ty AS ENUM ('a');
CREATE TABLE seen (id int PRIMARY KEY, what regclass, how regprocedure, kind regtype, where_ regnamespace);
INSERT INTO seen VALUES (1, 'hidden.far', NULL, NULL, NULL), (2, NULL, 'hidden.g(int)', NULL, NULL),
  (3, NULL, NULL, 'hidden.ty', NULL), (4, NULL, NULL, NULL, 'hidden');
"""


@pytest.mark.thorough
@pytest.mark.parametrize("path", ImportPath, ids=str)
def test_backslashes_keep_their_meaning(servers: RealServers, path: ImportPath) -> None:
    server = servers.server(17)
    with (
        create_source(server, "backslashes", BACKSLASHES) as source,
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code == 0, result.err
        query = "SELECT pg_get_indexdef('paths_slashes'::regclass), pg_get_viewdef('slashes'::regclass)"
        assert _query_conforming(server, COPY, query) == _query_conforming(server, source.database, query)
        assert server.query("SELECT * FROM slashes ORDER BY 1", COPY) == [("a/b",), ("a/c",)]


def _query_conforming(server: PostgresServer, database: str, query: str) -> list[tuple[object, ...]]:
    """Prints definitions alike at both ends: the copy has the source's setting of the database."""
    with server.connect(database, options="-c standard_conforming_strings=on") as connection:
        return list(connection.execute(query.encode()).fetchall())


@pytest.mark.thorough
@pytest.mark.parametrize("path", PARTITION_PATHS, ids=str)
@pytest.mark.parametrize("kind", ENUM_KEYS)
def test_partitions_by_an_enum_behind_something_arrive(servers: RealServers, kind: str, path: ImportPath) -> None:
    type_name, key, value = ENUM_KEYS[kind]
    color = "(enum_range(NULL::color))[1 + i % 5]"
    script = ENUM_PARTITIONS.format(type=type_name, key=key, value=value.format(color))
    server = servers.server(17)
    with (
        create_source(server, "enum_partitions", script) as source,
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code == 0, result.err
        assert compare_copy(source, server, []) == []


@pytest.mark.thorough
@pytest.mark.parametrize("option", ["--inserts", "--column-inserts"])
def test_inserts_into_partitions_by_an_enum_go_through_their_root(servers: RealServers, option: str) -> None:
    script = ENUM_PARTITIONS.format(type="color[]", key="c", value="ARRAY[(enum_range(NULL::color))[1 + i % 5]]")
    server = servers.server(17)
    with create_source(server, "enum_partitions", script) as source:
        content = source.dump(ImportPath.PLAIN, servers.folder, option)
        with imported(import_file(servers, content, server), server) as result:
            assert result.code == 0, result.err
            assert server.query("SELECT count(*) FROM parted", COPY) == [(50,)]


@pytest.mark.thorough
@pytest.mark.parametrize("path", QUICK_PATHS, ids=str)
def test_values_of_absent_objects_are_named(servers: RealServers, path: ImportPath) -> None:
    """The import fails and names them, or completes and names table and column."""
    server = servers.server(17)
    arguments = () if path is ImportPath.PLAIN else ("--exclude-schema", "hidden")
    with (
        create_source(server, "reg_values", REG_VALUES) as source,
        imported(import_by(servers, path, source, server, *arguments), server) as result,
    ):
        if path is ImportPath.PLAIN:  # a plain dump cannot be filtered, so nothing is absent
            assert result.code == 0, result.err
            assert compare_copy(source, server, []) == []
        else:
            assert "seen" in result.text
            assert "what" in result.text


@pytest.mark.thorough
@pytest.mark.parametrize("path", LIVE, ids=str)
@pytest.mark.parametrize("content", ["ascii", "é"])
def test_a_source_without_an_encoding_arrives(servers: RealServers, path: ImportPath, content: str) -> None:
    script = "CREATE TABLE t (id int PRIMARY KEY, body text); INSERT INTO t VALUES (1, 'ascii');"
    server = servers.server(17)
    with create_source(server, "no_encoding", script, "ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'") as source:
        with server.connect(source.database, client_encoding="SQL_ASCII") as connection:
            connection.execute(
                rf"INSERT INTO t VALUES (2, E'{'x' if content == 'ascii' else chr(92) + 'xe9'}')".encode()
            )
        with imported(import_by(servers, path, source, server), server) as result:
            assert result.code == 0, result.err
            query = "SELECT id, textsend(body) FROM t ORDER BY 1"
            assert server.query(query, COPY) == server.query(query, source.database)


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["LATIN1", "SJIS", "GBK", "WIN1252", "UTF8"])
@pytest.mark.parametrize("path", [ImportPath.PLAIN, ImportPath.CUSTOM, ImportPath.TAR], ids=str)
def test_a_dump_in_another_encoding_arrives_in_that_of_the_database(
    servers: RealServers, path: ImportPath, encoding: str
) -> None:
    text = {"LATIN1": "äöü", "SJIS": "日本語 ソ表", "GBK": "数据库", "WIN1252": "€ ‚quoted’", "UTF8": "🐘"}[encoding]
    script = f"CREATE TABLE t (id int PRIMARY KEY, body text DEFAULT '{text}'); INSERT INTO t VALUES (1, '{text}');"
    server = servers.server(17)
    with create_source(server, "encoded", script, "ENCODING UTF8") as source:
        content = source.dump(path, servers.folder, "--encoding", encoding)
        with imported(import_file(servers, content, server), server) as result:
            assert result.code == 0, result.err
            assert compare_copy(source, server, []) == []


@pytest.mark.thorough
@pytest.mark.parametrize("path", ImportPath, ids=str)
def test_a_locale_that_a_file_does_not_tell_is_kept_or_named(servers: RealServers, path: ImportPath) -> None:
    script = """
        CREATE TABLE t (id int, word text, small text GENERATED ALWAYS AS (lower(word)) STORED);
        INSERT INTO t (id, word) VALUES (1, 'ÄRGER');
    """
    server = servers.server(17)
    options = "ENCODING UTF8 LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
    with (
        create_source(server, "localised", script, options) as source,
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code == 0, result.err
        copied = server.query("SELECT small FROM t", COPY)
        if path is ImportPath.PLAIN and copied != [("ärger",)]:
            assert "locale" in result.text
        else:
            assert copied == [("ärger",)]


@pytest.mark.real
@pytest.mark.parametrize("path", LIVE, ids=str)
def test_a_locked_table_is_named_and_ends_the_attempt(servers: RealServers, path: ImportPath) -> None:
    server = servers.server(17)
    with (
        create_source(server, "locked", "CREATE TABLE held (id int); CREATE TABLE free (id int);") as source,
        server.connect(source.database, application_name="maintenance") as holder,
    ):
        holder.execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        started_at = time.monotonic()
        with imported(import_by(servers, path, source, server), server) as result:
            seconds = time.monotonic() - started_at
            assert result.code != 0
            assert "held" in result.err
            assert str(holder.info.backend_pid) in result.text
            assert result.result["retryClassification"] == "transient"
            assert seconds > 50


@contextmanager
def _meanwhile(source: Source, statement: str) -> Iterator[None]:
    """Runs a statement again and again at the source, until the end of the block."""
    ended = threading.Event()

    def run() -> None:
        with source.server.connect(source.database) as connection:
            while not ended.is_set():
                connection.execute(statement.encode())
                ended.wait(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize("path", LIVE, ids=str)
@pytest.mark.parametrize(
    "change",
    [
        "DROP FUNCTION g(int); CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "DROP FUNCTION g(int); CREATE FUNCTION g(int) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
        "DROP AGGREGATE IF EXISTS a(int); CREATE AGGREGATE a(int) (SFUNC = int4pl, STYPE = int)",
    ],
    ids=["created again", "another result", "an aggregate"],
)
def test_a_function_that_changes_meanwhile_costs_nothing(servers: RealServers, path: ImportPath, change: str) -> None:
    script = """
        CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TABLE t (id int PRIMARY KEY, filler text);
        INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i;
    """
    server = servers.server(17)
    with (
        create_source(server, "changing", script) as source,
        _meanwhile(source, change),
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code == 0, result.err
        assert server.query("SELECT count(*) FROM t", COPY) == [(20000,)]


@pytest.mark.thorough
@pytest.mark.parametrize("path", LIVE, ids=str)
@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_a_view_that_is_dropped_meanwhile_ends_the_attempt(servers: RealServers, path: ImportPath, kind: str) -> None:
    """pg_dump cannot read such a view. Another attempt can, with a new snapshot."""
    view = f"CREATE {kind} w AS SELECT id FROM t"
    server = servers.server(17)
    with (
        create_source(server, "changing", f"CREATE TABLE t (id int PRIMARY KEY); {view};") as source,
        _meanwhile(source, f"DROP {kind} w; {view}"),
        imported(import_by(servers, path, source, server), server) as result,
    ):
        assert result.code != 0
        assert "SourceChanged" in result.err
        assert f"{kind} public.w" in result.err
        assert result.result["retryClassification"] == "transient"


@pytest.mark.thorough
@pytest.mark.parametrize("path", LIVE, ids=str)
@pytest.mark.parametrize("verify", ["counts", "checksums"])
def test_a_large_object_that_changes_meanwhile_is_never_verified_silently(
    servers: RealServers, path: ImportPath, verify: str
) -> None:
    """Either the copy equals the snapshot, or the report says what was not compared or differs."""
    script = "SELECT lo_from_bytea(5001, 'before'); CREATE TABLE t (id int); INSERT INTO t VALUES (1);"
    server = servers.server(17)
    with (
        create_source(server, "large_objects", script) as source,
        _meanwhile(source, "SELECT lo_put(5001, 0, random()::text::bytea)"),
        imported(import_by(servers, path, source, server, "--verify", verify), server) as result,
    ):
        text = " ".join([*result.verification.get("notCompared", []), *result.notes, result.err])
        assert "large object" in text or (result.code == 0 and verify == "checksums")


@pytest.mark.thorough
@pytest.mark.parametrize("path", LIVE, ids=str)
def test_a_target_whose_sessions_are_read_only_by_default(servers: RealServers, path: ImportPath) -> None:
    server = servers.server(17)
    server.execute("ALTER ROLE ALL SET default_transaction_read_only = on")
    try:
        with server.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("CREATE DATABASE writable_source TEMPLATE template0")
        source = Source(server, "writable_source")
        with server.connect(source.database, options="-c default_transaction_read_only=off") as connection:
            connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        result = import_by(servers, path, source, server)
    finally:
        server_settings = server.connect(options="-c default_transaction_read_only=off")
        with server_settings:
            server_settings.execute("ALTER ROLE ALL RESET default_transaction_read_only")
    try:
        with imported(result, server):
            assert result.code == 0, result.err
            assert server.query("SELECT count(*) FROM t", COPY) == [(1,)]
    finally:
        server.execute("DROP DATABASE writable_source WITH (FORCE)")

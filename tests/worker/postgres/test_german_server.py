"""A server that reports its errors in German leads to the same reasons and advice as one that reports in English."""

import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cluster.german_postgres import run_german_postgres
from tests.support.postgres import PostgresServer, run_postgres

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.client_probe import DumpSource, explain_dump_exit
from pgimport.worker.postgres.clients import ClientProcesses
from pgimport.worker.postgres.endpoints import (
    CLIENT_DBNAME,
    Endpoint,
    build_client_environment,
    connect,
    write_passfile,
)
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import open_source_connection, source_connection

pytestmark = pytest.mark.thorough
PASSWORD = secrets.token_hex(8)
SETUP = f"""
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE full_role LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;
CREATE ROLE other LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE off ALLOW_CONNECTIONS false;
CREATE DATABASE shop;
"""
CONTENT = """
CREATE TABLE secret (id int);
INSERT INTO secret VALUES (1);
CREATE TABLE tenants (id int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON tenants TO reader;
CREATE FUNCTION tax(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN rate($1); END';
CREATE FUNCTION rate(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
"""


class Case(NamedTuple):
    """Fields of the endpoint that make a login fail, and the reason."""

    fields: dict[str, Any]
    reason: Reason


LOGINS = {
    "a wrong password": Case({"password": "wrong"}, Reason.SOURCE_AUTH_FAILED),
    "no password": Case({"password": None}, Reason.SOURCE_AUTH_FAILED),
    "a role that does not exist": Case({"user": "nobody"}, Reason.SOURCE_AUTH_FAILED),
    "a database that does not exist": Case({"dbname": "nothing"}, Reason.SOURCE_DATABASE_NOT_FOUND),
    "a database without connections": Case({"dbname": "off"}, Reason.SOURCE_DATABASE_NOT_FOUND),
    "a database that the role may not enter": Case({"dbname": "closed"}, Reason.SOURCE_PERMISSION_DENIED),
    "too many connections": Case({"user": "full_role"}, Reason.SOURCE_UNREACHABLE),
    "TLS that the server lacks": Case({"sslmode": "require"}, Reason.SOURCE_TLS_FAILED),
    "another port": Case({"port": 1}, Reason.SOURCE_UNREACHABLE),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[list[PostgresServer]]:
    """A German server and an English one."""
    with run_german_postgres() as german, run_postgres(16) as english:
        for server in (german, english):
            for statement in SETUP.strip().splitlines():
                server.execute(statement)
            server.execute(CONTENT, "shop")
        yield [german, english]


def build_endpoint(server: PostgresServer, **fields: Any) -> Endpoint:
    endpoint = Endpoint(
        host=server.host, port=server.port, user="reader", password=PASSWORD, dbname="shop", sslmode="disable"
    )
    return replace(endpoint, **fields)


def find_login_failure(server: PostgresServer, **fields: Any) -> Failure:
    with pytest.raises(ImportStopped) as stopped:
        open_source_connection(build_endpoint(server, **fields))
    return stopped.value.failure


def test_the_server_speaks_german(servers: list[PostgresServer]) -> None:
    failure = find_login_failure(servers[0], dbname="nothing")
    assert "existiert nicht" in failure.message


@pytest.mark.parametrize("case", LOGINS.values(), ids=LOGINS.keys())
def test_a_refused_login_has_the_same_reason_and_hint(servers: list[PostgresServer], case: Case) -> None:
    german, english = (find_login_failure(server, **case.fields) for server in servers)
    assert german.reason is english.reason is case.reason
    assert german.hint == english.hint != ""


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT FROM secret", Reason.SOURCE_CHANGED),  # the session's search_path is empty
        ("SELECT FROM public.secret", Reason.SOURCE_PERMISSION_DENIED),
        ("SELECT public.tax(1)", Reason.DUMP_FAILED),
        ("SET LOCAL statement_timeout = 1; SELECT pg_catalog.pg_sleep(1)", Reason.SOURCE_CANCELLED),
    ],
)
def test_a_failed_statement_has_the_same_reason_and_hint(
    servers: list[PostgresServer], statement: str, reason: Reason
) -> None:
    failures = []
    for server in servers:
        with (
            pytest.raises(ImportStopped) as stopped,
            source_connection(build_endpoint(server), "it was read") as connection,
        ):
            connection.execute(statement.encode())
        failures.append(stopped.value.failure)
    german, english = failures
    assert german.reason is english.reason is reason
    assert german.hint == english.hint != ""
    if "tax" in statement:
        assert "ALTER FUNCTION public.tax(integer) SET search_path = public;" in german.hint


def dump(server: PostgresServer, folder: Path, options: list[str], change: str = "") -> Failure:
    """Runs pg_dump as a role that may not read everything, and returns the failure.

    `change` is a statement that a superuser executes between the snapshot and the dump.
    """
    reader, processes = build_endpoint(server), ClientProcesses()
    with connect(reader) as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        ((snapshot_id,),) = holder.execute("SELECT pg_catalog.pg_export_snapshot()").fetchall()
        server.execute(change, "shop")
        arguments = [str(server.bin / "pg_dump"), f"--snapshot={snapshot_id}", f"--dbname={CLIENT_DBNAME}", *options]
        environ = build_client_environment(reader, write_passfile(reader, folder, "passfile"), os.environ)
        exit_code, errors = processes.run([*arguments, f"--file={folder / 'dump'}"], environ, on_line=lambda line: None)
        assert exit_code != 0
        dump_source = DumpSource(source=reader, client=reader, snapshot_id=snapshot_id)
        return explain_dump_exit(exit_code, errors, dump_source, folder)


@pytest.mark.parametrize(
    ("options", "name"),
    [(["--table=secret"], "secret"), (["--table=tenants", "--data-only"], "tenants")],
    ids=["a table without SELECT", "row-level security"],
)
def test_a_refused_pg_dump_has_the_same_reason_and_hint(
    servers: list[PostgresServer], tmp_path: Path, options: list[str], name: str
) -> None:
    german, english = (dump(server, tmp_path, options) for server in servers)
    assert german.reason is english.reason is Reason.SOURCE_PERMISSION_DENIED
    assert german.hint == english.hint
    assert name in german.message
    assert "(SQLSTATE 42501)" in german.message


@pytest.mark.parametrize(
    ("create", "change", "name"),
    [
        ("CREATE VIEW w AS SELECT 1 AS id", "DROP VIEW w", "VIEW public.w"),
        ("CREATE MATERIALIZED VIEW w AS SELECT 1 AS id", "DROP MATERIALIZED VIEW w", "MATERIALIZED VIEW public.w"),
    ],
    ids=["a view", "a materialised view"],
)
def test_what_is_dropped_after_the_snapshot_has_the_same_reason_and_hint(
    servers: list[PostgresServer], tmp_path: Path, create: str, change: str, name: str
) -> None:
    failures = []
    for server in servers:
        server.execute(create, "shop")
        failures.append(dump(server, tmp_path, ["--exclude-table=*s*", "--schema-only"], change))
    german, english = failures
    assert german.reason is english.reason is Reason.SOURCE_CHANGED
    assert german.hint == english.hint != ""
    assert german.message.startswith(f"{name} was dropped")


def test_a_server_that_shuts_down_has_the_same_reason_and_hint() -> None:
    failures = []
    for context in (run_german_postgres(), run_postgres(16)):
        with context as server:
            server.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            with server.connect():
                os.kill(server.pid, signal.SIGTERM)  # waits for this session, and refuses new ones
                failures.append(find_login_failure(server, dbname="postgres"))
    german, english = failures
    assert german.reason is english.reason is Reason.SOURCE_UNREACHABLE
    assert german.hint == english.hint
    assert "(SQLSTATE 57P03)" in german.message

"""pg_dump through the proxy: the same dump with one query for all sequences, and the same errors."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from tests.support.postgres import PostgresServer, run_postgres
from tests.worker.conftest import Bench
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.engines.relay.pg_dump_proxy import run_pg_dump_proxy
from pgimport.worker.postgres.clients import ClientProcesses
from pgimport.worker.postgres.endpoints import Endpoint, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ClientErrorParser

SCHEMA = """
CREATE SCHEMA "odd one";
CREATE SEQUENCE "odd one"."it's" AS smallint INCREMENT -3 MINVALUE -300 MAXVALUE 30 START 3 CACHE 7 CYCLE;
CREATE TABLE "odd one".serials (a serial, b bigserial, c smallserial);
CREATE VIEW none AS SELECT NULL::text AS nothing, ''::text AS empty;
"""
IDENTITY_TABLES = "; ".join(
    f"CREATE TABLE t{n} (id int GENERATED ALWAYS AS IDENTITY (START {n} INCREMENT 2))" for n in range(1, 81)
)


@pytest.fixture(scope="module")
def logging_server() -> Iterator[PostgresServer]:
    """A server of PostgreSQL 16 that logs every statement."""
    with run_postgres(16, log_statement="all") as server:
        server.execute("CREATE DATABASE many")
        server.execute(SCHEMA + IDENTITY_TABLES, "many")
        yield server


def run_pg_dump(
    server: PostgresServer, source: Endpoint, folder: Path, processes: ClientProcesses
) -> tuple[int, ClientErrorParser, str]:
    """Runs pg_dump as the worker does. Returns the exit code, the errors, and the dump's text."""
    passfile = write_passfile(source, folder, "passfile")
    arguments = [str(server.bin / "pg_dump"), "--schema-only", "--no-password", f"--file={folder / 'dump'}"]
    environ = build_client_environment(source, passfile, os.environ)
    exit_code, errors = processes.run(arguments, environ, lambda _: None)
    return exit_code, errors, (folder / "dump").read_text() if exit_code == 0 else ""


def remove_restrict_keys(text: str) -> str:
    r"""Removes the lines `\restrict` and `\unrestrict`, whose key is random in each dump."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_the_dump_is_the_same_and_reads_all_sequences_with_one_query(
    logging_server: PostgresServer, tmp_path: Path
) -> None:
    source = build_superuser_endpoint(logging_server, "many")
    _, _, direct_dump = run_pg_dump(logging_server, source, tmp_path, ClientProcesses())
    assert logging_server.log is not None
    log_length = len(logging_server.log.read_text())
    with run_pg_dump_proxy(source, tmp_path) as proxy:
        exit_code, errors, proxied_dump = run_pg_dump(logging_server, proxy, tmp_path, ClientProcesses())
    assert (exit_code, errors.error) == (0, None)
    assert remove_restrict_keys(proxied_dump) == remove_restrict_keys(direct_dump)
    assert direct_dump.count("INCREMENT BY") >= 80
    queries = [
        line
        for line in logging_server.log.read_text()[log_length:].splitlines()
        if "FROM pg_catalog.pg_sequence" in line
    ]
    assert len(queries) == 1


def test_an_import_of_many_sequences_uses_the_proxy(bench: Bench, logging_server: PostgresServer) -> None:
    assert logging_server.log is not None
    log_length = len(logging_server.log.read_text())
    bench.source_url = logging_server.url("many")
    with bench.shadow():
        result = bench.run()
    assert result.failure is None
    assert result.verification is not None
    assert result.verification.sequences == 84
    queries = [
        line
        for line in logging_server.log.read_text()[log_length:].splitlines()
        if ", seqrelid FROM pg_catalog." in line
    ]
    assert len(queries) == 1


def test_an_error_of_the_source_is_reported_in_its_own_words(logging_server: PostgresServer, tmp_path: Path) -> None:
    logging_server.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    logging_server.execute("CREATE DATABASE closed")
    logging_server.execute("CREATE SCHEMA own; CREATE TABLE own.t (); REVOKE ALL ON SCHEMA own FROM PUBLIC", "closed")
    reader = Endpoint(
        host=logging_server.host,
        port=logging_server.port,
        user="reader",
        password="reader",
        dbname="closed",
        sslmode="disable",
    )
    with run_pg_dump_proxy(reader, tmp_path) as proxy:
        exit_code, errors, _ = run_pg_dump(logging_server, proxy, tmp_path, ClientProcesses())
    assert exit_code == 1
    assert "permission denied for schema own" in (errors.error or "")


def test_a_refused_login_is_reported(logging_server: PostgresServer, tmp_path: Path) -> None:
    with run_pg_dump_proxy(
        replace(build_superuser_endpoint(logging_server, "many"), password="wrong"), tmp_path
    ) as proxy:
        exit_code, errors, _ = run_pg_dump(logging_server, proxy, tmp_path, ClientProcesses())
    assert exit_code == 1
    assert "password authentication failed" in (errors.error or "")


def start_blocked_pg_dump(
    server: PostgresServer, proxy: Endpoint, folder: Path, processes: ClientProcesses
) -> tuple[Thread, list[str]]:
    """Starts a pg_dump and waits until it waits for a lock.

    Returns its thread, and a list that gets its error when it ends.
    """
    errors_at_end: list[str] = []

    def run() -> None:
        exit_code, errors, _ = run_pg_dump(server, proxy, folder, processes)
        errors_at_end.append(f"{exit_code}: {errors.error}")

    thread = Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return thread, errors_at_end


def test_a_lost_source_is_reported_in_its_own_words(logging_server: PostgresServer, tmp_path: Path) -> None:
    with (
        logging_server.connect("many") as holder,
        run_pg_dump_proxy(build_superuser_endpoint(logging_server, "many"), tmp_path) as proxy,
    ):
        holder.execute("BEGIN; LOCK TABLE t1")
        thread, errors_at_end = start_blocked_pg_dump(logging_server, proxy, tmp_path, ClientProcesses())
        logging_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        thread.join(10)
        holder.execute("ROLLBACK")
    assert errors_at_end[0].startswith("1: query failed: FATAL: terminating connection due to administrator command")


def test_a_terminated_pg_dump_leaves_no_statement_at_the_source(logging_server: PostgresServer, tmp_path: Path) -> None:
    processes = ClientProcesses()
    with (
        logging_server.connect("many") as holder,
        run_pg_dump_proxy(build_superuser_endpoint(logging_server, "many"), tmp_path) as proxy,
    ):
        holder.execute("BEGIN; LOCK TABLE t1")
        thread, _ = start_blocked_pg_dump(logging_server, proxy, tmp_path, processes)
        processes.end_all()
        thread.join(10)
        deadline = time.monotonic() + 20
        while logging_server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert time.monotonic() < deadline, "the statement still waits"
            time.sleep(0.02)
        holder.execute("ROLLBACK")


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused(
    logging_server: PostgresServer, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with (
        pytest.raises(OSError, match="too long"),
        run_pg_dump_proxy(build_superuser_endpoint(logging_server, "many"), folder),
    ):
        pass


def test_only_the_workers_user_can_connect_to_the_socket(logging_server: PostgresServer, tmp_path: Path) -> None:
    with run_pg_dump_proxy(build_superuser_endpoint(logging_server, "many"), tmp_path):
        (socket,) = tmp_path.glob(".s.PGSQL.*")
        assert socket.stat().st_mode & 0o777 == 0o600
    assert not socket.exists()

"""pg_dump through its door: the same dump, with one question for all sequences; and whatever goes wrong is told."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.support.postgres import PostgresServer, run_postgres
from tests.worker.conftest import Bench

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.relay.pg_dump_proxy import run_pg_dump_proxy
from pgimport.worker.postgres.clients import ClientProcesses
from pgimport.worker.postgres.endpoints import Endpoint, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ClientErrorParser, translate_dump_exit

KINDS = """
CREATE SCHEMA "odd one";
CREATE SEQUENCE "odd one"."it's" AS smallint INCREMENT -3 MINVALUE -300 MAXVALUE 30 START 3 CACHE 7 CYCLE;
CREATE TABLE "odd one".serials (a serial, b bigserial, c smallserial);
CREATE VIEW none AS SELECT NULL::text AS nothing, ''::text AS empty;
"""
TABLES = "; ".join(
    f"CREATE TABLE t{n} (id int GENERATED ALWAYS AS IDENTITY (START {n} INCREMENT 2))" for n in range(1, 81)
)


@pytest.fixture(scope="module")
def logging_server() -> Iterator[PostgresServer]:
    """A 16 that writes every statement into its log."""
    with run_postgres(16, log_statement="all") as server:
        server.execute("CREATE DATABASE many")
        server.execute(KINDS + TABLES, "many")
        yield server


def endpoint(server: PostgresServer, dbname: str, password: str | None = None) -> Endpoint:
    return Endpoint(
        host=server.host,
        port=server.port,
        user="postgres",
        password=password or server.superuser_password,
        dbname=dbname,
        sslmode="disable",
    )


def dump(
    server: PostgresServer, source: Endpoint, folder: Path, children: ClientProcesses
) -> tuple[int, ClientErrorParser, str]:
    """As the worker starts it; the dump's text."""
    passfile = write_passfile(source, folder, "passfile")
    arguments = [str(server.bin / "pg_dump"), "--schema-only", "--no-password", f"--file={folder / 'dump'}"]
    code, words = children.run(arguments, build_client_environment(source, passfile, os.environ), lambda _: None)
    return code, words, (folder / "dump").read_text() if code == 0 else ""


def without_key(text: str) -> str:
    """Some minors guard a dump with a word that is another one each time."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_the_dump_is_the_same_and_sequences_are_asked_for_once(logging_server: PostgresServer, tmp_path: Path) -> None:
    source = endpoint(logging_server, "many")
    _, _, plain = dump(logging_server, source, tmp_path, ClientProcesses())
    assert logging_server.log is not None
    begun = len(logging_server.log.read_text())
    with run_pg_dump_proxy(source, tmp_path) as door:
        code, words, through = dump(logging_server, door, tmp_path, ClientProcesses())
    assert (code, words.error) == (0, None)
    assert without_key(through) == without_key(plain)
    assert plain.count("INCREMENT BY") >= 80
    asked = [
        line for line in logging_server.log.read_text()[begun:].splitlines() if "FROM pg_catalog.pg_sequence" in line
    ]
    assert len(asked) == 1


def test_an_import_takes_the_door_where_it_is_worth_it(bench: Bench, logging_server: PostgresServer) -> None:
    assert logging_server.log is not None
    begun = len(logging_server.log.read_text())
    bench.source_url = logging_server.url("many")
    with bench.shadow():
        result = bench.run()
    assert result.failure is None
    assert result.verification is not None
    assert result.verification.sequences == 84
    dumped = [
        line for line in logging_server.log.read_text()[begun:].splitlines() if ", seqrelid FROM pg_catalog." in line
    ]
    assert len(dumped) == 1


def test_what_the_source_refuses_is_told_as_it_said_it(logging_server: PostgresServer, tmp_path: Path) -> None:
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
    with run_pg_dump_proxy(reader, tmp_path) as door:
        code, words, _ = dump(logging_server, door, tmp_path, ClientProcesses())
    failure = translate_dump_exit(code, words)
    assert failure.reason is Reason.SOURCE_PERMISSION_DENIED
    assert "permission denied for schema own" in failure.message


def test_a_source_that_does_not_let_in_is_told(logging_server: PostgresServer, tmp_path: Path) -> None:
    with run_pg_dump_proxy(endpoint(logging_server, "many", password="wrong"), tmp_path) as door:
        code, words, _ = dump(logging_server, door, tmp_path, ClientProcesses())
    assert code == 1
    assert "password authentication failed" in (words.error or "")


def start_waiting(
    server: PostgresServer, door: Endpoint, folder: Path, children: ClientProcesses
) -> tuple[Thread, list[Failure]]:
    """A pg_dump that waits for a lock, and what became of it."""
    ended: list[Failure] = []

    def run() -> None:
        code, words, _ = dump(server, door, folder, children)
        ended.append(translate_dump_exit(code, words))

    thread = Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return thread, ended


def test_a_source_that_is_lost_is_told_in_its_own_words(logging_server: PostgresServer, tmp_path: Path) -> None:
    with (
        logging_server.connect("many") as holder,
        run_pg_dump_proxy(endpoint(logging_server, "many"), tmp_path) as door,
    ):
        holder.execute("BEGIN; LOCK TABLE t1")
        thread, ended = start_waiting(logging_server, door, tmp_path, ClientProcesses())
        logging_server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        thread.join(10)
        holder.execute("ROLLBACK")
    assert ended[0].reason is Reason.SOURCE_UNREACHABLE
    assert "query failed: FATAL: terminating connection due to administrator command" in ended[0].message


def test_a_client_that_is_ended_leaves_nothing_waiting_at_the_source(
    logging_server: PostgresServer, tmp_path: Path
) -> None:
    children = ClientProcesses()
    with (
        logging_server.connect("many") as holder,
        run_pg_dump_proxy(endpoint(logging_server, "many"), tmp_path) as door,
    ):
        holder.execute("BEGIN; LOCK TABLE t1")
        thread, _ = start_waiting(logging_server, door, tmp_path, children)
        children.end_all()
        thread.join(10)
        assert logging_server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == []
        holder.execute("ROLLBACK")


def test_a_folder_with_a_name_too_long_for_a_socket_is_refused(logging_server: PostgresServer, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with pytest.raises(OSError, match="too long"), run_pg_dump_proxy(endpoint(logging_server, "many"), deep):
        pass


def test_the_door_is_for_this_user_alone(logging_server: PostgresServer, tmp_path: Path) -> None:
    with run_pg_dump_proxy(endpoint(logging_server, "many"), tmp_path):
        (door,) = tmp_path.glob(".s.PGSQL.*")
        assert door.stat().st_mode & 0o777 == 0o600
    assert not door.exists()

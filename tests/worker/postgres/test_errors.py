"""Error messages of PostgreSQL and its clients are translated into reasons."""

import psycopg
import pytest

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.errors import (
    ClientErrorParser,
    ClientObservation,
    ConnectObservation,
    ConnectProblem,
    is_lost_connection,
    translate_connect_error,
    translate_dump_end,
    translate_snapshot_error,
    translate_source_error,
    translate_target_error,
)
from pgimport.worker.postgres.server_errors import ServerError

CONNECT_PREFIX = 'connection failed: connection to server at "1.2.3.4", port 5432 failed: '


def refused(sqlstate: str) -> ConnectObservation:
    return ConnectObservation(refusal=ServerError(message="the server's words", sqlstate=sqlstate))


@pytest.mark.parametrize(
    ("observation", "message", "reason"),
    [
        (refused("28P01"), "the server's words (SQLSTATE 28P01)", Reason.SOURCE_AUTH_FAILED),
        (refused("3D000"), "the server's words (SQLSTATE 3D000)", Reason.SOURCE_DATABASE_NOT_FOUND),
        (refused("XX000"), "the server's words (SQLSTATE XX000)", Reason.SOURCE_UNREACHABLE),
        (ConnectObservation(problem=ConnectProblem.NO_ANSWER), "Connection refused", Reason.SOURCE_UNREACHABLE),
        (ConnectObservation(problem=ConnectProblem.TLS_FAILED), "Connection refused", Reason.SOURCE_TLS_FAILED),
        (ConnectObservation(), "Connection refused", Reason.SOURCE_UNREACHABLE),
    ],
)
def test_a_refused_connection_has_a_reason(observation: ConnectObservation, message: str, reason: Reason) -> None:
    error = psycopg.OperationalError(CONNECT_PREFIX + "FATAL:  Connection refused")
    failure = translate_connect_error(error, "h:5432/d", observation)
    assert failure.reason is reason
    assert failure.message == f"the source h:5432/d: {message}"


def test_a_failed_statement_is_reported_with_its_sqlstate() -> None:
    denied = psycopg.errors.InsufficientPrivilege("permission denied for table t")
    assert translate_source_error(denied, "x was read").reason is Reason.SOURCE_PERMISSION_DENIED
    assert translate_source_error(denied, "x was read").message == (
        "the source failed while x was read: permission denied for table t (SQLSTATE 42501)"
    )
    assert translate_target_error(denied, "x").reason is Reason.RESTORE_FAILED
    lost_snapshot = psycopg.errors.UndefinedObject('snapshot "0000000E-00000006-1" does not exist')
    assert translate_snapshot_error(lost_snapshot, "x was read").reason is Reason.SOURCE_UNREACHABLE
    shutdown = psycopg.errors.AdminShutdown("terminating connection")
    assert translate_source_error(shutdown, "x").reason is Reason.SOURCE_UNREACHABLE
    assert translate_target_error(shutdown, "x").reason is Reason.TARGET_LOST
    disk_full = psycopg.errors.DiskFull("could not extend file")
    assert translate_target_error(disk_full, "x").reason is Reason.TARGET_FULL
    assert translate_target_error(psycopg.OperationalError("the connection is lost"), "x").reason is Reason.TARGET_LOST


def parse_client_lines(program: str, *lines: str) -> ClientErrorParser:
    errors = ClientErrorParser()
    for line in lines:
        errors.read_line(line)
    return errors


def test_the_first_error_is_reported_with_its_object_and_command() -> None:
    errors = parse_client_lines(
        "pg_restore",
        'pg_restore: creating VIEW "public.v"',
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 219; 1259 16415 VIEW v postgres",
        "pg_restore: error: could not execute query: ERROR:  function f() does not exist",
        "LINE 2:  SELECT f()",
        "                ^",
        "HINT:  No function matches",
        'Command was: CREATE VIEW "public"."v" AS',
        "  SELECT f();",
        "pg_restore: from TOC entry 220; 1259 16416 VIEW w postgres",
        "pg_restore: error: a worker process died unexpectedly",
    )
    assert errors.error == (
        "VIEW v: ERROR: function f() does not exist; LINE 2: SELECT f(); HINT: No function matches;"
        ' command was: CREATE VIEW "public"."v" AS'
    )
    without_owner = ["pg_restore: from TOC entry 3450; 0 0 BLOBS BLOBS (no owner)", "pg_restore: error: ERROR:  no"]
    assert parse_client_lines("pg_restore", *without_owner).error == "BLOBS BLOBS: ERROR: no"


def test_a_process_of_pg_dump_that_gets_no_connection_needs_fewer_jobs() -> None:
    """Before, the message said that the source had ended a session, and the hint was to import again."""
    words = (
        'reconnection failed: connection to server at "h", port 5432 failed: FATAL:  sorry, too many clients already'
    )
    errors = parse_client_lines("pg_dump", f"pg_dump: error: {words}")
    lost = is_lost_connection(errors)
    observation = ClientObservation(program="pg_dump", returncode=1, error=errors.error, connection_lost=lost)
    failure = translate_dump_end(observation)
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert failure.message.startswith("the source refused a session of pg_dump: pg_dump: reconnection failed: ")
    assert "lower spec.jobs" in failure.hint


@pytest.mark.parametrize(
    ("lines", "is_lost"),
    [
        (['COPY failed for table "big": FATAL:  terminating connection due to administrator command'], True),
        (["could not execute query: FATAL:  terminating connection due to administrator command"], True),
        (['COPY failed for table "big": ERROR:  invalid input', 'CONTEXT:  COPY big, line 1: "a: FATAL: b"'], False),
    ],
)
def test_a_session_that_the_server_ended_is_lost(lines: list[str], is_lost: bool) -> None:
    """Before, an import whose COPY by pg_restore an admin had ended failed for good with RestoreFailed."""
    first, *more = lines
    errors = parse_client_lines("pg_restore", f"pg_restore: error: {first}", *more)
    assert is_lost_connection(errors) is is_lost


def test_the_statement_that_failed_is_read_with_all_its_lines() -> None:
    errors = parse_client_lines(
        "pg_dump",
        'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.',
        "pg_dump: detail: Error message from server: FEHLER:  keine Berechtigung für Tabelle t",
        "pg_dump: detail: Command was: COPY public.t (id,",
        "name) TO stdout;",
        "pg_dump: error: a worker process ended",
        "pg_dump: detail: Command was: SELECT 1;",
    )
    assert errors.statement == "COPY public.t (id,\nname) TO stdout;"
    older = parse_client_lines("pg_dump", "pg_dump: error: The command was: LOCK TABLE ONLY public.t")
    assert older.statement == "LOCK TABLE ONLY public.t"
    assert parse_client_lines("pg_dump", "pg_dump: error: no").statement is None

"""Finds out why pg_dump or pg_restore failed, by asking the server once more.

The clients print no SQLSTATE, and they print the server's messages in its language. Their own messages and libpq's are
English, because they run with LC_ALL=C.
"""

import re
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import (
    ClientErrorParser,
    ClientObservation,
    ImportStopped,
    is_lost_connection,
    translate_client_end,
    translate_dump_change,
    translate_dump_end,
    translate_restore_end,
    translate_snapshot_error,
    translate_source_error,
)
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import read_server_error
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.postgres.sqlstates import Cause, find_cause

REPEAT_SECONDS = 10  # a statement that runs longer without an error is taken as one that works
FULL_BYTES = 1024 * 1024  # a scratch volume with less space is full
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
LOCK_SECONDS = 2
_OID = re.compile(r"'(\d{1,10})'")  # of an object, in a statement of pg_dump
_LARGE_OBJECT = re.compile(r"(?:reading|open) large object (\d{1,10}): ")  # pg_dump reads it without a statement
_TIMED_OUT = "57014"
# SQLSTATEs of a statement that cannot be repeated, because pg_dump has prepared it or reads from its own cursor.
_NOT_REPEATABLE = ("26000", "34000")
# Writes 18 MB, more than PostgreSQL keeps in memory for a temporary table.
_WRITE_PROBE = "CREATE TEMPORARY TABLE pgimport_probe ON COMMIT DROP AS SELECT pg_catalog.generate_series(1, 500000)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpSource:
    """Where pg_dump reads: the source, its snapshot, and the endpoint that pg_dump gets, which can be a proxy."""

    source: Endpoint
    client: Endpoint
    snapshot_id: str


def explain_dump_exit(returncode: int, errors: ClientErrorParser, dump_source: DumpSource, scratch: Path) -> Failure:
    """Returns the failure for a non-zero exit code of pg_dump.

    Repeats the statement that failed, in the same snapshot, to see its SQLSTATE.
    """
    observation = ClientObservation(
        program="pg_dump",
        returncode=returncode,
        error=errors.error,
        scratch_is_full=shutil.disk_usage(scratch).free < FULL_BYTES,
        connection_lost=is_lost_connection(errors),
    )
    if (failure := translate_client_end(observation)) is not None:
        return failure
    try:
        with closing(open_source_connection(dump_source.source)) as connection:
            return _repeat(connection, dump_source.snapshot_id, errors.statement, observation)
    except ImportStopped as stopped:
        return replace(stopped.failure, message=f"{stopped.failure.message}; before that, {observation.text}")


def _repeat(connection: Connection, snapshot_id: str, statement: str | None, observation: ClientObservation) -> Failure:
    try:
        _begin_in_snapshot(connection, snapshot_id)
    except psycopg.Error as error:
        return translate_snapshot_error(error, "pg_dump read it")
    if statement is None and (match := _LARGE_OBJECT.search(observation.error or "")):
        statement = f"SELECT pg_catalog.length(pg_catalog.lo_get({match[1]}, 0, 1048576))"
    if statement is None:
        return translate_dump_end(observation)
    refusal = _find_refusal(connection, statement)
    if refusal is None or refusal.sqlstate == _TIMED_OUT:
        return translate_dump_end(replace(observation, repeated=True))
    if refusal.sqlstate is None:  # this session was lost too
        return translate_dump_end(replace(observation, connection_lost=True))
    if find_cause(refusal.sqlstate) is Cause.STATEMENT:
        try:
            changed = _find_changed_objects(connection, snapshot_id, statement)
        except psycopg.Error as error:
            return translate_source_error(error, "pg_dump read it")
        if changed is not None:
            return translate_dump_change(changed, observation)
    if refusal.sqlstate in _NOT_REPEATABLE:
        return translate_dump_end(observation)
    return translate_dump_end(replace(observation, refusal=read_server_error(refusal)))


def _begin_in_snapshot(connection: Connection, snapshot_id: str) -> None:
    connection.execute(_BEGIN)
    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_id)))


def _find_changed_objects(connection: Connection, snapshot_id: str, statement: str) -> list[str] | None:
    """Returns what the snapshot shows and the source has no longer. Returns None if nothing has changed.

    A server builds a definition from its present catalogs, so it fails for an object that only the snapshot shows. The
    list is empty if the statement works without the snapshot and nobody knows for which object it failed. Raises
    psycopg.Error.
    """
    query, parameters = read_query("postgres/objects_by_oid"), {"oids": [int(oid) for oid in _OID.findall(statement)]}
    connection.execute("ROLLBACK")
    _begin_in_snapshot(connection, snapshot_id)
    before = [str(title) for (title,) in connection.execute(query, parameters)]
    connection.execute("ROLLBACK")
    connection.execute(_BEGIN)
    present = {str(title) for (title,) in connection.execute(query, parameters)}
    if changed := [title for title in before if title not in present]:
        return changed
    return [] if _find_refusal(connection, statement) is None else None


def _find_refusal(connection: Connection, statement: str) -> psycopg.Error | None:
    """Executes a statement of pg_dump in a read-only transaction, and returns the server's error."""
    query = statement.encode(connection.info.encoding, "replace")
    try:
        connection.execute(f"SET statement_timeout = '{REPEAT_SECONDS}s'; SET lock_timeout = '{LOCK_SECONDS}s'")
        if not statement.startswith("COPY "):
            connection.execute(query)
            return None
        # Not get_copy_data: while it waits for rows, no other thread of the worker runs.
        with connection.cursor().copy(query) as rows:
            for _ in rows:
                continue
    except psycopg.Error as error:
        return error
    return None


def explain_restore_exit(returncode: int, errors: ClientErrorParser, shadow_sessions: ShadowSessions) -> Failure:
    """Returns the failure for a non-zero exit code of pg_restore. Writes to the target's disk to see if it is full."""
    observation = ClientObservation(
        program="pg_restore",
        returncode=returncode,
        error=errors.error,
        connection_lost=is_lost_connection(errors),
    )
    if translate_client_end(observation) is None and not observation.connection_lost:
        try:
            with connect(shadow_sessions.endpoint) as shadow:
                shadow.execute(_WRITE_PROBE)
        except psycopg.Error as error:
            observation = replace(observation, refusal=read_server_error(error))
    return translate_restore_end(observation)

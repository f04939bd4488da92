"""Locks database names, so that only one operator at a time changes a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connection, execute_together, read_query
from pgimport.server.sessions import ROUNDS, ClientSession, end_client_sessions


@contextmanager
def share_database_name(connection: Connection, database: str) -> Iterator[None]:
    """Holds a shared lock on a database name: others may share it, and nobody may replace the database meanwhile.

    PostgreSQL grants locks in the order of the requests, so a waiting swap lets no new copy begin. Raises
    ServerUnavailable (WaitingForRefresh) if the lock is not granted.
    """
    try:
        _lock(connection, database, "pg_advisory_lock_shared")
    except postgres.LockNotAvailable as error:
        message = f"an import replaces database {database}, which is to be copied"
        raise ServerUnavailable(Failure(Reason.WAITING_FOR_REFRESH, message)) from error
    yield  # after an error, the lock ends with the session
    name = f"pgimport {database}"
    connection.execute("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", [name])


def lock_database_name(connection: Connection, database: str) -> None:
    """Locks a database name until the session ends, so that another operator waits before it changes the database.

    A tenant that may connect to the maintenance database could take the lock and keep it. So this function ends the
    sessions of other roles that hold or await the lock. It never ends sessions of the admin's own role. Raises
    ServerUnavailable (TargetBusy) if the lock is not granted.
    """
    _lock(connection, database, "pg_advisory_lock")


def _lock(
    connection: Connection, database: str, function: Literal["pg_advisory_lock", "pg_advisory_lock_shared"]
) -> None:
    name = f"pgimport {database}"
    for attempt in range(1, ROUNDS + 1):
        try:
            execute_together(
                connection,
                [
                    sql.SQL("SET lock_timeout = '1s'" if attempt < ROUNDS else "SET lock_timeout = '10s'"),
                    sql.SQL("SELECT {}(hashtextextended({}, 0))").format(sql.Identifier(function), sql.Literal(name)),
                    sql.SQL("RESET lock_timeout"),
                ],
            )
            return
        except postgres.LockNotAvailable:
            if attempt == ROUNDS:
                raise
            rows = connection.execute(read_query("advisory_lock_holders"), {"name": name}).fetchall()
            end_client_sessions(connection, [ClientSession(*row) for row in rows])

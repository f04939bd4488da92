"""Locks database names, so that only one operator at a time changes a database."""

from psycopg import errors as postgres
from psycopg import sql

from pgimport.server.connection import Connection, execute_together, read_query
from pgimport.server.sessions import ROUNDS, ClientSession, end_client_sessions


def lock_database_name(connection: Connection, database: str) -> None:
    """Locks a database name until the session ends, so that another operator waits before it changes the database.

    A tenant that may connect to the maintenance database could take the lock and keep it. So this function ends the
    sessions of other roles that hold or await the lock. It never ends sessions of the admin's own role. Raises
    ServerUnavailable (TargetBusy) if the lock is not granted.
    """
    name = f"pgimport {database}"
    for attempt in range(1, ROUNDS + 1):
        try:
            execute_together(
                connection,
                [
                    sql.SQL("SET lock_timeout = '1s'" if attempt < ROUNDS else "SET lock_timeout = '10s'"),
                    sql.SQL("SELECT pg_advisory_lock(hashtextextended({}, 0))").format(sql.Literal(name)),
                    sql.SQL("RESET lock_timeout"),
                ],
            )
            return
        except postgres.LockNotAvailable:
            if attempt == ROUNDS:
                raise
            rows = connection.execute(read_query("advisory_lock_holders"), {"name": name}).fetchall()
            end_client_sessions(connection, [ClientSession(*row) for row in rows])

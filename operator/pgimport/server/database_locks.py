"""Locks database names, so that only one operator at a time changes a database."""

from psycopg import errors as postgres

from pgimport.server.connection import Connection, read_query
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
            connection.execute("SET lock_timeout = '1s'" if attempt < ROUNDS else "SET lock_timeout = '10s'")
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
            break
        except postgres.LockNotAvailable:
            if attempt == ROUNDS:
                raise
            rows = connection.execute(read_query("advisory_lock_holders"), {"name": name}).fetchall()
            end_client_sessions(connection, [ClientSession(*row) for row in rows])
        finally:
            if not connection.closed:
                connection.execute("RESET lock_timeout")

"""Sessions in a database: who may connect, who is connected, and how sessions are ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.server.connection import Connection, execute_together, read_query
from pgimport.server.shared_objects import read_shared_objects

# How often `end_access` ends the sessions that hold what it waits for. A tenant that connects in a loop needs several.
ROUNDS = 4
_LOCK_SECONDS = 1
# In the last round. Until then, a watch of locks has ended the sessions that hold them, also on a busy server.
_LAST_LOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ClientSession:
    """A row of pg_stat_activity, as far as the admin may read it."""

    pid: int
    database: str | None
    user: str
    application: str

    def __str__(self) -> str:
        return f"{self.user} ({self.application})" if self.application else self.user


def end_access(
    connection: Connection,
    *,
    databases: Sequence[str],
    roles: Sequence[str] = (),
    roles_with_login: Sequence[str] = (),
) -> list[ClientSession]:
    """Disallows new sessions in these databases and of these roles, and ends those that exist.

    Returns the sessions that the admin may not end. Roles of `roles_with_login` lose their sessions, and keep their
    login.

    An open transaction of a tenant may hold a lock on the row of its own role in pg_authid, or of its own database in
    pg_database. ALTER ROLE and ALTER DATABASE wait for this lock. Then sessions end first, and again afterwards.
    """
    all_roles = [*roles, *roles_with_login]
    for attempt in range(1, ROUNDS + 1):
        try:
            with connection.transaction():
                seconds = _LOCK_SECONDS if attempt < ROUNDS else _LAST_LOCK_SECONDS
                connection.execute(f"SET LOCAL lock_timeout = '{seconds}s'".encode())
                disallow_connections(connection, databases=databases, roles=roles)
            break
        except (postgres.LockNotAvailable, postgres.InternalError_):  # InternalError: tuple concurrently updated
            if attempt == ROUNDS:
                raise
            end_sessions(connection, databases=databases, roles=all_roles)
    return end_sessions(connection, databases=databases, roles=all_roles)


def disallow_connections(connection: Connection, *, databases: Iterable[str], roles: Iterable[str]) -> None:
    """Disallows new sessions in these databases and of these roles, in one transaction; ignores missing ones.

    ALTER DATABASE needs the same right as DROP DATABASE. One transaction does both, so an admin who may not drop the
    database cannot disable its owner's login by mistake.
    """
    existing = read_shared_objects(connection, databases=databases, roles=roles)
    logins = [
        sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role.name))
        for role in existing.roles.values()
        if role.accepts_sessions
    ]
    connections = [
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database.name))
        for database in existing.databases.values()
        if database.accepts_sessions and not database.invalid
    ]
    execute_together(connection, [*logins, *connections])


def allow_connections(connection: Connection, database: str) -> None:
    """Allows new sessions in a database."""
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(database)))


def end_sessions(connection: Connection, *, databases: Iterable[str], roles: Iterable[str] = ()) -> list[ClientSession]:
    """Ends the sessions in these databases and of these roles; returns those that the admin may not end.

    Signals one process at a time, so that a superuser's session does not keep the others alive.
    """
    return end_client_sessions(connection, read_sessions(connection, databases=databases, roles=roles))


def read_sessions(
    connection: Connection, *, databases: Iterable[str], roles: Iterable[str] = ()
) -> list[ClientSession]:
    """Returns the sessions in these databases and of these roles."""
    names = {"databases": list(databases), "roles": list(roles)}
    return [ClientSession(*row) for row in connection.execute(read_query("client_sessions"), names).fetchall()]


def end_client_sessions(connection: Connection, clients: Iterable[ClientSession]) -> list[ClientSession]:
    """Ends these sessions; returns those that the admin may not end."""
    remaining: list[ClientSession] = []
    for client in clients:
        try:
            connection.execute("SELECT pg_terminate_backend(%s)", [client.pid])
        except postgres.InsufficientPrivilege:
            remaining.append(client)
    return remaining

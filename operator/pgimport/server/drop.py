"""Ends: sessions, prepared transactions, databases and roles come in by name and are gone; each may be repeated."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict, ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import (
    FALLBACK_MAINTENANCE_DATABASE,
    MAINTENANCE_DATABASE,
    Access,
    Connect,
    Connection,
    read_query,
    scram_verifier,
    session,
)
from pgimport.server.shared_objects import read_shared_objects

# DROP DATABASE itself waits 5 seconds for sessions to end (CountOtherDBBackends in PostgreSQL's procarray.c).
DROP_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class ClientSession:
    """A client's session, as far as the admin may see it."""

    pid: int
    database: str | None
    user: str
    application: str

    def __str__(self) -> str:
        return f"{self.user} ({self.application})" if self.application else self.user


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """A prepared transaction."""

    gid: str
    owner: str
    database: str


def disallow_connections(connection: Connection, *, databases: Iterable[str], roles: Iterable[str]) -> None:
    """No new session in these databases, none of these roles; in one transaction, what is not there passed over."""
    found = read_shared_objects(connection, databases=databases, roles=roles)
    with connection.transaction():
        for role in found.roles.values():
            if role.open:
                connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role.name)))
        for database in found.databases.values():
            if database.open and not database.invalid:
                connection.execute(
                    sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database.name))
                )


def allow_connections(connection: Connection, database: str) -> None:
    """Sessions may begin in it again."""
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(database)))


def end_sessions(connection: Connection, *, databases: Iterable[str], roles: Iterable[str] = ()) -> list[ClientSession]:
    """One pid at a time, so that one that may not be ended (a superuser's) does not save the others; those go out."""
    rows = connection.execute(
        read_query("client_sessions"), {"databases": list(databases), "roles": list(roles)}
    ).fetchall()
    remaining: list[ClientSession] = []
    for found in (ClientSession(*row) for row in rows):
        try:
            connection.execute("SELECT pg_terminate_backend(%s)", [found.pid])
        except postgres.InsufficientPrivilege:
            remaining.append(found)
    return remaining


def read_prepared_transactions(connection: Connection, databases: Iterable[str]) -> list[PreparedTransaction]:
    """Oldest first."""
    rows = connection.execute(read_query("prepared_transactions"), {"databases": list(databases)}).fetchall()
    return [PreparedTransaction(*row) for row in rows]


def drop_database(connection: Connection, access: Access, name: str, connect: Connect) -> None:
    """Drops a database with all that uses it, or completes an interrupted drop; may be repeated.

    Ends the sessions that the admin may end, then runs a plain DROP DATABASE, which ends autovacuum workers itself.
    WITH (FORCE) must not be used: it first checks the right to signal every process in the database, and an admin
    without SUPERUSER has none for an autovacuum worker (TerminateOtherDBBackends in PostgreSQL's procarray.c). It
    would fail with 42501 for as long as autovacuum runs.

    Raises ServerUnavailable (TargetBusy) if something else still uses the database, such as a superuser's session, a
    background worker of an extension, or a subscription.
    """
    database = read_shared_objects(connection, databases=[name]).databases.get(name)
    if database is None:
        return
    if not database.invalid:
        disallow_connections(connection, databases=[name], roles=())
        _roll_back_prepared(connection, access, name, connect)
    for attempt in range(1, DROP_ATTEMPTS + 1):
        remaining = end_sessions(connection, databases=[name])
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            return
        except postgres.ObjectInUse as error:
            # A session that was just starting when connections were disallowed is listed only now: end it too.
            if remaining or attempt == DROP_ATTEMPTS:
                raise ServerUnavailable(_database_in_use(name, remaining, error)) from error


def _database_in_use(name: str, remaining: list[ClientSession], error: postgres.ObjectInUse) -> Failure:
    users = sorted({str(client) for client in remaining})
    cause = f"it is in use by sessions of {', '.join(users)}" if users else error.diag.message_primary
    return Failure(Reason.TARGET_BUSY, f"database {name} cannot be dropped: {cause}")


def _roll_back_prepared(connection: Connection, access: Access, database: str, connect: Connect) -> None:
    """A prepared transaction keeps a database from being dropped for ever, and only its owner, inside, can end it.

    So the owner does, never the admin: with a password of this moment, in a database and by a role that are about
    to be dropped.
    """
    for prepared in read_prepared_transactions(connection, [database]):
        password = secrets.token_hex(32)
        role, place = sql.Identifier(prepared.owner), sql.Identifier(database)
        connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(role, place))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                role, sql.Literal(scram_verifier(connection, prepared.owner, password))
            )
        )
        allow_connections(connection, database)
        try:
            with session(replace(access, user=prepared.owner, password=password), database, connect) as owner:
                owner.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(prepared.gid)))
        finally:
            disallow_connections(connection, databases=[database], roles=[prepared.owner])


def drop_role(connection: Connection, access: Access, name: str, connect: Connect) -> None:
    """With what it left in the maintenance databases, where PUBLIC may enter by default. Nothing there is fine."""
    if name not in read_shared_objects(connection, roles=[name]).roles:
        return
    disallow_connections(connection, databases=(), roles=[name])
    end_sessions(connection, databases=(), roles=[name])
    statement = sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))
    with suppress(postgres.DependentObjectsStillExist):
        connection.execute(statement)
        return
    for place in (MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE):
        with suppress(ServerUnavailable), session(access, place, connect) as inside:
            inside.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    try:
        connection.execute(statement)
    except postgres.DependentObjectsStillExist as error:
        raise Conflict(f"role {name} cannot be dropped: {error.diag.message_detail}") from error

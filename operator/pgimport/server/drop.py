"""Drops databases and roles, with the sessions and prepared transactions that keep them; each may be repeated."""

import secrets
from contextlib import suppress
from dataclasses import replace

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict, ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import (
    FALLBACK_MAINTENANCE_DATABASE,
    MAINTENANCE_DATABASE,
    Connect,
    Connection,
    scram_verifier,
    session,
)
from pgimport.server.server_access import Access
from pgimport.server.sessions import (
    ClientSession,
    allow_connections,
    disallow_connections,
    end_sessions,
    read_prepared_transactions,
)
from pgimport.server.shared_objects import read_shared_objects

# DROP DATABASE itself waits 5 seconds for sessions to end (CountOtherDBBackends in PostgreSQL's procarray.c).
DROP_ATTEMPTS = 2


def drop_database(connection: Connection, access: Access, name: str, connect: Connect) -> None:
    """Drops a database, or completes an interrupted drop; does nothing if it does not exist.

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
    """Rolls back the prepared transactions of a database that is about to be dropped; DROP DATABASE refuses them.

    ROLLBACK PREPARED is only possible for the transaction's owner, from inside the database. The admin never connects
    to a database that may hold hostile objects, so the owner does it, with a new random password.
    """
    for prepared in read_prepared_transactions(connection, [database]):
        password = secrets.token_hex(32)
        role_name, database_name = sql.Identifier(prepared.owner), sql.Identifier(database)
        connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role_name))
        connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(role_name, database_name))
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                role_name, sql.Literal(scram_verifier(connection, prepared.owner, password))
            )
        )
        allow_connections(connection, database)
        try:
            with session(replace(access, user=prepared.owner, password=password), database, connect) as owner:
                owner.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(prepared.gid)))
        finally:
            disallow_connections(connection, databases=[database], roles=[prepared.owner])


def drop_role(connection: Connection, access: Access, name: str, connect: Connect) -> None:
    """Drops a role with the objects that it owns in the maintenance databases; does nothing if it does not exist.

    A role can own objects there if PUBLIC may connect, which is PostgreSQL's default. Raises Conflict if other objects
    depend on the role.
    """
    if name not in read_shared_objects(connection, roles=[name]).roles:
        return
    disallow_connections(connection, databases=(), roles=[name])
    end_sessions(connection, databases=(), roles=[name])
    statement = sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))
    with suppress(postgres.DependentObjectsStillExist):
        connection.execute(statement)
        return
    for database in (MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE):
        with suppress(ServerUnavailable), session(access, database, connect) as maintenance:
            maintenance.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    try:
        connection.execute(statement)
    except postgres.DependentObjectsStillExist as error:
        raise Conflict(f"role {name} cannot be dropped: {error.diag.message_detail}") from error

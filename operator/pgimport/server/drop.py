"""Drops databases, with the sessions and prepared transactions that keep them; a drop may be repeated."""

from contextlib import suppress

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connect, Connection
from pgimport.server.database_watch import database_watch
from pgimport.server.prepared_transactions import (
    read_locking_transactions,
    read_prepared_transactions,
    roll_back_prepared,
)
from pgimport.server.server_access import Access
from pgimport.server.sessions import (
    ClientSession,
    end_access,
    end_sessions,
)
from pgimport.server.shared_objects import SharedObject, read_shared_objects

# DROP DATABASE itself waits 5 seconds for sessions to end (CountOtherDBBackends in PostgreSQL's procarray.c).
DROP_ATTEMPTS = 2


def drop_database(connection: Connection, access: Access, name: str, connect: Connect) -> None:
    """Drops a database, or completes an interrupted drop; does nothing if it does not exist.

    Ends the sessions that the admin may end, then runs a plain DROP DATABASE, which ends autovacuum workers itself.
    WITH (FORCE) must not be used: it first checks the right to signal every process in the database, and an admin
    without SUPERUSER has none for an autovacuum worker (TerminateOtherDBBackends in PostgreSQL's procarray.c). It
    would fail with 42501 for as long as autovacuum runs.

    Raises ServerUnavailable (TargetBusy) if something else still uses the database, such as a superuser's session, a
    background worker of an extension, a subscription, or a session anywhere that does not process a barrier.
    """
    database = read_shared_objects(connection, databases=[name]).databases.get(name)
    if database is None:
        return
    owners = [database.owner] if database.owner is not None and database.owner != access.user else []
    if not database.invalid:
        _close(connection, access, database, owners, connect)
    for attempt in range(1, DROP_ATTEMPTS + 1):
        remaining = end_sessions(connection, databases=[name])
        try:
            with database_watch(connection, access, name, connect):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            return
        except postgres.ObjectInUse as error:
            # A session that was just starting when connections were disallowed is listed only now: end it too.
            if remaining or attempt == DROP_ATTEMPTS:
                raise ServerUnavailable(_database_in_use(name, remaining, error)) from error


def _close(connection: Connection, access: Access, database: SharedObject, owners: list[str], connect: Connect) -> None:
    """Removes what keeps the database from being dropped: sessions, prepared transactions and IS_TEMPLATE.

    A session of the owner in another database can hold a lock on this database's row in pg_database.
    """
    close_access(connection, access, [database.name], owners, connect)
    closed = read_shared_objects(connection, databases=[database.name]).databases.get(database.name)
    if closed is not None and closed.template:
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(database.name)))


def close_access(
    connection: Connection, access: Access, databases: list[str], roles: list[str], connect: Connect
) -> None:
    """Does the same as `end_access`, and rolls back prepared transactions in these databases.

    A prepared transaction can lock the rows of a database and of its owner, so it is rolled back before these are
    changed, and again afterwards. If this fails at first, the access ends all the same, as far as the locks allow.
    """
    if read_prepared_transactions(connection, databases):
        end_sessions(connection, databases=databases, roles=roles)
        with suppress(ServerUnavailable):
            _roll_back_all(connection, access, databases, connect)
    with database_watch(connection, access, databases[0], connect):
        end_access(connection, databases=databases, roles=roles)
    _roll_back_all(connection, access, databases, connect)


def _database_in_use(name: str, remaining: list[ClientSession], error: postgres.ObjectInUse) -> Failure:
    users = sorted({str(client) for client in remaining})
    cause = f"it is in use by sessions of {', '.join(users)}" if users else error.diag.message_primary
    return Failure(Reason.TARGET_BUSY, f"database {name} cannot be dropped: {cause}")


def _roll_back_all(connection: Connection, access: Access, databases: list[str], connect: Connect) -> None:
    prepared = read_prepared_transactions(connection, databases)
    roll_back_prepared(access, [*prepared, *read_locking_transactions(connection, databases)], connect)

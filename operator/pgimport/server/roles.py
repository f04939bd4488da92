"""Creates roles with a mark, drops them, and disables those that cannot be dropped yet."""

from contextlib import suppress

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Refused, ServerUnavailable
from pgimport.model.names import dropped_role_name
from pgimport.model.owner_comment import OwnerComment, ShadowRecord, format_owner_comment
from pgimport.server.connection import (
    FALLBACK_MAINTENANCE_DATABASE,
    MAINTENANCE_DATABASE,
    Connect,
    Connection,
    connect,
    execute_together,
    scram_verifier,
    session,
)
from pgimport.server.server_access import Access
from pgimport.server.sessions import end_access, end_sessions
from pgimport.server.shared_objects import SharedObject, read_shared_objects

# DROP ROLE waits for every open transaction that grants something to the role, even one of another tenant.
_LOCK_SECONDS = 1
_NOT_DROPPED = (postgres.DependentObjectsStillExist, postgres.LockNotAvailable, postgres.InternalError_)


def create_role(
    connection: Connection,
    role: str,
    password: str | None,
    mark: OwnerComment,
    record: ShadowRecord | None = None,
) -> None:
    """Creates a marked role that may not log in yet, and makes the admin a member of it.

    Membership lets the admin create databases for the role and drop them.
    """
    name = sql.Identifier(role)
    inherit = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160000 else "")
    verifier = sql.Literal(scram_verifier(connection, role, password) if password is not None else None)
    statements = [
        sql.SQL("CREATE ROLE {} NOLOGIN PASSWORD {}").format(name, verifier),
        sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(format_owner_comment(mark, record))),
        sql.SQL("GRANT {} TO CURRENT_USER").format(name) + inherit,
    ]
    execute_together(connection, statements)


def drop_role(connection: Connection, access: Access, name: str, connect: Connect) -> str | None:
    """Drops a role with the objects that it owns in the maintenance databases; does nothing if it does not exist.

    A role can own objects there if PUBLIC may connect, which is PostgreSQL's default.

    Any tenant can keep a role from being dropped, with a GRANT to it. Such a role is disabled, renamed, and marked as
    dropped, so that the sweep tries again. Returns the new name of such a role, else None.
    """
    role = read_shared_objects(connection, roles=[name]).roles.get(name)
    if role is None:
        return None
    end_access(connection, databases=(), roles=[name])
    if _try_drop(connection, name):
        return None
    for database in (MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE):
        with suppress(ServerUnavailable, Refused), session(access, database, connect) as maintenance:
            maintenance.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
            maintenance.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    return None if _try_drop(connection, name) else _disable(connection, role)


def _try_drop(connection: Connection, name: str) -> bool:
    """Returns False if something depends on the role, or may depend on it after an open transaction."""
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'".encode())
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    except _NOT_DROPPED:
        return False
    return True


def _disable(connection: Connection, role: SharedObject) -> str:
    """Frees the name of a role that cannot be dropped yet, and marks it for the sweep. Returns its new name."""
    new_name = dropped_role_name(role.name, role.oid)
    mark = (role.mark or OwnerComment(project_uid="")).model_copy(update={"dropped": True})
    with connection.transaction():
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(role.name)))
        if role.name != new_name:
            connection.execute(
                sql.SQL("ALTER ROLE {} RENAME TO {}").format(sql.Identifier(role.name), sql.Identifier(new_name))
            )
        connection.execute(
            sql.SQL("COMMENT ON ROLE {} IS {}").format(
                sql.Identifier(new_name), sql.Literal(format_owner_comment(mark))
            )
        )
    return new_name


def set_connection_limit(access: Access, role: str, limit: int, *, connect: Connect = connect) -> None:
    """Sets the CONNECTION LIMIT of a role; ends its sessions if one of them locks its row in pg_authid."""
    with session(access, connect=connect) as connection:
        statement = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(sql.Identifier(role), sql.Literal(limit))
        connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
        with suppress(postgres.UndefinedObject):  # dropped meanwhile
            try:
                connection.execute(statement)
            except postgres.LockNotAvailable:
                end_sessions(connection, databases=(), roles=[role])
                connection.execute(statement)

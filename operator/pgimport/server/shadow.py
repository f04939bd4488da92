"""One attempt's shadow: the plan in; an empty database like the source, its role, and last the open gate out."""

from contextlib import suppress
from dataclasses import dataclass, field

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict
from pgimport.model.names import AttemptNames
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.model.result import SourceInfo
from pgimport.server.connection import (
    Access,
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    read_query,
    session,
)
from pgimport.server.database_locale import create_like_source, describe_fallback
from pgimport.server.drop import disallow_connections, drop_database, drop_role, end_sessions
from pgimport.server.extensions import create_extensions
from pgimport.server.preview import create_role
from pgimport.server.shared_objects import read_shared_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """What an attempt needs on the target server."""

    names: AttemptNames
    password: str = field(repr=False)
    source: SourceInfo
    mark: OwnerComment
    # Revoke CONNECT from PUBLIC on the admin's other databases: right where the admin is this system's own role,
    # wrong where it is a person's.
    close_others: bool = True


def prepare_shadow(access: Access, plan: ShadowPlan, *, connect: Connect = connect) -> list[str]:
    """Notes for a person go out. May be repeated after a crash anywhere: once the gate is open nothing is touched.

    Raises Conflict where the attempt was fenced, or a name is somebody else's.
    """
    names = plan.names
    with session(access, connect=connect) as connection:
        found = read_shared_objects(connection, databases=[names.database], roles=[names.role])
        role, database = found.roles.get(names.role), found.databases.get(names.database)
        for there in (role, database):
            if there is not None and there.comment is not None and there.mark != plan.mark:
                raise Conflict(f"{there.kind} {there.name} is there already and belongs to something else")
        if role is not None and role.open:
            return describe_fallback(connection, names.database, plan.source)
        if database is not None and database.invalid:
            drop_database(connection, access, names.database, connect)
            database = None
        if database is not None and not database.open:
            raise Conflict(f"the attempt of {names.database} was fenced; a new one has other names")
        if role is None:
            create_role(connection, names.role, plan.password, plan.mark)
        if database is None:
            create_like_source(connection, names.database, plan.source)
        _mark_and_close(connection, plan)
        with session(access, names.database, connect) as inside:
            notes = create_extensions(inside, plan.source.extensions, names.role)
            inside.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(names.role)))
        notes += describe_fallback(connection, names.database, plan.source)
        if plan.close_others:
            _close_others(connection)
        if ensure_synchronous_commit(connection):
            connection.execute(
                sql.SQL("ALTER ROLE {} SET synchronous_commit = local").format(sql.Identifier(names.role))
            )
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(names.role)))  # the gate
        return notes


def _mark_and_close(connection: Connection, plan: ShadowPlan) -> None:
    database, role = sql.Identifier(plan.names.database), sql.Identifier(plan.names.role)
    with connection.transaction():
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(format_owner_comment(plan.mark)))
        )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        connection.execute(sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, role))


def _close_others(connection: Connection) -> None:
    for (name,) in connection.execute(read_query("databases_open_to_public")).fetchall():
        # Another attempt does the same at the same moment, or the database is just being dropped.
        with suppress(postgres.InternalError_, postgres.InvalidCatalogName):
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def fence_attempt(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """Whatever still runs of an attempt can do nothing more; nothing there is fine."""
    with session(access, connect=connect) as connection:
        _fence(connection, names)


def _fence(connection: Connection, names: AttemptNames) -> None:
    disallow_connections(connection, databases=[names.database], roles=[names.role])
    end_sessions(connection, databases=[names.database], roles=[names.role])


def drop_attempt(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """Fence, drop the database, drop the role; may be repeated, nothing there is fine."""
    with session(access, connect=connect) as connection:
        _fence(connection, names)
        drop_database(connection, access, names.database, connect)
        drop_role(connection, access, names.role, connect)

"""The shadow of an attempt, which is the database that the attempt writes to: created with its role, and dropped."""

from contextlib import suppress
from dataclasses import dataclass, field

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict
from pgimport.model.names import AttemptNames
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.model.result import SourceInfo
from pgimport.server.connection import Connect, Connection, connect, ensure_synchronous_commit, read_query, session
from pgimport.server.database_locale import create_like_source, describe_fallback
from pgimport.server.drop import drop_database, drop_role
from pgimport.server.extensions import create_extensions
from pgimport.server.preview import create_role
from pgimport.server.server_access import Access
from pgimport.server.sessions import disallow_connections, end_sessions
from pgimport.server.shared_objects import read_shared_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """The shadow database and the role of one attempt."""

    names: AttemptNames
    password: str = field(repr=False)
    source: SourceInfo
    mark: OwnerComment
    # Whether to revoke CONNECT from PUBLIC on all databases that the admin owns. False if the admin is a person's role.
    close_other_databases: bool = True


def prepare_shadow(access: Access, plan: ShadowPlan, *, connect: Connect = connect) -> list[str]:
    """Creates an empty database like the source and its role, then opens the gate; returns notes for the user.

    May be repeated after a crash at any point. Changes nothing once the gate is open.

    Raises Conflict if `drop_attempt` ended this attempt, or if a database or role of this name is not the attempt's.
    """
    names = plan.names
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(connection, databases=[names.database], roles=[names.role])
        role, database = existing.roles.get(names.role), existing.databases.get(names.database)
        for shared in (role, database):
            if shared is not None and shared.comment is not None and shared.mark != plan.mark:
                raise Conflict(f"{shared.kind} {shared.name} exists and was not created for this attempt")
        if role is not None and role.accepts_sessions:
            return describe_fallback(connection, names.database, plan.source)
        if database is not None and database.invalid:
            drop_database(connection, access, names.database, connect)
            database = None
        if database is not None and not database.accepts_sessions:
            raise Conflict(f"the attempt that uses database {names.database} was ended: it must not start again")
        if role is None:
            create_role(connection, names.role, plan.password, plan.mark)
        if database is None:
            create_like_source(connection, names.database, plan.source)
        _mark_and_restrict(connection, plan)
        with session(access, names.database, connect) as shadow_connection:
            notes = create_extensions(shadow_connection, plan.source.extensions, names.role)
            shadow_connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(names.role)))
        notes += describe_fallback(connection, names.database, plan.source)
        if plan.close_other_databases:
            _close_other_databases(connection)
        if ensure_synchronous_commit(connection):
            connection.execute(
                sql.SQL("ALTER ROLE {} SET synchronous_commit = local").format(sql.Identifier(names.role))
            )
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(names.role)))  # opens the gate
        return notes


def _mark_and_restrict(connection: Connection, plan: ShadowPlan) -> None:
    database, role = sql.Identifier(plan.names.database), sql.Identifier(plan.names.role)
    with connection.transaction():
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(format_owner_comment(plan.mark)))
        )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        connection.execute(sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, role))


def _close_other_databases(connection: Connection) -> None:
    for (name,) in connection.execute(read_query("databases_open_to_public")).fetchall():
        # Another attempt may change or drop the same database at the same moment.
        with suppress(postgres.InternalError_, postgres.InvalidCatalogName):
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _end_access(connection: Connection, names: AttemptNames) -> None:
    """Disallows connections of the attempt and ends its sessions, so that its worker cannot write any more."""
    disallow_connections(connection, databases=[names.database], roles=[names.role])
    end_sessions(connection, databases=[names.database], roles=[names.role])


def drop_attempt(access: Access, names: AttemptNames, *, connect: Connect = connect) -> None:
    """Ends the attempt's access, then drops its database and its role; does nothing if they do not exist."""
    with session(access, connect=connect) as connection:
        _end_access(connection, names)
        drop_database(connection, access, names.database, connect)
        drop_role(connection, access, names.role, connect)

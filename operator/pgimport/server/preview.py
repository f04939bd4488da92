"""A preview's own database and its owner role: names, password and mark in; both are there, or both are gone."""

from dataclasses import dataclass, field

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.server.connection import Access, Connect, Connection, connect, lock_database_name, scram_verifier, session
from pgimport.server.drop import allow_connections, disallow_connections, drop_database, drop_role, end_sessions
from pgimport.server.shared_objects import SharedObject, read_shared_objects


def ensure_preview(
    access: Access, database: str, role: str, password: str, mark: OwnerComment, *, connect: Connect = connect
) -> None:
    """May be repeated after a crash anywhere; raises Conflict where a name is somebody else's.

    The role may log in from the last step on: a role that may not says that its database is not finished, and so
    holds nothing that is not ours.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _ensure(connection, access, _Wanted(database, role, password, mark), connect)


@dataclass(frozen=True, slots=True)
class _Wanted:
    database: str
    role: str
    password: str = field(repr=False)
    mark: OwnerComment


def _ensure(connection: Connection, access: Access, wanted: _Wanted, connect: Connect) -> None:
    database, role, mark = wanted.database, wanted.role, wanted.mark
    found = read_shared_objects(connection, databases=[database], roles=[role])
    owner, there = found.roles.get(role), found.databases.get(database)
    _refuse_others(owner, there, role, mark)
    if owner is None:
        create_role(connection, role, wanted.password, mark)
    if there is not None and (there.invalid or (not there.open and owner is not None and not owner.open)):
        drop_database(connection, access, database, connect)  # a drop that was interrupted
        there = None
    if there is None:
        disallow_connections(connection, databases=(), roles=[role])
        _create_database(connection, database, role)
    if there is None or owner is None or not owner.open:
        _finish_database(connection, access, database, role, connect)
    if there is None or there.mark is None:
        _comment(connection, "DATABASE", database, mark)
    if there is not None and not there.open:  # a swap that was interrupted, and nobody is left to finish it
        allow_connections(connection, database)
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(scram_verifier(connection, role, wanted.password))
        )
    )


def _refuse_others(owner: SharedObject | None, database: SharedObject | None, role: str, mark: OwnerComment) -> None:
    for found in (owner, database):
        if found is None:
            continue
        # A database of our role without a mark: a crash between the two, or its owner took the comment away.
        unfinished = found is database and found.mark is None and owner is not None and found.owner == role
        if not unfinished and (
            found.mark is None
            or (found.mark.project_uid, found.mark.preview_uid) != (mark.project_uid, mark.preview_uid)
        ):
            raise Conflict(
                f"{found.kind} {found.name} is there already and was not made for this preview;"
                " drop or rename it on the server"
            )


def create_role(connection: Connection, role: str, password: str, mark: OwnerComment) -> None:
    """May not log in yet; marked from its first moment. The admin may act for it, and own what it owns."""
    name = sql.Identifier(role)
    inherit = sql.SQL(" WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160000 else "")
    with connection.transaction():
        connection.execute(
            sql.SQL("CREATE ROLE {} NOLOGIN PASSWORD {}").format(
                name, sql.Literal(scram_verifier(connection, role, password))
            )
        )
        _comment(connection, "ROLE", role, mark)
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name) + inherit)


def _comment(connection: Connection, kind: str, name: str, mark: OwnerComment) -> None:
    statement = sql.SQL("COMMENT ON ROLE {} IS {}" if kind == "ROLE" else "COMMENT ON DATABASE {} IS {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Literal(format_owner_comment(mark))))


def _create_database(connection: Connection, database: str, role: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(
        sql.Identifier(database), sql.Identifier(role)
    )
    try:
        connection.execute(statement)
    except (postgres.InvalidParameterValue, postgres.WrongObjectType):  # the server's own locale is not for UTF-8
        connection.execute(statement + sql.SQL(" LOCALE_PROVIDER libc LOCALE 'C'"))


def _finish_database(connection: Connection, access: Access, database: str, role: str, connect: Connect) -> None:
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    with session(access, database, connect) as inside:
        inside.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(role)))


def drop_preview(
    access: Access, database: str, role: str, *, only: int | None = None, connect: Connect = connect
) -> None:
    """Database, then role; may be repeated, nothing there is fine.

    `only`: the database with this OID alone; raises Conflict where another one has taken its place.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _drop(connection, access, (database, role), only, connect)


def reset_preview(
    access: Access, database: str, role: str, password: str, mark: OwnerComment, *,
    only: int | None = None, connect: Connect = connect,
) -> None:  # fmt: skip
    """Empty anew, for the same owner; `only` as in `drop_preview`."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _drop(connection, access, (database, role), only, connect)
        _ensure(connection, access, _Wanted(database, role, password, mark), connect)


def _drop(connection: Connection, access: Access, names: tuple[str, str], only: int | None, connect: Connect) -> None:
    database, role = names
    found = read_shared_objects(connection, databases=[database]).databases.get(database)
    if only is not None and found is not None and found.oid != only:
        raise Conflict(f"database {database} was replaced since it was seen: the new one stays")
    disallow_connections(connection, databases=[database], roles=[role])
    end_sessions(connection, databases=[database], roles=[role])
    drop_database(connection, access, database, connect)
    drop_role(connection, access, role, connect)

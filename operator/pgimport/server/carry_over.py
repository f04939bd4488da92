"""What the new target takes over from the old one: read before the swap's transaction, written within it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.server.connection import Connection, read_query

_log = logging.getLogger(__name__)

# Parameters whose stored value is a list of quoted names; every other value is one literal.
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


@dataclass(frozen=True, slots=True)
class RoleMembership:
    """`member` is a member of `role`; the options are None before 16."""

    role: str
    member: str
    admin: bool
    inherit: bool | None
    set: bool | None


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Of a database, a role, or a role in a database: `name=value` each."""

    database: str | None
    role: str | None
    values: list[str]


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Empty where there was no target, or no owner, before. Names are those of before and after alike."""

    database: tuple[str, int, str | None] | None  # owner, connection limit, comment
    acl: list[tuple[str | None, str, bool]]
    role: tuple[int, str | None, str | None] | None  # connection limit, valid until, comment
    memberships: list[RoleMembership]
    settings: list[StoredSettings]


def read_carry_over(connection: Connection, target: str, owner: str) -> CarryOver:
    """Before anything is renamed."""
    about = {"database": target, "role": owner}
    return CarryOver(
        database=connection.execute(read_query("database_attributes"), about).fetchone(),
        acl=connection.execute(read_query("database_acl"), about).fetchall(),
        role=connection.execute(read_query("role_attributes"), about).fetchone(),
        memberships=read_memberships(connection, owner),
        settings=read_stored_settings(connection, target, owner),
    )


def read_memberships(connection: Connection, role: str) -> list[RoleMembership]:
    """In both directions, but for the admin's own."""
    return [RoleMembership(*row) for row in connection.execute(read_query("memberships"), {"role": role}).fetchall()]


def read_stored_settings(connection: Connection, database: str | None, role: str) -> list[StoredSettings]:
    """Of the database for anyone, and of the role anywhere."""
    rows = connection.execute(read_query("stored_settings"), {"database": database, "role": role}).fetchall()
    return [StoredSettings(*row) for row in rows]


def write_carry_over(connection: Connection, carry_over: CarryOver, target: str, owner: str) -> None:
    """After the renames, in the same transaction. What the admin may not give again is named in the log."""
    database, role = sql.Identifier(target), sql.Identifier(owner)
    holder, limit, comment = carry_over.database or (owner, -1, None)
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(holder)))
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(comment)))
    connection.execute(
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true CONNECTION LIMIT {}").format(database, sql.Literal(limit))
    )
    limit, until, comment = carry_over.role or (-1, None, None)
    connection.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(role, sql.Literal(limit)))
    if until is not None:
        connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(role, sql.Literal(until)))
    connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(comment)))
    for statement in (
        *_grants(carry_over, database),
        *_membership_grants(carry_over),
        *(one for settings in carry_over.settings for one in _setting_statements(settings)),
    ):
        try:
            with connection.transaction():
                connection.execute(statement)
        except (postgres.InsufficientPrivilege, postgres.UndefinedObject) as error:
            _log.warning("not carried over to database %s: %s", target, error.diag.message_primary)


def _grants(carry_over: CarryOver, database: sql.Identifier) -> Iterator[sql.Composed]:
    for grantee, privilege, grantable in carry_over.acl:
        to = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        end = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        # The privilege is a word of PostgreSQL's own: CONNECT, CREATE or TEMPORARY.
        right = sql.SQL({"CONNECT": "CONNECT", "CREATE": "CREATE"}.get(privilege, "TEMPORARY"))
        yield sql.SQL("GRANT {} ON DATABASE {} TO {}").format(right, database, to) + end


def _membership_grants(carry_over: CarryOver) -> Iterator[sql.Composed]:
    for one in carry_over.memberships:
        options: list[sql.Composable] = []
        if one.inherit is None or one.set is None:
            options += [sql.SQL("ADMIN OPTION")] if one.admin else []
        else:
            options += [
                sql.SQL("ADMIN {}").format(sql.SQL("TRUE" if one.admin else "FALSE")),
                sql.SQL("INHERIT {}").format(sql.SQL("TRUE" if one.inherit else "FALSE")),
                sql.SQL("SET {}").format(sql.SQL("TRUE" if one.set else "FALSE")),
            ]
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(one.role), sql.Identifier(one.member))
        yield grant + sql.SQL(" WITH ") + sql.SQL(", ").join(options) if options else grant


def _setting_statements(settings: StoredSettings) -> Iterator[sql.Composed]:
    for text in settings.values:
        name, _, value = text.partition("=")
        values = _split_names(value) if name in _LISTS else [value]
        # A class and a parameter (`auto_explain.log_format`) are two identifiers.
        yield _alter(settings) + sql.SQL(" SET {} TO {}").format(
            sql.Identifier(*name.split(".")), sql.SQL(", ").join(sql.Literal(one) for one in values)
        )


def _alter(settings: StoredSettings) -> sql.Composed:
    if settings.role is None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(settings.database or ""))
    role = sql.SQL("ALTER ROLE {}").format(sql.Identifier(settings.role))
    if settings.database is None:
        return role
    return role + sql.SQL(" IN DATABASE {}").format(sql.Identifier(settings.database))


def reset_statement(settings: StoredSettings) -> sql.Composed:
    """What takes all of these back."""
    return _alter(settings) + sql.SQL(" RESET ALL")


def _split_names(value: str) -> list[str]:
    """`"$user", public` → its names, as PostgreSQL quotes them in a list; an empty value is one empty name."""
    names, name, quoted, position = [], "", False, 0
    while position < len(value):
        letter = value[position]
        if letter == '"' and quoted and value[position + 1 : position + 2] == '"':
            name, position = name + '"', position + 1
        elif letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            names.append(name)
            name = ""
        elif quoted or not letter.isspace():
            name += letter
        position += 1
    return [*names, name]

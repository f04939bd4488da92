"""Properties of a target and its owner that survive a swap, such as settings, privileges and memberships.

They are read before the transaction of the swap, and written within it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.server.connection import Connection, read_query

_log = logging.getLogger(__name__)

# Parameters whose stored value is a list of quoted names (GUC_LIST_QUOTE). Other values are one literal.
_LIST_PARAMETERS = frozenset(
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
    """A row of pg_auth_members; the options `inherit` and `set` are None before PostgreSQL 16."""

    role: str
    member: str
    admin: bool
    inherit: bool | None
    set: bool | None


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """A row of pg_db_role_setting: settings of a database, of a role, or of a role in a database.

    Each value is `name=value`.
    """

    database: str | None
    role: str | None
    values: list[str]


@dataclass(frozen=True, slots=True)
class CarryOver:
    """The properties to carry over. `database` and `role` are None if the old target or its owner does not exist."""

    database: tuple[str, int, str | None] | None  # owner, connection limit, comment
    acl: list[tuple[str | None, str, bool]]
    role: tuple[int, str | None, str | None] | None  # connection limit, valid until, comment
    memberships: list[RoleMembership]
    settings: list[StoredSettings]


def read_carry_over(connection: Connection, target: str, owner: str) -> CarryOver:
    """Reads the properties of the old target and its owner, before anything is renamed."""
    names = {"database": target, "role": owner}
    return CarryOver(
        database=connection.execute(read_query("database_attributes"), names).fetchone(),
        acl=connection.execute(read_query("database_acl"), names).fetchall(),
        role=connection.execute(read_query("role_attributes"), names).fetchone(),
        memberships=read_memberships(connection, owner),
        settings=read_stored_settings(connection, target, owner),
    )


def read_memberships(connection: Connection, role: str) -> list[RoleMembership]:
    """Returns the members of a role and the roles that it is a member of, without the membership of the admin."""
    return [RoleMembership(*row) for row in connection.execute(read_query("memberships"), {"role": role}).fetchall()]


def read_stored_settings(connection: Connection, database: str | None, role: str) -> list[StoredSettings]:
    """Returns the settings of the database for every role, and of the role in every database."""
    rows = connection.execute(read_query("stored_settings"), {"database": database, "role": role}).fetchall()
    return [StoredSettings(*row) for row in rows]


def write_carry_over(connection: Connection, carry_over: CarryOver, target: str, owner: str) -> None:
    """Writes the properties after the renames, in the same transaction; logs those that the admin may not set."""
    database, role = sql.Identifier(target), sql.Identifier(owner)
    database_owner, limit, comment = carry_over.database or (owner, -1, None)
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(database_owner)))
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
        *_build_privilege_grants(carry_over, database),
        *_build_membership_grants(carry_over),
        *(statement for settings in carry_over.settings for statement in _build_setting_statements(settings)),
    ):
        try:
            with connection.transaction():
                connection.execute(statement)
        except (postgres.InsufficientPrivilege, postgres.UndefinedObject) as error:
            _log.warning(
                "The swap did not carry over a property to database %s: %s", target, error.diag.message_primary
            )


def _build_privilege_grants(carry_over: CarryOver, database: sql.Identifier) -> Iterator[sql.Composed]:
    for grantee, privilege, grantable in carry_over.acl:
        recipient = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
        # A database has the privileges CONNECT, CREATE and TEMPORARY.
        privilege_name = sql.SQL({"CONNECT": "CONNECT", "CREATE": "CREATE"}.get(privilege, "TEMPORARY"))
        yield sql.SQL("GRANT {} ON DATABASE {} TO {}").format(privilege_name, database, recipient) + option


def _build_membership_grants(carry_over: CarryOver) -> Iterator[sql.Composed]:
    for membership in carry_over.memberships:
        options: list[sql.Composable] = []
        if membership.inherit is None or membership.set is None:
            options += [sql.SQL("ADMIN OPTION")] if membership.admin else []
        else:
            options += [
                sql.SQL("ADMIN {}").format(sql.SQL("TRUE" if membership.admin else "FALSE")),
                sql.SQL("INHERIT {}").format(sql.SQL("TRUE" if membership.inherit else "FALSE")),
                sql.SQL("SET {}").format(sql.SQL("TRUE" if membership.set else "FALSE")),
            ]
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership.role), sql.Identifier(membership.member))
        yield grant + sql.SQL(" WITH ") + sql.SQL(", ").join(options) if options else grant


def _build_setting_statements(settings: StoredSettings) -> Iterator[sql.Composed]:
    for text in settings.values:
        name, _, value = text.partition("=")
        values = _parse_names(value) if name in _LIST_PARAMETERS else [value]
        # The parameter of an extension has two identifiers, such as `auto_explain.log_format`.
        yield _build_alter_clause(settings) + sql.SQL(" SET {} TO {}").format(
            sql.Identifier(*name.split(".")), sql.SQL(", ").join(sql.Literal(name_in_list) for name_in_list in values)
        )


def _build_alter_clause(settings: StoredSettings) -> sql.Composed:
    if settings.role is None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(settings.database or ""))
    role = sql.SQL("ALTER ROLE {}").format(sql.Identifier(settings.role))
    if settings.database is None:
        return role
    return role + sql.SQL(" IN DATABASE {}").format(sql.Identifier(settings.database))


def build_reset_statement(settings: StoredSettings) -> sql.Composed:
    """Builds the statement that removes all of these settings."""
    return _build_alter_clause(settings) + sql.SQL(" RESET ALL")


def _parse_names(value: str) -> list[str]:
    """Parses a list of names as PostgreSQL quotes them: `"$user", public` has two names, an empty value has one."""
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

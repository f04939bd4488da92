"""Properties of a target and its owner that survive a swap, such as settings, privileges and memberships.

They are read before the transaction of the swap, and written within it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.owner_comment import (
    ShadowRecord,
    format_owner_comment,
    parse_owner_comment,
    parse_shadow_record,
)
from pgimport.model.result import DatabaseSetting
from pgimport.server.connection import Connection, execute_together, read_query
from pgimport.server.database_settings import build_alter_clause, build_set_statement

_log = logging.getLogger(__name__)

# Errors of a property that the admin may not set, or that this server does not know any more.
_REFUSALS = (
    postgres.InsufficientPrivilege,
    postgres.UndefinedObject,
    postgres.InvalidParameterValue,
    postgres.CantChangeRuntimeParam,
)
_ROLE_SETTINGS = ("role", "session_authorization")


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
    left_out: list[str]  # names of settings that are too long, or no text in UTF-8


@dataclass(frozen=True, slots=True)
class CarryOver:
    """The properties to carry over. `database` and `role` are None if the old target or its owner does not exist."""

    database: tuple[str, int] | None  # owner, connection limit
    acl: list[tuple[str | None, str, bool]]
    role: tuple[int, str | None, str | None] | None  # connection limit, valid until, comment
    memberships: list[RoleMembership]
    settings: list[StoredSettings]

    @property
    def imported_settings(self) -> list[DatabaseSetting]:
        """The settings that the previous import of this target wrote."""
        return parse_shadow_record(self.role[2]).settings if self.role is not None else []


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
    stored = [_decode_settings(*row) for row in rows]
    for settings in stored:
        if settings.left_out:
            _log.warning(
                "Settings of database %s, role %s are not carried over, because they are longer than 64 KiB or no text"
                " in UTF-8: %s",
                settings.database or "(all)",
                settings.role or "(all)",
                ", ".join(settings.left_out),
            )
    return stored


def _decode_settings(
    database: str | None, role: str | None, values: list[bytes], beginnings: list[bytes]
) -> StoredSettings:
    """Leaves out `role` and `session_authorization`, which would change the role of whoever connects.

    A session in a database with another encoding stores its values in that encoding.
    """
    texts: list[str] = []
    unreadable: list[bytes] = []
    for value in values:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            unreadable.append(value)
            continue
        if text.partition("=")[0].lower() not in _ROLE_SETTINGS:
            texts.append(text)
    left_out = [value.partition(b"=")[0].decode(errors="replace") for value in [*beginnings, *unreadable]]
    return StoredSettings(database, role, texts, left_out)


def write_carry_over(
    connection: Connection, carry_over: CarryOver, target: str, owner: str, record: ShadowRecord
) -> None:
    """Writes the properties after the renames, in the same transaction; logs those that the admin may not set.

    `record` has the settings of the source, and becomes a part of the owner's comment. The database keeps the comment
    of its source.
    """
    database, role = sql.Identifier(target), sql.Identifier(owner)
    database_owner, limit = carry_over.database or (owner, -1)
    role_limit, until, comment = carry_over.role or (-1, None, None)
    role_comment = sql.Literal(_build_role_comment(comment, record))
    statements = [
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(database_owner)),
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true CONNECTION LIMIT {}").format(database, sql.Literal(limit)),
        sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(role, sql.Literal(role_limit)),
        sql.SQL("COMMENT ON ROLE {} IS {}").format(role, role_comment),
    ]
    if until is not None:
        statements.append(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(role, sql.Literal(until)))
    execute_together(connection, statements)
    write_properties(
        connection,
        target,
        [
            *_build_privilege_grants(carry_over, database),
            *_build_membership_grants(carry_over),
            *_build_setting_statements(carry_over, record.settings, target, owner),
        ],
    )


def write_properties(connection: Connection, target: str, statements: Sequence[sql.Composed]) -> None:
    """Executes statements together, or each by itself if the server refuses one; logs what it refuses."""
    if not statements:
        return
    with suppress(*_REFUSALS), connection.transaction():
        execute_together(connection, statements)
        return
    for statement in statements:
        try:
            with connection.transaction():
                connection.execute(statement)
        except _REFUSALS as error:
            _log.warning("A property was not written to database %s: %s", target, error.diag.message_primary)


def _build_role_comment(comment: str | None, record: ShadowRecord) -> str | None:
    """Returns the old owner's comment, with the settings of the source so that the next import can replace them.

    A target that the command line created has no mark. Its comment names settings and, if it is golden, its content.
    The number of a copy stays: a process that was frozen could otherwise replace what was imported into the copy by the
    same copy again.
    """
    mark, old, imported = parse_owner_comment(comment), parse_shadow_record(comment).imported, record.imported
    if imported is not None and old is not None:
        imported = imported.model_copy(update={"copy_number": old.copy_number})
    record = record.model_copy(update={"imported": imported})
    by_person = mark is None and comment is not None and parse_shadow_record(comment) == ShadowRecord()
    if by_person and imported is None:
        return comment
    return format_owner_comment(mark, record) if mark is not None or record.settings or imported is not None else None


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


def _build_setting_statements(
    carry_over: CarryOver, source_settings: Sequence[DatabaseSetting], target: str, owner: str
) -> Iterator[sql.Composed]:
    """Yields the settings of the source, then those that the preview's owner made, which win."""
    own_names: set[str] = set()
    own_statements = []
    imported = {(item.name.lower(), item.value, item.for_owner) for item in carry_over.imported_settings}
    for stored in carry_over.settings:
        for text in stored.values:
            name, _, value = text.partition("=")
            if stored.database is not None and (name.lower(), value, stored.role is not None) in imported:
                continue  # the previous import wrote it
            own_names.add(name.lower())
            own_statements.append(build_set_statement(stored.database, stored.role, name, value))
    for setting in source_settings:
        if setting.name.lower() not in own_names:
            yield build_set_statement(target, owner if setting.for_owner else None, setting.name, setting.value)
    yield from own_statements


def build_reset_statement(settings: StoredSettings) -> sql.Composed:
    """Builds the statement that removes all of these settings."""
    return build_alter_clause(settings.database, settings.role) + sql.SQL(" RESET ALL")

"""Finds what the copy lacks of the members of extensions, which no dump contains.

CREATE EXTENSION creates the members at the target, with the rows that its script inserts. So the copy lacks objects
that ALTER EXTENSION … ADD made members, and rows in tables that the extension has not registered with
pg_extension_config_dump.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.text import count_of, some_of
from pgimport.worker.verify.row_counts import ROWS_AND_DIGEST, Row

_ROWS = sql.SQL("SELECT pg_catalog.count(*) FROM ONLY {} {}")
_NAMES_IN_A_NOTE = 5


@dataclass(frozen=True, slots=True)
class ExtensionMember:
    """A member of an extension."""

    extension: str
    version: str
    title: str
    schema: str | None  # schema and name of an ordinary table; None for other members
    name: str | None
    registered: bool  # whether a dump contains rows of the table
    condition: str | None  # WHERE clause that selects these rows; None: all

    @property
    def table(self) -> str | None:
        """Schema and name of a table for messages."""
        return None if self.name is None else f"{self.schema}.{self.name}"


Members = dict[str, ExtensionMember]  # title → member
MemberRows = dict[str, Row]  # title of a table → count, and its digest if both ends have it; None: it cannot be read


@dataclass(slots=True)
class MemberComparison:
    """What the copy lacks of extensions' members, and what could not be compared."""

    skipped: list[SkippedObject] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_members(connection: Connection) -> Members:
    """Returns the members of all extensions of a database. Raises psycopg.Error."""
    members = (ExtensionMember(*row) for row in connection.execute(read_query("verify/extension_members")))
    return {member.title: member for member in members}


def read_member_rows(
    connection: Connection, members: Members, others: Collection[str], skipped_schemas: Collection[str] = ()
) -> MemberRows:
    """Counts the rows of members that are tables. Digests those that `others`, the other end's members, contain too.

    Raises psycopg.Error if the connection is lost.
    """
    rows: MemberRows = {}
    for member in members.values():
        if member.schema is None or member.name is None or member.schema in skipped_schemas:
            continue
        table = sql.Identifier(member.schema, member.name)
        if member.title in others:
            statement = ROWS_AND_DIGEST.format(sql.SQL("ONLY "), table)
        else:
            statement = _ROWS.format(table, sql.SQL(member.condition or ""))
        rows[member.title] = _read_row(connection, statement)
    return rows


def _read_row(connection: Connection, statement: sql.Composed) -> Row:
    """Returns None if the role may not read the table, or not all of its rows."""
    try:
        with connection.transaction():  # a savepoint at the source
            return connection.execute(statement).fetchone()
    except psycopg.Error:
        if connection.closed:
            raise
        return None


def compare_members(
    source: Members, source_rows: MemberRows, copy: Members, copy_rows: MemberRows, unavailable: Collection[str]
) -> MemberComparison:
    """Compares the members of both ends. Pure.

    `unavailable`: extensions that the copy lacks and that something needs.
    """
    comparison = MemberComparison()
    versions = {member.extension: member.version for member in copy.values()}
    unreadable: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}  # members of another version than the target's, by extension
    for title, member in source.items():
        row, version = source_rows.get(title), versions.get(member.extension)
        if member.table is not None and title not in source_rows:
            continue  # its schema is skipped, and listed
        if title in copy:
            _compare_rows(member, row, copy_rows, comparison, unreadable)
        elif version is None:
            if row is not None and row[0]:
                is_needed = member.extension in unavailable
                comparison.skipped.append(_skip_rows_of_skipped_extension(member, row[0], is_needed=is_needed))
        elif member.table is not None or version == member.version:
            comparison.skipped.append(_skip_member(member, version, row))
        else:
            missing.setdefault(member.extension, []).append(title)
    comparison.notes += _describe_missing(missing, source.values(), versions)
    comparison.not_compared += [
        f"rows in tables of extension {extension} ({some_of(tables, _NAMES_IN_A_NOTE)}): one end may not read them"
        for extension, tables in unreadable.items()
    ]
    return comparison


def _compare_rows(
    member: ExtensionMember,
    row: Row,
    copy_rows: Mapping[str, Row],
    comparison: MemberComparison,
    unreadable: dict[str, list[str]],
) -> None:
    if member.table is None or member.title not in copy_rows:
        return
    copy_row = copy_rows[member.title]
    if row is None or copy_row is None:
        unreadable.setdefault(member.extension, []).append(member.table)
    elif row != copy_row and member.registered:
        comparison.not_compared.append(
            f"rows of {member.table}: extension {member.extension} has rows of its own there, those of the target's"
            " version"
        )
    elif row != copy_row:
        reason = (
            f"extension {member.extension} does not register the table for dumps (pg_extension_config_dump), so the"
            f" copy has only the {count_of(copy_row[0], 'row')} that CREATE EXTENSION inserted"
        )
        comparison.skipped.append(_skip_rows(member, reason, row[0]))


def _skip_rows(
    member: ExtensionMember, reason: str, rows: int, group: SkipGroup = SkipGroup.BY_DESIGN
) -> SkippedObject:
    return SkippedObject(object=f"TABLE DATA {member.table}", reason=reason, group=group, rows=rows)


def _skip_rows_of_skipped_extension(member: ExtensionMember, rows: int, *, is_needed: bool) -> SkippedObject:
    reason = f"its table belongs to an extension that is skipped ({member.extension})"
    return _skip_rows(member, reason, rows, SkipGroup.REFUSED if is_needed else SkipGroup.BY_DESIGN)


def _skip_member(member: ExtensionMember, version: str, row: Row) -> SkippedObject:
    reason = (
        f"it is a member of extension {member.extension}, so pg_dump leaves it out, and {member.extension} {version} of"
        " the target does not create it"
    )
    return SkippedObject(
        object=f"TABLE {member.table}" if member.table is not None else member.title,
        reason=reason,
        group=SkipGroup.BY_DESIGN if member.table is None else SkipGroup.REFUSED,
        rows=row[0] if row is not None else None,
    )


def _describe_missing(
    missing: Mapping[str, list[str]], source: Iterable[ExtensionMember], versions: Mapping[str, str]
) -> list[str]:
    source_versions = {member.extension: member.version for member in source}
    return [
        f"extension {extension} {versions[extension]} of the target lacks objects that {source_versions[extension]} of"
        f" the source has: {some_of(titles, _NAMES_IN_A_NOTE)}"
        for extension, titles in missing.items()
    ]

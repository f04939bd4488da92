"""Reads the definitions of a database as its server prints them, and compares those of two databases.

pg_dump restores definitions with an empty search_path. A definition does not print the operators of NULLIF, IS DISTINCT
FROM and the like, so it may then mean another operator than at the source. The server shows this: it prints a cast that
the source does not print. Therefore each definition is read twice: with an empty search_path, where operators and types
are qualified, and with one that contains the operators' schemas. The operators on which the object depends are compared
too, because the text of `CASE a WHEN b` does not show its operator.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import psycopg

from pgimport.worker.archive.entry_names import TABLE_ATTACH
from pgimport.worker.archive.selection import PG_CLASS
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import describe_message
from pgimport.worker.text import quote_name
from pgimport.worker.verify.array_casts import move_array_casts
from pgimport.worker.verify.boolean_groups import flatten_boolean_groups

KINDS = (
    "columns",
    "constraint",
    "default",
    "domain",
    "domain constraint",
    "domain default",
    "enum",
    "function",
    "generated column",
    "index",
    "materialized view",
    "partition bound",
    "partition key",
    "policy",
    "rule",
    "statistics",
    "trigger",
    "view",
)
# Kinds that structure.sql does not list, so that only this comparison finds that one is missing.
_KINDS_NOT_IN_STRUCTURE = frozenset(
    {"default", "domain default", "generated column", "partition bound", "partition key"}
)
_CONSTRAINT_TITLES = ("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT")
_OTHER_TITLES = {"domain default": "DEFAULT", "partition bound": TABLE_ATTACH}  # kind → that of an archive's entry
NOT_VALID = " NOT VALID"


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition. `statements` has an item for each search_path: a SQL statement, or a text for some kinds."""

    kind: str
    schema: str
    relation: str  # table, view or domain that it belongs to, or its own name if it is a relation
    name: str
    catalog: int
    oid: int
    owner_oid: int  # oid of the relation that it belongs to
    statements: tuple[str | None, ...]
    operators: str = ""  # those outside of pg_catalog that it uses

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.kind, self.schema, self.relation, self.name

    @property
    def titles(self) -> list[str]:
        """The titles that reports use for it; the first one is its own."""
        relation = "" if self.kind == "index" else self.relation
        name = f"{self.schema}.{' '.join(part for part in (relation, self.name) if part)}"
        kinds = _CONSTRAINT_TITLES if self.kind.endswith("constraint") else (self.kind.upper(),)
        if self.kind in _OTHER_TITLES:
            kinds = (_OTHER_TITLES[self.kind],)
        return [f"{kind} {name}" for kind in kinds]

    @property
    def title(self) -> str:
        return self.titles[0]

    @property
    def compared(self) -> tuple[str | None, ...]:
        """Statements and operators, without the validity of a constraint: the comparison of structures covers it."""
        return (*(_normalize(text) if text else text for text in self.statements), self.operators)

    def equals(self, other: "Definition") -> bool:
        """Returns whether both mean the same."""
        is_same_text = (self.statements, self.operators) == (other.statements, other.operators)
        return is_same_text or self.compared == other.compared


@dataclass(frozen=True, slots=True)
class DefinitionList:
    """The definitions of a database."""

    search_paths: tuple[str, ...] = ("",)
    definitions: tuple[Definition, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)  # kind → why it could not be read


@dataclass(frozen=True, slots=True)
class Difference:
    """A definition of the source, and that of the copy if it has one."""

    source: Definition
    shadow: Definition | None

    def describe(self) -> str:
        """Returns both statements, shortened to where they begin to differ."""
        if self.shadow is None:
            return f"missing in the copy: {self.source.title}"
        pairs = zip(self.source.compared, self.shadow.compared, strict=True)
        source, copy = next((a or "", b or "") for a, b in pairs if a != b)
        return f"{self.source.title} is `{_cut(source, copy)}` at the source and `{_cut(copy, source)}` in the copy"


def read_search_paths(connection: Connection) -> tuple[str, ...]:
    """Returns the search_paths with which definitions are printed: the empty one first. Raises psycopg.Error."""
    schemas = [quote_name(name) for (name,) in connection.execute(read_query("verify/operator_schemas"))]
    return ("", ", ".join(schemas)) if schemas else ("",)


def read_definitions(
    connection: Connection, search_paths: tuple[str, ...], kinds: Collection[str] = KINDS
) -> tuple[Definition, ...]:
    """Returns the definitions of these kinds as the server prints them with each search_path. Raises psycopg.Error."""
    keys: dict[tuple[str, int, int], tuple[str, str, str, int, str]] = {}
    texts: dict[tuple[str, int, int], list[str | None]] = {}
    for search_path in search_paths:
        _set_search_path(connection, search_path)
        for kind, schema, relation, name, catalog, oid, owner_oid, statement, operators in connection.execute(
            read_query("verify/definitions"), {"kinds": list(kinds)}
        ):
            keys.setdefault((kind, catalog, oid), (schema, relation, name, owner_oid, operators))
            texts.setdefault((kind, catalog, oid), []).append(statement)
    _set_search_path(connection, "")
    return tuple(
        Definition(kind, schema, relation, name, catalog, oid, owner_oid, tuple(texts[kind, catalog, oid]), operators)
        for (kind, catalog, oid), (schema, relation, name, owner_oid, operators) in keys.items()
    )


def read_source_definitions(connection: Connection) -> DefinitionList:
    """Reads the definitions in the transaction that holds the snapshot. Raises psycopg.Error.

    The functions that print definitions read the current catalogs, so they fail for an object whose parts were dropped
    after the snapshot (XX000). Then each kind is read alone, and a kind that cannot be read is named.
    """
    search_paths = read_search_paths(connection)
    try:
        with connection.transaction():
            return DefinitionList(search_paths, read_definitions(connection, search_paths))
    except psycopg.errors.InternalError_:
        definitions: list[Definition] = []
        unread: dict[str, str] = {}
        for kind in KINDS:
            try:
                with connection.transaction():
                    definitions += read_definitions(connection, search_paths, [kind])
            except psycopg.errors.InternalError_ as error:
                unread[kind] = f"the source changed one meanwhile: {describe_message(error)}"
        return DefinitionList(search_paths, tuple(definitions), unread)


def select_expected(
    source: Iterable[Definition], skipped_keys: Collection[tuple[int, int]], skipped_titles: Collection[str]
) -> list[Definition]:
    """Returns the definitions that the copy must have: all except those of skipped objects. Pure.

    `skipped_keys`: catalog and oid. `skipped_titles`: as in the report.
    """
    return [
        item
        for item in source
        if (item.catalog, item.oid) not in skipped_keys
        and (PG_CLASS, item.owner_oid) not in skipped_keys
        and not any(title in skipped_titles for title in item.titles)
    ]


def find_differences(expected: Iterable[Definition], shadow: Iterable[Definition]) -> list[Difference]:
    """Returns the definitions that differ. An object dropped at the source after the snapshot is not compared. Pure."""
    present = {item.key: item for item in shadow}
    differences = []
    for item in expected:
        copy = present.get(item.key)
        if copy is None:
            if item.kind in _KINDS_NOT_IN_STRUCTURE:
                differences.append(Difference(item, None))
        elif None not in item.statements and not copy.equals(item):
            differences.append(Difference(item, copy))
    return differences


def _set_search_path(connection: Connection, search_path: str) -> None:
    connection.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [search_path])


def _normalize(statement: str) -> str:
    """Returns the text that the server prints for the same definition after a restore, as far as it may differ."""
    return flatten_boolean_groups(move_array_casts(statement.removesuffix(NOT_VALID)))


_SHOWN = 80  # characters of a statement in a message


def _cut(text: str, other: str) -> str:
    """Returns the part of `text` around the first character that differs from `other`, on one line."""
    same = next((index for index, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    begin = max(same - _SHOWN // 2, 0)
    part = " ".join(text[begin : begin + _SHOWN].split())
    return f"{'…' if begin else ''}{part}{'…' if begin + _SHOWN < len(text) else ''}"

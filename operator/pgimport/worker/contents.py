"""A dump's table of contents: its text comes in, the lists that pg_restore will follow go out. Pure.

A filter for tidiness, not a fence: names in a table of contents may be made to look like anything. What keeps
hostile content in bounds is the role that restores it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# Multi-word kinds before their first words: "TABLE DATA" before "TABLE".
_KINDS = (
    "ACCESS METHOD", "ACL LANGUAGE", "ACL", "AGGREGATE", "BLOB COMMENTS", "BLOB METADATA", "BLOBS", "BLOB", "CAST",
    "CHECK CONSTRAINT", "COLLATION", "COMMENT", "CONSTRAINT", "CONVERSION", "DATABASE PROPERTIES", "DATABASE",
    "DEFAULT ACL", "DEFAULT", "DOMAIN", "DUMPTIMESTAMP", "ENCODING", "EVENT TRIGGER", "EXTENSION", "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER", "FOREIGN SERVER", "FOREIGN TABLE", "FUNCTION", "INDEX ATTACH", "INDEX", "LARGE OBJECT",
    "MATERIALIZED VIEW DATA", "MATERIALIZED VIEW", "OPERATOR CLASS", "OPERATOR FAMILY", "OPERATOR", "POLICY",
    "PROCEDURAL LANGUAGE", "PROCEDURE", "PUBLICATION TABLES IN SCHEMA", "PUBLICATION TABLE", "PUBLICATION",
    "ROW SECURITY", "RULE", "SCHEMA", "SEARCHPATH", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE",
    "SERVER", "SHELL TYPE", "STATISTICS DATA", "STATISTICS", "STDSTRINGS", "SUBSCRIPTION TABLE", "SUBSCRIPTION",
    "TABLE ATTACH", "TABLE DATA", "TABLE", "TABLESPACE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRANSFORM", "TRIGGER", "TYPE", "USER MAPPING", "VIEW",
)  # fmt: skip
# Entries that are nothing in a catalog: a table in a schema called "DATA" must not pass for the rows of another.
_UNCATALOGUED = frozenset(
    {"MATERIALIZED VIEW DATA", "SEQUENCE OWNED BY", "SEQUENCE SET", "STATISTICS DATA", "TABLE ATTACH", "TABLE DATA",
     "INDEX ATTACH", "ROW SECURITY", "COMMENT", "SECURITY LABEL"}
)  # fmt: skip
_PG_POLICY = 3256  # oid of the catalog, the same everywhere
_LINE = re.compile(r"^(\d+); (\d+) (\d+) (.*)$")

# Left without a word: the operator made them, or the documentation says that grants and owners stay behind.
_LEFT_SILENTLY = frozenset(
    {"EXTENSION", "ACL", "ACL LANGUAGE", "DEFAULT ACL", "SECURITY LABEL", "DATABASE", "DATABASE PROPERTIES",
     "TABLESPACE", "STATISTICS DATA", "SEQUENCE SET", "MATERIALIZED VIEW DATA"}
)  # fmt: skip
_LEFT_NAMED = frozenset(
    {"EVENT TRIGGER", "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION",
     "SUBSCRIPTION TABLE", "SERVER", "FOREIGN SERVER", "USER MAPPING", "FOREIGN DATA WRAPPER", "FOREIGN TABLE"}
)  # fmt: skip
# Objects whose entries begin with their table's name.
_OF_A_TABLE = frozenset(
    {"CHECK CONSTRAINT", "CONSTRAINT", "DEFAULT", "FK CONSTRAINT", "POLICY", "ROW SECURITY", "RULE", "TABLE ATTACH",
     "TABLE DATA", "TRIGGER", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"}
)  # fmt: skip
_COMMENTS_ON_LEFT = ("EXTENSION", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "SERVER", "FOREIGN DATA WRAPPER")
_LAST = frozenset({"POLICY", "ROW SECURITY"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `3401; 1259 16390 TABLE public orders alice`."""

    dump_id: int
    catalog: int  # oid of the catalog that the object is in; 0 for rows, comments and the like
    oid: int
    kind: str
    rest: str  # schema (or -), tag, owner: none of them quoted
    line: str

    @property
    def title(self) -> str:
        """For a person: `EVENT TRIGGER - watch`."""
        return f"{self.kind} {self.rest.rsplit(' ', 1)[0]}".replace(" - ", " ")


@dataclass(frozen=True, slots=True)
class Leave:
    """What stays behind besides the kinds that always do."""

    objects: frozenset[tuple[int, int]] = frozenset()  # (catalog, oid)
    relations: frozenset[tuple[str, str]] = frozenset()  # schema, name; all that belongs to them stays too
    schemas: frozenset[str] = frozenset({"public"})  # are there already
    policies: frozenset[tuple[str, str, str]] = frozenset()  # schema, table, name


@dataclass(frozen=True, slots=True)
class Plan:
    """What is restored when, and what is not."""

    main: list[Entry] = field(default_factory=list)
    last: list[Entry] = field(default_factory=list)  # policies and row security: after the rows were counted
    left: list[str] = field(default_factory=list)  # worth telling

    @property
    def table_oids(self) -> dict[int, int]:
        """Dump id of an entry with rows → oid of its table at the source."""
        return {entry.dump_id: entry.oid for entry in self.main if entry.kind == "TABLE DATA"}


def parse_contents(text: str) -> list[Entry]:
    """The output of `pg_restore --list`; comments are passed over."""
    return [entry for line in text.splitlines() if (entry := _parse_line(line)) is not None]


def _parse_line(line: str) -> Entry | None:
    match = _LINE.match(line)
    if match is None:
        return None
    dump_id, catalog, oid, words = int(match[1]), int(match[2]), int(match[3]), match[4]
    for kind in _KINDS:
        if words.startswith(f"{kind} ") and (catalog == 0 or kind not in _UNCATALOGUED):
            return Entry(dump_id, catalog, oid, kind, words[len(kind) + 1 :], line)
    return Entry(dump_id, catalog, oid, words.partition(" ")[0], words.partition(" ")[2], line)


def _quoted(name: str) -> tuple[str, str]:
    return name, '"' + name.replace('"', '""') + '"'


def _comments(leave: Leave) -> tuple[str, ...]:
    """How comments on left objects begin; tags hold names quoted or not, as the dump was told."""
    found = [f"- {kind} " for kind in _COMMENTS_ON_LEFT]
    found += [f"- SCHEMA {form} " for schema in leave.schemas for form in _quoted(schema)]
    for schema, relation in leave.relations:
        for form in _quoted(relation):
            found += [f"{schema} {kind} {form} " for kind in ("VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "INDEX")]
            found.append(f"{schema} COLUMN {form}.")
    found += [
        f"{schema} POLICY {form} ON " for schema, _, policy in leave.policies for form in _quoted(policy)
    ]  # fmt: skip
    return tuple(found)


def _belongs_to_left(entry: Entry, leave: Leave) -> bool:
    if (entry.catalog, entry.oid) in leave.objects and entry.catalog:
        return True
    return entry.kind in _OF_A_TABLE and any(
        entry.rest.startswith(f"{schema} {relation} ") for schema, relation in leave.relations
    )


def plan_contents(entries: Iterable[Entry], leave: Leave) -> Plan:
    """Sort entries into what is restored, what is restored last, and what is left."""
    plan = Plan()
    comments = _comments(leave)
    for entry in entries:
        if entry.kind in _LEFT_SILENTLY or (entry.kind == "COMMENT" and entry.rest.startswith(comments)):
            continue
        if entry.kind == "SCHEMA" and any(entry.rest.startswith(f"- {schema} ") for schema in leave.schemas):
            continue
        if entry.catalog == _PG_POLICY and (entry.catalog, entry.oid) in leave.objects:
            continue  # whoever left it knows better why
        if entry.kind in _LEFT_NAMED or _belongs_to_left(entry, leave):
            plan.left.append(entry.title)
        elif entry.kind in _LAST or (entry.kind == "COMMENT" and re.search(r"^\S+ POLICY .* ON ", entry.rest)):
            plan.last.append(entry)
        else:
            plan.main.append(entry)
    return plan


def format_list(entries: Iterable[Entry]) -> str:
    """What `pg_restore --use-list` reads."""
    return "".join(f"{entry.line}\n" for entry in entries)

"""What is built on a table as soon as its rows are in: an archive's entries come in; builds go out. Pure.

Indexes, keys and statistics objects of tables with rows, then ANALYZE of the table. The statements are the archive's
own: they say CLUSTER ON, REPLICA IDENTITY and a column's statistics too. Everything else, and what needs more than its
table, is restored when all rows are in.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pgimport.worker.archive.toc import Section, TocEntry
from pgimport.worker.engines.relay.relay_plan import SMALL_TABLE_BYTES
from pgimport.worker.scope.snapshot import Table
from pgimport.worker.text import quote_name

KEY_INDEX_ID_OFFSET = 1 << 40  # and a dump id: the number of the index that is made for a key
_NAME = r'"(?:[^"]|"")+"'
# As pg_dump writes a key without anything else to it; with INCLUDE, DEFERRABLE and the like, it stays as it is.
_KEY = re.compile(
    rf"(?P<head>ALTER TABLE ONLY (?P<table>{_NAME}\.{_NAME})\n    ADD CONSTRAINT (?P<name>{_NAME}))"
    rf" (?P<kind>PRIMARY KEY|UNIQUE) (?P<columns>\({_NAME}(?:, {_NAME})*\));\s*"
)
_KINDS = frozenset({"INDEX", "CONSTRAINT", "STATISTICS"})


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """One statement, or a few that belong together, on one table."""

    build_id: (
        int  # of the archive's entry; -oid of the table for ANALYZE; KEY_INDEX_ID_OFFSET and more for a key's index
    )
    title: str
    statement: str
    table_oid: int  # oid at the source
    exclusive: bool  # nothing else may run on the table
    runs_last: bool  # after all others of its table
    weight: int
    after_id: int | None = None  # the number of a build that must be done before


def plan_index_builds(
    entries: Iterable[TocEntry], tables: Iterable[Table], analyzed: Collection[int]
) -> list[IndexBuild]:
    """The heaviest first. `analyzed`: oids of tables whose statistics need no other table."""
    rows = {table.oid: table for table in tables}
    listed = list(entries)
    homes = {one.dump_id: one.oid for one in listed if one.kind == "TABLE" and one.oid in rows}
    late = {one.dump_id for one in listed if one.section is Section.POST_DATA}
    joined = _find_joined(listed)
    chosen = [
        (one, oid)
        for one in listed
        if one.kind in _KINDS
        and late.isdisjoint(set(one.dependencies) - joined[one.dump_id])
        and (oid := _find_home(one, homes)) is not None
    ]
    counted = Counter(oid for _, oid in chosen)
    several = {oid for oid, count in counted.items() if count > 1 and rows[oid].bytes > SMALL_TABLE_BYTES}
    builds = [build for one, oid in chosen for build in _plan_entry(one, rows[oid], split=oid in several)]
    builds += [
        IndexBuild(
            -oid, f"ANALYZE {table.title}", f"ANALYZE {quote_name(table.schema, table.name)}", oid, True, True, 0
        )
        for oid, table in rows.items()
        if oid in analyzed and oid in homes.values()
    ]
    return sorted(builds, key=lambda one: -one.weight)


def _plan_entry(entry: TocEntry, table: Table, *, split: bool) -> list[IndexBuild]:
    """A large table's plain key beside other indexes is split: an index like theirs, which a constraint takes over."""
    key = _KEY.fullmatch(entry.definition) if split else None
    if key is None:
        weight = table.bytes + (entry.kind != "INDEX")
        return [IndexBuild(entry.dump_id, entry.title, entry.definition, table.oid, _locks_out(entry), False, weight)]
    index = f"CREATE UNIQUE INDEX {key['name']} ON {key['table']} USING btree {key['columns']}"
    take_over = f"{key['head']} {key['kind']} USING INDEX {key['name']}"
    number = KEY_INDEX_ID_OFFSET + entry.dump_id
    return [
        IndexBuild(number, entry.title, index, table.oid, False, False, table.bytes),
        IndexBuild(entry.dump_id, entry.title, take_over, table.oid, True, False, table.bytes, number),
    ]


def _find_joined(entries: Iterable[TocEntry]) -> Mapping[int, set[int]]:
    """Of a partition's index, the one that it is attached to later; pg_dump wants that first, CREATE INDEX does not."""
    joined: dict[int, set[int]] = defaultdict(set)
    for one in entries:
        if one.kind == "INDEX ATTACH":
            for index in one.dependencies:
                joined[index].update(one.dependencies)
    return joined


def _find_home(entry: TocEntry, homes: dict[int, int]) -> int | None:
    """The one table it is on."""
    found = {homes[one] for one in entry.dependencies if one in homes}
    return found.pop() if len(found) == 1 else None


def _locks_out(entry: TocEntry) -> bool:
    """CREATE INDEX alone lets others build on its table; ALTER TABLE after it would wait for them, and they for it."""
    return entry.kind != "INDEX" or "ALTER TABLE " in entry.definition

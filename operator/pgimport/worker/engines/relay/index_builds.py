"""Plans what is built on each table as soon as its rows are copied. Pure.

These are the indexes, keys and statistics objects of tables with rows, then ANALYZE of the table. The statements are
those of the archive, so they include CLUSTER ON, REPLICA IDENTITY and the statistics targets of columns. Anything else,
and anything that depends on another table, is restored after all rows.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pgimport.worker.archive.toc import Section, TocEntry
from pgimport.worker.engines.relay.relay_plan import SMALL_TABLE_BYTES
from pgimport.worker.scope.snapshot import Table
from pgimport.worker.text import quote_name

KEY_INDEX_ID_OFFSET = 1 << 40  # build id of the index for a constraint = this offset + the constraint's dump id
_NAME = r'"(?:[^"]|"")+"'
# How pg_dump writes a key without further clauses. A key with INCLUDE, DEFERRABLE and the like is not split.
_KEY = re.compile(
    rf"(?P<head>ALTER TABLE ONLY (?P<table>{_NAME}\.{_NAME})\n    ADD CONSTRAINT (?P<name>{_NAME}))"
    rf" (?P<kind>PRIMARY KEY|UNIQUE) (?P<columns>\({_NAME}(?:, {_NAME})*\));\s*"
)
_KINDS = frozenset({"INDEX", "CONSTRAINT", "STATISTICS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexBuild:
    """One statement, or a few that belong together, on one table."""

    build_id: int  # dump id of the archive's entry; -oid of the table for ANALYZE; see KEY_INDEX_ID_OFFSET
    title: str
    statement: str
    table_oid: int  # at the source
    exclusive: bool  # whether no other build may run on the table at the same time
    runs_last: bool = False  # whether it runs after all other builds of its table
    weight: int = 0  # heavier builds start first
    after_id: int | None = None  # id of a build that must end before this one starts
    leftover: str | None = None  # statement that drops what an earlier build created, if this one is refused


def plan_index_builds(
    entries: Iterable[TocEntry], tables: Iterable[Table], analyzed: Collection[int]
) -> list[IndexBuild]:
    """Returns the builds, the heaviest first. `analyzed`: oids of tables to ANALYZE after their other builds."""
    entries = list(entries)
    tables_by_oid = {table.oid: table for table in tables}
    table_oids = {entry.dump_id: entry.oid for entry in entries if entry.kind == "TABLE" and entry.oid in tables_by_oid}
    post_data_ids = {entry.dump_id for entry in entries if entry.section is Section.POST_DATA}
    attached_ids = _find_attached_ids(entries)
    entries_with_table = [
        (entry, table_oid)
        for entry in entries
        if entry.kind in _KINDS
        and post_data_ids.isdisjoint(set(entry.dependencies) - attached_ids[entry.dump_id])
        and (table_oid := _find_table_oid(entry, table_oids)) is not None
    ]
    build_counts = Counter(table_oid for _, table_oid in entries_with_table)
    builds: list[IndexBuild] = []
    for entry, table_oid in entries_with_table:
        table = tables_by_oid[table_oid]
        split = build_counts[table_oid] > 1 and table.bytes > SMALL_TABLE_BYTES
        builds += _plan_entry(entry, table, split=split)
    copied_oids = set(table_oids.values())
    builds += [_plan_analyze(table) for oid, table in tables_by_oid.items() if oid in analyzed and oid in copied_oids]
    return sorted(builds, key=lambda build: -build.weight)


def _plan_entry(entry: TocEntry, table: Table, *, split: bool) -> list[IndexBuild]:
    """Returns one build, or two if `split` is set and the entry is a plain key.

    A split key is a unique index, then the constraint that uses it. Other indexes of the table can be built together
    with the unique index.
    """
    key = _KEY.fullmatch(entry.definition) if split else None
    if key is None:
        return [
            IndexBuild(
                build_id=entry.dump_id,
                title=entry.title,
                statement=entry.definition,
                table_oid=table.oid,
                exclusive=_is_exclusive(entry),
                weight=table.bytes + (entry.kind != "INDEX"),
            )
        ]
    index = IndexBuild(
        build_id=KEY_INDEX_ID_OFFSET + entry.dump_id,
        title=entry.title,
        statement=f"CREATE UNIQUE INDEX {key['name']} ON {key['table']} USING btree {key['columns']}",
        table_oid=table.oid,
        exclusive=False,
        weight=table.bytes,
    )
    constraint = IndexBuild(
        build_id=entry.dump_id,
        title=entry.title,
        statement=f"{key['head']} {key['kind']} USING INDEX {key['name']}",
        table_oid=table.oid,
        exclusive=True,
        weight=table.bytes,
        after_id=index.build_id,
        leftover=f"DROP INDEX {quote_name(table.schema)}.{key['name']}",
    )
    return [index, constraint]


def _plan_analyze(table: Table) -> IndexBuild:
    return IndexBuild(
        build_id=-table.oid,
        title=f"ANALYZE {table.title}",
        statement=f"ANALYZE {quote_name(table.schema, table.name)}",
        table_oid=table.oid,
        exclusive=True,
        runs_last=True,
    )


def _find_attached_ids(entries: Iterable[TocEntry]) -> Mapping[int, set[int]]:
    """Maps a partition's index to the parent index that it is attached to later.

    pg_dump lists the parent index as a dependency, but CREATE INDEX on the partition does not need it.
    """
    attached_ids: dict[int, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.kind == "INDEX ATTACH":
            for index_id in entry.dependencies:
                attached_ids[index_id].update(entry.dependencies)
    return attached_ids


def _find_table_oid(entry: TocEntry, table_oids: dict[int, int]) -> int | None:
    """Returns the oid of the only table that the entry depends on, or None."""
    oids = {table_oids[dump_id] for dump_id in entry.dependencies if dump_id in table_oids}
    return oids.pop() if len(oids) == 1 else None


def _is_exclusive(entry: TocEntry) -> bool:
    """Returns whether no other build may run on the table at the same time.

    CREATE INDEX takes a SHARE lock, which other builds can take too. If the same build then runs ALTER TABLE, two
    builds could deadlock.
    """
    return entry.kind != "INDEX" or "ALTER TABLE " in entry.definition

"""What is built on a table as soon as its rows are in: an archive's entries come in; builds go out. Pure.

Indexes, keys and statistics objects of tables with rows, then ANALYZE of the table. The statements are the archive's
own: they say CLUSTER ON, REPLICA IDENTITY and a column's statistics too. Everything else, and what needs more than its
table, is restored when all rows are in.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pgimport.worker.checks.judged import quote_name
from pgimport.worker.snapshot import Table
from pgimport.worker.toc import Entry, Section

_KINDS = frozenset({"INDEX", "CONSTRAINT", "STATISTICS"})


@dataclass(frozen=True, slots=True)
class Build:
    """One statement, or a few that belong together, on one table."""

    number: int  # of the archive's entry; -oid of the table for ANALYZE
    title: str
    statement: str
    table: int  # oid at the source
    exclusive: bool  # nothing else may run on the table
    last: bool  # after all others of its table
    weight: int


def plan_builds(entries: Iterable[Entry], tables: Iterable[Table], analyzed: Collection[int]) -> list[Build]:
    """The heaviest first. `analyzed`: oids of tables whose statistics need no other table."""
    rows = {table.oid: table for table in tables}
    listed = list(entries)
    homes = {one.dump_id: one.oid for one in listed if one.kind == "TABLE" and one.oid in rows}
    late = {one.dump_id for one in listed if one.section is Section.POST_DATA}
    builds = [
        Build(
            one.dump_id, one.title, one.definition, oid, _locks_out(one), False, rows[oid].bytes + (one.kind != "INDEX")
        )
        for one in listed
        if one.kind in _KINDS and late.isdisjoint(one.dependencies) and (oid := _find_home(one, homes)) is not None
    ]
    builds += [
        Build(-oid, f"ANALYZE {table.title}", f"ANALYZE {quote_name(table.schema, table.name)}", oid, True, True, 0)
        for oid, table in rows.items()
        if oid in analyzed and oid in homes.values()
    ]
    return sorted(builds, key=lambda one: -one.weight)


def _find_home(entry: Entry, homes: dict[int, int]) -> int | None:
    """The one table it is on."""
    found = {homes[one] for one in entry.dependencies if one in homes}
    return found.pop() if len(found) == 1 else None


def _locks_out(entry: Entry) -> bool:
    """CREATE INDEX alone lets others build on its table; ALTER TABLE after it would wait for them, and they for it."""
    return entry.kind != "INDEX" or "ALTER TABLE " in entry.definition

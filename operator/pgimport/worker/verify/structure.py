"""Lists the objects of a database and compares those of two databases by name and validity."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from pgimport.worker.archive.selection import PG_CLASS
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

INVALID = "invalid"  # an index on a partitioned table to which not all partitions' indexes are attached
UNFINISHED = "unfinished"  # an index that CREATE INDEX CONCURRENTLY left invalid: pg_dump ignores it


class StructureItem(NamedTuple):
    """One object. `state` is empty, or says that it is not valid, disabled and the like."""

    kind: str
    schema: str
    relation: str
    name: str
    state: str
    catalog: int = 0  # oid of its catalog; with `oid` it identifies the object in its own database
    oid: int = 0
    owner_oid: int = 0  # oid of the relation that it belongs to

    @property
    def title(self) -> str:
        """Kind and name for messages, as in `index public.orders: orders_pkey`."""
        relation = f"{self.schema}.{self.relation}" if self.relation else self.schema
        return f"{self.kind} {relation}" + (f": {self.name}" if self.name else "")


class SkippedItems(NamedTuple):
    """Names what the copy lacks, or has in another state, because it was skipped."""

    keys: Collection[tuple[int, int]] = ()  # catalog and oid at the source
    constraints: Collection[tuple[str, str, str]] = ()  # schema, table or domain, name
    indexes: Collection[tuple[str, str]] = ()  # schema, name
    not_valid: Collection[tuple[str, str, str]] = ()  # constraints that are not valid in the copy

    def contains(self, item: StructureItem) -> bool:
        """Returns whether the copy lacks this item because it was skipped."""
        if (item.catalog, item.oid) in self.keys or (PG_CLASS, item.owner_oid) in self.keys:
            return True
        if item.kind == "index":
            return (item.schema, item.name) in self.indexes
        return item.kind == "constraint" and (item.schema, item.relation, item.name) in self.constraints

    def expects_not_valid(self, item: StructureItem) -> bool:
        return item.kind == "constraint" and (item.schema, item.relation, item.name) in self.not_valid


_NOTHING_SKIPPED = SkippedItems()


class StructureComparison(NamedTuple):
    """Differences, notes on objects that may differ, and the number of compared objects of each kind."""

    differences: list[str]
    notes: list[str]
    counts: dict[str, int]


def read_structure(connection: Connection) -> list[StructureItem]:
    """Returns all objects of the database. Raises psycopg.Error."""
    return [StructureItem(*row) for row in connection.execute(read_query("verify/structure"))]


def compare_structures(
    source: Iterable[StructureItem],
    shadow: Iterable[StructureItem],
    skipped: SkippedItems = _NOTHING_SKIPPED,
) -> StructureComparison:
    """Compares all objects of the source, except skipped ones, with those of the shadow. Pure."""
    notes: list[str] = []
    expected: dict[tuple[str, str, str, str], StructureItem] = {}
    for item in source:
        if skipped.contains(item):
            continue
        if item.state == UNFINISHED:
            notes.append(f"skipped: {item.title}, which is invalid at the source")
            continue
        expected[item[:4]] = item
    present = {item[:4]: item for item in shadow}
    differences: list[str] = []
    for key, item in expected.items():
        copy = present.get(key)
        if copy is None:
            differences.append(f"missing in the copy: {item.title}")
        elif copy.state != item.state and not skipped.expects_not_valid(item):
            differences.append(
                f"{item.title} is {copy.state or 'plain'} in the copy and {item.state or 'plain'} at the source"
            )
    return StructureComparison(differences, notes, Counter(item.kind for item in expected.values()))

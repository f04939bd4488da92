"""Names that may get lost: what both ends list of their own comes in, what is missing or changed goes out."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from pgimport.worker.archive.selection import PG_CLASS
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

_UNFINISHED = "unfinished"  # an index that CREATE INDEX CONCURRENTLY left invalid: pg_dump passes it over


class StructureItem(NamedTuple):
    """A thing with a name; `state` tells valid from not valid and the like."""

    kind: str
    schema: str
    relation: str
    name: str
    state: str
    catalog: int = 0  # with the oid: which object it is at its own end
    oid: int = 0
    of: int = 0  # oid of the table (or the like) that it belongs to

    @property
    def title(self) -> str:
        """`index public.orders: orders_pkey`."""
        address = f"{self.schema}.{self.relation}" if self.relation else self.schema
        return f"{self.kind} {address}" + (f": {self.name}" if self.name else "")


class StructureComparison(NamedTuple):
    """What differs, what a reader should know although it is right, and how many of each kind were looked for."""

    differences: list[str]
    notes: list[str]
    counts: dict[str, int]


def read_structure(connection: Connection) -> list[StructureItem]:
    """All items of one end. Raises psycopg.Error."""
    return [StructureItem(*row) for row in connection.execute(read_query("verify/structure"))]


def compare_structures(
    source: Iterable[StructureItem],
    shadow: Iterable[StructureItem],
    left: Collection[tuple[int, int]] = (),
    checks: Collection[tuple[str, str, str]] = (),
) -> StructureComparison:
    """Everything but what was left must be there and be as valid as it was. Pure.

    `left`: catalog and oid; `checks`: schema, table and name of constraints that were taken out of their tables.
    """
    notes: list[str] = []
    wanted: dict[tuple[str, str, str, str], StructureItem] = {}
    for item in source:
        if (item.catalog, item.oid) in left or (PG_CLASS, item.of) in left:
            continue
        if item.kind == "constraint" and item[1:4] in checks:
            continue
        if item.state == _UNFINISHED:
            notes.append(f"left behind: {item.title}, which is invalid at the source")
            continue
        wanted[item[:4]] = item
    found = {item[:4]: item for item in shadow}
    differences: list[str] = []
    for key, item in wanted.items():
        copy = found.get(key)
        if copy is None:
            differences.append(f"missing in the copy: {item.title}")
        elif copy.state != item.state:
            differences.append(
                f"{item.title} is {copy.state or 'plain'} in the copy and {item.state or 'plain'} at the source"
            )
    return StructureComparison(differences, notes, Counter(item.kind for item in wanted.values()))

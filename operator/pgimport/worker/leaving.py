"""What stays behind in a live import: both ends' catalogs come in, a `Leave` for the archive's entries goes out."""

from dataclasses import dataclass

from pgimport.model.result import LeftObject
from pgimport.worker.contents import Leave
from pgimport.worker.endpoints import Connection
from pgimport.worker.queries import read_query


@dataclass(frozen=True, slots=True)
class Leaving:
    """What to leave, and what the dump was told not to hold."""

    leave: Leave
    unsaid: tuple[LeftObject, ...]


def read_leaving(source: Connection, shadow: Connection) -> Leaving:
    """Compare the ends before anything is restored. Raises psycopg.Error."""
    leave = Leave(
        present=frozenset(str(name) for _, name in shadow.execute(read_query("namespaces"))),
        roles=frozenset(str(name) for (name,) in shadow.execute(read_query("roles"))),
    )
    unsaid = tuple(LeftObject(object=name, why=why) for name, why in source.execute(read_query("left_named")))
    return Leaving(leave, unsaid)

"""What stays behind in this import: both ends' catalogs come in, a `Leave` for the table of contents goes out."""

from dataclasses import dataclass

from pgimport.worker.contents import Leave
from pgimport.worker.endpoints import Connection
from pgimport.worker.queries import read_query

_PG_CLASS, _PG_NAMESPACE, _PG_POLICY = 1259, 2615, 3256  # oids of the catalogs, the same everywhere


@dataclass(frozen=True, slots=True)
class Leaving:
    """What to leave, and what to say about it."""

    leave: Leave
    notes: tuple[str, ...]


def read_leaving(source: Connection, shadow: Connection) -> Leaving:
    """Compare the ends before anything is restored. Raises psycopg.Error."""
    present = {str(name) for _, name in shadow.execute(read_query("namespaces"))}
    schemas = [(oid, name) for oid, name in source.execute(read_query("namespaces")) if name in present]
    relations = source.execute(read_query("left_relations")).fetchall()
    roles = {str(name) for (name,) in shadow.execute(read_query("roles"))}
    policies = [row for row in source.execute(read_query("policies")) if not roles.issuperset(row[4])]
    named = [str(text) for (text,) in source.execute(read_query("left_named"))]
    leave = Leave(
        objects=frozenset(
            [(_PG_NAMESPACE, oid) for oid, _ in schemas]
            + [(_PG_CLASS, row[0]) for row in relations]
            + [(_PG_POLICY, row[0]) for row in policies]
        ),
        relations=frozenset((schema, name) for _, schema, name, _ in relations),
        schemas=frozenset(name for _, name in schemas) | {"public"},
        policies=frozenset((schema, table, name) for _, schema, table, name, _ in policies),
    )
    notes = [f"left behind: {text}" for text in named]
    notes += [
        f"left behind: POLICY {name} on {schema}.{table}, for it names a role that the target lacks"
        f" ({', '.join(sorted(set(names) - roles))})"
        for _, schema, table, name, names in policies
    ]
    return Leaving(leave, tuple(notes))

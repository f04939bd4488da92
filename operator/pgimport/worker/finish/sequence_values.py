"""Sets the sequences of the copy to the values of the source's sequences."""

from collections.abc import Iterable

from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.scope.snapshot import Sequence

_SET_VALUE = (
    "SELECT pg_catalog.setval(c.oid, %(value)s, %(called)s) FROM pg_catalog.pg_class AS c"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind = 'S'"
)


def set_sequences(shadow: ShadowSessions, sequences: Iterable[Sequence]) -> None:
    """Sets each sequence. Its value was read after the snapshot, so it is never behind the rows.

    Ignores sequences that the shadow lacks, because verification reports them. Raises ImportStopped.
    """
    values = [
        {"schema": item.schema, "name": item.name, "value": item.last_value, "called": item.is_called}
        for item in sequences
    ]
    if not values:
        return
    with shadow.session("sequences were set") as connection, connection.cursor() as cursor:
        cursor.executemany(_SET_VALUE, values)

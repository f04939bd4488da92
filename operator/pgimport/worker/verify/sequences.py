"""Compares the sequences of both ends."""

from collections.abc import Iterable, Mapping

from psycopg import sql

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.scope.snapshot import Sequence

SequenceValue = tuple[int, bool]  # last_value, is_called


def read_sequence_values(shadow: Connection, sequences: Iterable[Sequence]) -> dict[tuple[str, str], SequenceValue]:
    """Returns (schema, name) → value of each sequence that exists in the shadow. Raises psycopg.Error."""
    present = {(schema, name) for schema, name, *_ in shadow.execute(read_query("scope/sequences"))}
    names = [(item.schema, item.name) for item in sequences if (item.schema, item.name) in present]
    values: dict[tuple[str, str], SequenceValue] = {}
    with shadow.pipeline():
        cursors = [
            (name, shadow.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(*name))))
            for name in names
        ]
        for name, cursor in cursors:
            if (row := cursor.fetchone()) is not None:
                values[name] = (row[0], row[1])
    return values


def compare_sequences(
    sequences: Iterable[Sequence], shadow_values: Mapping[tuple[str, str], SequenceValue]
) -> list[str]:
    """Returns a sentence for each sequence that is missing or has another value. Pure."""
    differences = []
    for item in sequences:
        value = shadow_values.get((item.schema, item.name))
        if value is None:
            differences.append(f"missing in the copy: sequence {item.schema}.{item.name}")
        elif value != (item.last_value, item.is_called):
            differences.append(
                f"sequence {item.schema}.{item.name} stands at {value[0]} in the copy, at {item.last_value}"
                " at the source"
            )
    return differences

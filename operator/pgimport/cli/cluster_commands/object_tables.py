"""Builds the table of a list of objects. Pure."""

from collections.abc import Callable, Sequence

from pgimport.cli.cluster_commands.blocks import Cell, Column, Table
from pgimport.cli.cluster_commands.objects import Json, name_of, namespace_of

_NAMESPACE = Column("NAMESPACE")  # never left out: without it, a name can mean several objects


def build_object_table(
    columns: Sequence[Column],
    items: Sequence[Json],
    build_row: Callable[[Json], Sequence[str | Cell]],
    *,
    all_namespaces: bool,
    order: Callable[[Json], str] = name_of,
) -> Table:
    """Builds a table with a row for each object, by namespace and then by `order`. Names the namespaces if asked."""
    rows = [
        [*([namespace_of(item)] if all_namespaces else []), *build_row(item)]
        for item in sorted(items, key=lambda item: (namespace_of(item), order(item)))
    ]
    return Table([*([_NAMESPACE] if all_namespaces else []), *columns], rows)

"""`pgimport import list --watch`: prints the list, then a line for each change, until Ctrl-C."""

import argparse
from collections.abc import Sequence

from pgimport.cli.cluster_commands.blocks import Table, fit_columns, raw, select_columns, shown
from pgimport.cli.cluster_commands.command_context import IMPORTS, CommandContext
from pgimport.cli.cluster_commands.import_pages import build_import_table
from pgimport.cli.cluster_commands.kubectl import DELETED
from pgimport.cli.cluster_commands.listings import list_options
from pgimport.cli.cluster_commands.objects import Json


def watch_list(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints lines until the user ends the command, or an error does."""
    options = list_options(arguments)
    wide = arguments.output == "wide"
    items = context.kubectl.list(IMPORTS, *options)
    printer = _Printer(context, _build(context, arguments, items), wide=wide)
    printer.print_header()
    for item in items:
        printer.print_row(_build(context, arguments, [item]))
    seen = {_version(item) for item in items}
    with context.kubectl.watch(IMPORTS, *options) as watch:
        while True:
            event = watch.next_event(None)
            if event is None or (event["type"] != DELETED and _version(event["object"]) in seen):
                continue
            seen.add(_version(event["object"]))
            printer.print_row(_build(context, arguments, [event["object"]]), deleted=event["type"] == DELETED)


def _build(context: CommandContext, arguments: argparse.Namespace, items: Sequence[Json]) -> Table:
    return build_import_table(items, context.now(), all_namespaces=arguments.all_namespaces)


def _version(body: Json) -> str:
    return f"{body['metadata']['uid']} {body['metadata']['resourceVersion']}"


class _Printer:
    """Prints rows under each other, with the widths of the first list."""

    def __init__(self, context: CommandContext, first: Table, *, wide: bool) -> None:
        self._screen, self._wide = context.screen, wide
        fitted = fit_columns(select_columns(first, wide=wide), self._screen.width)
        self._titles = [column.title for column in fitted.columns]
        columns = zip(*([shown(cell) for cell in row] for row in fitted.rows), strict=True) if fitted.rows else ()
        longest = [max(map(len, cells)) for cells in columns] or [0] * len(self._titles)
        self._widths = [max(len(title), width) for title, width in zip(self._titles, longest, strict=True)]

    def print_header(self) -> None:
        if self._screen.is_terminal:
            self._screen.print_fields(self._align(self._titles))

    def print_row(self, table: Table, *, deleted: bool = False) -> None:
        """Prints the only row of the table; the state of a deleted object is `deleted`."""
        chosen = select_columns(table, wide=self._wide)
        titles = [column.title for column in chosen.columns]
        cells = dict(zip(titles, chosen.rows[0], strict=True))
        if deleted:
            cells["STATE"] = "deleted"
        if self._screen.is_terminal:
            self._screen.print_fields(self._align([shown(cells[title]) for title in self._titles]))
        else:
            self._screen.print_fields(raw(cells[title]) for title in titles)

    def _align(self, cells: Sequence[str]) -> list[str]:
        return [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]

"""Shows an import until it has ended: a live view on a terminal, a line for each change otherwise."""

from collections.abc import Callable
from contextlib import nullcontext

from pgimport.cli.cluster_commands.blocks import Page, Table, raw, select_columns, shown
from pgimport.cli.cluster_commands.command_context import IMPORTS, CommandContext
from pgimport.cli.cluster_commands.import_pages import build_import_page, build_import_table
from pgimport.cli.cluster_commands.objects import (
    Json,
    count_of,
    exit_code_of,
    has_ended,
    name_of,
    read,
    reason_of,
    state_of,
)
from pgimport.cli.cluster_commands.outcomes import Outcome
from pgimport.cli.cluster_commands.screen import LiveView
from pgimport.cli.cluster_commands.waiting import follow


def decide_import_end(body: Json) -> Outcome | None:
    """Returns the outcome of an import that has ended, with the exit code of its reason."""
    if not has_ended(body):
        return None
    remark = _describe_success(body) if state_of(body) == "completed" else f": {reason_of(body)}"
    return Outcome(exit_code_of(body), f"import {name_of(body)} {state_of(body)}{remark}")


def _describe_success(body: Json) -> str:
    """Says what the user may not expect of an import that has completed; nothing if all is well."""
    if read(body, "spec", "dryRun"):
        return "" if read(body, "status", "preflight", "ok") else ", but checks failed"
    refused = read(body, "status", "refused")
    return f", but the target refused {count_of(refused, 'object')}" if refused else ""


def watch_import(context: CommandContext, name: str, timeout: float | None = None) -> int:
    """Shows an import until it has ended. Returns its exit code. Raises CommandFailed."""
    screen = context.screen
    try:
        with screen.live() if screen.has_cursor else nullcontext() as view:
            on_change = _draw(context, view) if view is not None else _print_changes(context)
            draws = view is not None
            body, outcome = follow(context, IMPORTS, name, decide_import_end, timeout, on_change, draws=draws)
    except KeyboardInterrupt:
        command = context.write_command(f"PGIMPORT import cancel {name}")
        screen.print_note(f"import {name} goes on. To end it, run `{command}`.")
        raise
    if screen.is_terminal:
        screen.print_page(*build_import_page(body, context.now()))
    return outcome.exit_code


def _draw(context: CommandContext, view: LiveView) -> Callable[[Json], None]:
    return lambda body: view.show(Page(build_import_page(body, context.now())))


def _print_changes(context: CommandContext) -> Callable[[Json], None]:
    """Returns a function that prints the row of an import whenever what it shows has changed."""
    last: list[str] = []

    def show(body: Json) -> None:
        table = build_import_table([body], context.now(), all_namespaces=False)
        cells = format_row(table, to_terminal=context.screen.is_terminal)
        if cells != last:
            last[:] = cells
            context.screen.print_fields(cells)

    return show


def format_row(table: Table, *, to_terminal: bool) -> list[str]:
    """Returns the cells of the first row without its age, which always changes on a terminal."""
    narrow = select_columns(table, wide=False)
    cells = [shown(cell) if to_terminal else raw(cell) for cell in narrow.rows[0]]
    return cells[:-1] if to_terminal else cells

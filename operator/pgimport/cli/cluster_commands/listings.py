"""Prints lists and objects: a table or page of ours, or what kubectl prints with `-o json|yaml|name`."""

import argparse
from collections.abc import Callable, Sequence

from pgimport.cli.cluster_arguments import IMPORT_STATES
from pgimport.cli.cluster_commands.blocks import Table, select_columns
from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.errors import WrongUsage
from pgimport.cli.cluster_commands.objects import PENDING, Json

RAW_FORMATS = ("json", "yaml", "name")


def list_options(arguments: argparse.Namespace) -> list[str]:
    """Returns kubectl's options for the objects that the user wants to see."""
    state = getattr(arguments, "state", None)
    return [
        *(["--all-namespaces"] if getattr(arguments, "all_namespaces", False) else []),
        *([f"--selector={arguments.selector}"] if arguments.selector else []),
        *([f"--field-selector={_select_state(state)}"] if state else []),
    ]


def _select_state(state: str) -> str:
    """Selects imports in a state. One without a state is pending: the operator has not seen it yet."""
    if state != PENDING:
        return f"status.state={state}"
    return ",".join(f"status.state!={other}" for other in IMPORT_STATES if other != PENDING)


def print_list(
    context: CommandContext,
    resource: str,
    noun: str,
    arguments: argparse.Namespace,
    build_table: Callable[[Sequence[Json]], Table],
) -> int:
    """Prints the objects that the user wants to see."""
    options = list_options(arguments)
    if arguments.output in RAW_FORMATS:
        context.screen.print_text(context.kubectl.run("get", resource, "-o", arguments.output, *options).rstrip("\n"))
        return 0
    items = context.kubectl.list(resource, *options)
    if not items:
        everywhere = "--all-namespaces" in options or resource.startswith("projects.")
        where = "in this cluster" if everywhere else f"in namespace {context.kubectl.namespace}"
        chosen = bool(arguments.selector or getattr(arguments, "state", None))
        context.screen.print_note(f"there are no {noun} {where}{' that match' if chosen else ''}")
        return 0
    context.screen.print_page(select_columns(build_table(items), wide=arguments.output == "wide"))
    return 0


def check_watch(arguments: argparse.Namespace) -> None:
    """Refuses to watch in a format of kubectl, which kubectl itself can. Raises WrongUsage."""
    if arguments.watch and arguments.output in RAW_FORMATS:
        raise WrongUsage(f"--watch has a format of its own: leave -o out, or use kubectl get -w -o {arguments.output}")


def print_raw_object(context: CommandContext, resource: str, arguments: argparse.Namespace) -> bool:
    """Prints one object as kubectl does, if the user wants that. Returns whether it did."""
    if arguments.output not in RAW_FORMATS:
        return False
    text = context.kubectl.run("get", resource, arguments.name, "-o", arguments.output)
    context.screen.print_text(text.rstrip("\n"))
    return True

"""`pgimport preview list|get|create|clone|reset|extend|delete`."""

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pgimport.cli.cluster_commands.command_context import PREVIEWS, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed, WrongUsage
from pgimport.cli.cluster_commands.listings import print_list, print_raw_object
from pgimport.cli.cluster_commands.objects import Json, name_of, parse_time, read
from pgimport.cli.cluster_commands.outcomes import Outcome
from pgimport.cli.cluster_commands.preview_connections import require_not_expired
from pgimport.cli.cluster_commands.preview_pages import (
    build_preview_page,
    build_preview_table,
    decide_preview_ready,
    is_golden,
)
from pgimport.cli.cluster_commands.projects import find_project
from pgimport.cli.cluster_commands.waiting import follow_each
from pgimport.model.names import API_VERSION
from pgimport.model.request_dates import find_next_date

DEFAULT_TTL = "24h"  # of the CRD


def list_previews(context: CommandContext, arguments: argparse.Namespace) -> int:
    return print_list(
        context,
        PREVIEWS,
        "previews",
        arguments,
        lambda items: build_preview_table(items, context.now(), all_namespaces=arguments.all_namespaces),
    )


def get_preview(context: CommandContext, arguments: argparse.Namespace) -> int:
    if not print_raw_object(context, PREVIEWS, arguments):
        context.screen.print_page(*build_preview_page(context.kubectl.get(PREVIEWS, arguments.name), context.now()))
    return 0


def create_preview(context: CommandContext, arguments: argparse.Namespace) -> int:
    if arguments.golden and arguments.ttl:
        raise WrongUsage("a golden preview has no lifetime: leave --ttl out")
    spec: Json = {"project": find_project(context, arguments.project)}
    return _create(context, arguments, spec | ({"golden": True} if arguments.golden else {}))


def clone_preview(context: CommandContext, arguments: argparse.Namespace) -> int:
    spec: Json = {"mode": "clone"}
    if arguments.source:
        source = context.kubectl.get(PREVIEWS, arguments.source)
        if not is_golden(source) and not arguments.disconnect:
            raise CommandFailed(
                f"preview {arguments.source} is not golden. To copy it, its sessions must end: add --disconnect"
            )
        disconnect: Json = {"disconnect": True} if arguments.disconnect else {}
        spec |= {"project": source["spec"]["project"], "from": {"previewDatabase": arguments.source, **disconnect}}
    else:
        spec["project"] = find_project(context, arguments.project)
    return _create(context, arguments, spec)


def _create(context: CommandContext, arguments: argparse.Namespace, spec: Json) -> int:
    ttl: Json = {"ttl": arguments.ttl} if arguments.ttl else {}
    context.kubectl.create(
        {
            "apiVersion": API_VERSION,
            "kind": "PreviewDatabase",
            "metadata": {"name": arguments.name},
            "spec": {**spec, **ttl},
        }
    )
    context.screen.print_line(f"preview {arguments.name} created")
    return _wait_if_wanted(context, [arguments.name], arguments)


def reset_previews(context: CommandContext, arguments: argparse.Namespace) -> int:
    names = ", ".join(arguments.names)
    context.screen.confirm(f"This drops all content of {names}. Continue?", yes=arguments.yes)

    def build_spec(body: Json) -> Json:
        require_not_expired(body, context)
        return {"resetAt": next_date(body, "resetAt", context.now())}

    return _change_each(context, arguments, build_spec, "is being reset")


def extend_previews(context: CommandContext, arguments: argparse.Namespace) -> int:
    def build_spec(body: Json) -> Json:
        if is_golden(body):
            raise CommandFailed(f"preview {name_of(body)} is golden and never expires")
        ttl: Json = {"ttl": arguments.ttl} if arguments.ttl else {}
        return {"renewedAt": next_date(body, "renewedAt", context.now()), **ttl}

    return _change_each(context, arguments, build_spec, f"is extended by {arguments.ttl or 'its ttl'}")


def next_date(body: Json, field: str, now: datetime) -> str:
    """Returns the text of the date that asks for one more reset or renewal."""
    date = find_next_date(parse_time(read(body, "status", field)), parse_time(read(body, "spec", field)), now)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change_each(
    context: CommandContext, arguments: argparse.Namespace, build_spec: Callable[[Json], Json], done: str
) -> int:
    code, changed = 0, []
    for name in arguments.names:
        try:
            body = context.kubectl.get(PREVIEWS, name)
            patch: dict[str, Any] = {"metadata": {"uid": body["metadata"]["uid"]}, "spec": build_spec(body)}
            context.kubectl.patch(PREVIEWS, name, patch)
            context.screen.print_line(f"preview {name} {done}")
            changed.append(name)
        except CommandFailed as error:
            context.screen.print_note(f"pgimport: {error}")
            code = error.exit_code
    return _wait_if_wanted(context, changed, arguments) or code


def delete_previews(context: CommandContext, arguments: argparse.Namespace) -> int:
    names = ", ".join(arguments.names)
    context.screen.confirm(f"This deletes {names} with all content. Continue?", yes=arguments.yes)
    code, end = 0, time.monotonic() + arguments.timeout
    for name in arguments.names:
        left = max(end - time.monotonic(), 1)  # kubectl reads 0s as no limit
        try:
            context.kubectl.run("delete", PREVIEWS, name, f"--timeout={left:.0f}s")
            context.screen.print_line(f"preview {name} deleted")
        except CommandFailed as error:
            context.screen.print_note(f"pgimport: {error}")
            code = error.exit_code
    return code


def _wait_if_wanted(context: CommandContext, names: Sequence[str], arguments: argparse.Namespace) -> int:
    def report(_: Json, outcome: Outcome) -> int:
        context.screen.print_line(outcome.message) if outcome.exit_code == 0 else context.screen.print_note(
            f"pgimport: {outcome.message}"
        )
        return outcome.exit_code

    awaited = names if arguments.wait else ()
    return follow_each(context, PREVIEWS, awaited, decide_preview_ready, arguments.timeout, report)

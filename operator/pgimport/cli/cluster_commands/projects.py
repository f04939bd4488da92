"""`pgimport project list|get`, and the Project of a namespace."""

import argparse
from collections.abc import Sequence
from datetime import datetime

from pgimport.cli.cluster_commands.blocks import Block, Cell, Column, Fields, Items, Table, Title
from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, PROJECTS, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed, NotAllowed
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.listings import print_list, print_raw_object
from pgimport.cli.cluster_commands.objects import NONE, Json, find_condition, format_since, format_size, name_of, read

_COLUMNS = (
    Column("NAME"),
    Column("READY", is_state=True),
    Column("VERSION", rank=3),
    Column("NAMESPACE", rank=2),
    Column("REASON", rank=1),
    Column("AGE", rank=4),
    Column("SERVER", rank=5, wide=True),
    Column("WARNINGS", rank=6, wide=True),
)


def list_projects(context: CommandContext, arguments: argparse.Namespace) -> int:
    return print_list(context, PROJECTS, "Projects", arguments, lambda items: build_project_table(items, context.now()))


def get_project(context: CommandContext, arguments: argparse.Namespace) -> int:
    if not print_raw_object(context, PROJECTS, arguments):
        context.screen.print_page(*build_project_page(context.kubectl.get(PROJECTS, arguments.name)))
    return 0


def build_project_table(items: Sequence[Json], now: datetime) -> Table:
    return Table(_COLUMNS, [_build_row(item, now) for item in sorted(items, key=name_of)])


def _build_row(body: Json, now: datetime) -> list[str | Cell]:
    condition, created = find_condition(body), read(body, "metadata", "creationTimestamp")
    return [
        name_of(body),
        str(condition.get("status") or "Unknown"),
        str(read(body, "status", "targetVersion") or NONE),
        str(read(body, "spec", "namespace") or NONE),
        str(condition.get("reason") or NONE),
        Cell(format_since(created, now), str(created or "")),
        describe_server(body),
        str(len(read(body, "status", "warnings") or [])),
    ]


def describe_server(body: Json) -> str:
    return f"{read(body, 'spec', 'server', 'host')}:{read(body, 'spec', 'server', 'port') or 5432}"


def build_project_page(body: Json) -> list[Block]:
    limits = read(body, "spec", "limits") or {}
    return [
        Title(f"Project {name_of(body)}", _state_of(body)),
        Fields(
            [
                ("name", name_of(body)),
                ("ready", describe_condition(find_condition(body))),
                ("organization", str(read(body, "spec", "organizationID") or "")),
                ("namespace", str(read(body, "spec", "namespace") or "")),
                ("server", describe_server(body)),
                ("version", str(read(body, "status", "targetVersion") or "")),
                ("primary", _describe_primary(read(body, "spec", "primary") or {})),
                ("limits", ", ".join(f"{name} {value}" for name, value in limits.items())),
                ("queue", str(read(body, "spec", "queueName") or "")),
                ("copies", _describe_copies(read(body, "status") or {})),
                ("clean-up", describe_condition(find_condition(body, "CleanedUp"))),
                ("webhooks", describe_webhooks(body)),
            ]
        ),
        Items("warnings", [str(text) for text in read(body, "status", "warnings") or []]),
    ]


def _state_of(body: Json) -> str:
    if read(body, "metadata", "deletionTimestamp"):
        return "deleting"
    return "ready" if read(body, "status", "ready") else "pending"


def _describe_copies(status: Json) -> str:
    """Says how the server made the last copy of a preview."""
    method, rate = status.get("cloneMethod"), status.get("cloneBytesPerSecond")
    return f"{method}, {format_size(rate)}/s" if method and rate else str(method or "")


def describe_webhooks(body: Json) -> str:
    """Names the webhooks whose last request failed, with their errors; an empty text if there are none."""
    condition = find_condition(body, "WebhooksDelivered")
    return str(condition.get("message") or "") if condition.get("status") == "False" else ""


def _describe_primary(primary: Json) -> str:
    if primary.get("previewDatabase"):
        return f"golden preview {primary['previewDatabase']}"
    secret = primary.get("urlSecretRef")
    return f"Secret {secret.get('name')}, key {secret.get('key')}" if secret else ""


def find_project(context: CommandContext, wanted: str | None) -> str:
    """Returns the Project of the namespace.

    A tenant may not read Projects: then the previews and imports of the namespace say which one it is. Raises
    CommandFailed.
    """
    if wanted or context.environment.get("PGIMPORT_PROJECT"):
        return wanted or context.environment["PGIMPORT_PROJECT"]
    for resource in (PREVIEWS, IMPORTS):
        names = {str(read(item, "spec", "project")) for item in context.kubectl.list(resource)}
        if len(names) == 1:
            return names.pop()
    namespace = context.kubectl.namespace
    try:
        projects = context.kubectl.list(PROJECTS)
    except NotAllowed:
        raise CommandFailed("you may not list Projects: name yours with --project") from None
    owners = [name_of(project) for project in projects if read(project, "spec", "namespace") == namespace]
    if len(owners) != 1:
        raise CommandFailed(f"no Project has the namespace {namespace}. Choose another with -n, or use --project")
    return owners[0]

"""`pgimport schedule list|get|run|suspend|resume`."""

import argparse
from collections.abc import Sequence
from datetime import datetime

from pgimport.cli.cluster_commands.blocks import Block, Cell, Column, Fields, Table, Title
from pgimport.cli.cluster_commands.command_context import SCHEDULES, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.import_creation import create_from_template, show_new_import
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.listings import print_list, print_raw_object
from pgimport.cli.cluster_commands.object_tables import build_object_table
from pgimport.cli.cluster_commands.objects import (
    NONE,
    Json,
    find_condition,
    format_since,
    format_time,
    format_until,
    name_of,
    namespace_of,
    read,
    reason_of,
)

_COLUMNS = (
    Column("NAME"),
    Column("SCHEDULE", rank=2),
    Column("TIME ZONE", rank=6),
    Column("SUSPENDED", rank=3),
    Column("ACTIVE", rank=4),
    Column("LAST", rank=5),
    Column("NEXT", rank=1),
    Column("DATA AGE", rank=7),
    Column("REASON", rank=2),
    Column("TARGET", rank=8, wide=True),
)


def list_schedules(context: CommandContext, arguments: argparse.Namespace) -> int:
    return print_list(
        context,
        SCHEDULES,
        "schedules",
        arguments,
        lambda items: build_schedule_table(items, context.now(), all_namespaces=arguments.all_namespaces),
    )


def get_schedule(context: CommandContext, arguments: argparse.Namespace) -> int:
    if not print_raw_object(context, SCHEDULES, arguments):
        context.screen.print_page(*build_schedule_page(context.kubectl.get(SCHEDULES, arguments.name), context.now()))
    return 0


def run_schedule(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Creates an import with the schedule's spec, which the schedule neither counts nor deletes."""
    spec = context.kubectl.get(SCHEDULES, arguments.name)["spec"]["importTemplate"]
    name = arguments.new_name or f"{arguments.name}-manual-{context.now():%Y%m%d-%H%M%S}"
    create_from_template(context, name, spec)
    context.screen.print_note(f"import {name} created")
    return show_new_import(context, arguments, name)


def suspend_schedules(context: CommandContext, arguments: argparse.Namespace) -> int:
    return _change_each(context, arguments.names, suspend=True)


def resume_schedules(context: CommandContext, arguments: argparse.Namespace) -> int:
    return _change_each(context, arguments.names, suspend=False)


def _change_each(context: CommandContext, names: Sequence[str], *, suspend: bool) -> int:
    code = 0
    for name in names:
        try:
            context.kubectl.patch(SCHEDULES, name, {"spec": {"suspend": suspend}})
            context.screen.print_line(f"schedule {name} is {'suspended' if suspend else 'resumed'}")
        except CommandFailed as error:
            context.screen.print_note(f"pgimport: {error}")
            code = error.exit_code
    return code


def build_schedule_table(items: Sequence[Json], now: datetime, *, all_namespaces: bool) -> Table:
    return build_object_table(_COLUMNS, items, lambda item: _build_row(item, now), all_namespaces=all_namespaces)


def _build_row(body: Json, now: datetime) -> list[str | Cell]:
    spec, status = body["spec"], body.get("status") or {}
    last, due, data = status.get("lastScheduleTime"), status.get("nextScheduleTime"), status.get("dataAsOf")
    return [
        name_of(body),
        str(spec.get("schedule")),
        str(spec.get("timeZone") or "Etc/UTC"),
        "yes" if spec.get("suspend") else "no",
        str(len(status.get("active") or [])),
        Cell(format_since(last, now), str(last or "")),
        Cell(format_until(due, now), str(due or "")),
        Cell(format_since(data, now), str(data or "")),
        reason_of(body) or NONE,
        str(read(body, "spec", "importTemplate", "target", "previewDatabase") or NONE),
    ]


def build_schedule_page(body: Json, now: datetime) -> list[Block]:
    spec, status = body["spec"], body.get("status") or {}
    due, last = status.get("nextScheduleTime"), status.get("lastScheduleTime")
    return [
        Title(f"schedule {name_of(body)}"),
        Fields(
            [
                ("name", name_of(body)),
                ("namespace", namespace_of(body)),
                ("schedule", f"{spec.get('schedule')} ({spec.get('timeZone') or 'Etc/UTC'})"),
                ("suspended", "yes" if spec.get("suspend") else "no"),
                ("reason", describe_condition(find_condition(body))),
                ("target", str(read(spec, "importTemplate", "target", "previewDatabase") or "")),
                ("active", ", ".join(status.get("active") or [])),
                ("next", f"{format_time(due)} ({format_until(due, now)})" if due else ""),
                ("last", f"{format_time(last)} ({format_since(last, now)} ago)" if last else ""),
                ("last success", format_time(status["lastSuccessfulTime"]) if status.get("lastSuccessfulTime") else ""),
                ("data as of", format_time(status["dataAsOf"]) if status.get("dataAsOf") else ""),
            ]
        ),
    ]

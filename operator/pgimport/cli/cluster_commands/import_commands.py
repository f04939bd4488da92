"""`pgimport import list|get|explain|wait|cancel|suspend|resume|report`."""

import argparse
from collections.abc import Sequence

from pgimport.cli.cluster_commands.blocks import Block, Checks, Commands, Items
from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed, NotAllowed, ObjectNotFound
from pgimport.cli.cluster_commands.explanations import SecretKeys, Surroundings, build_explanation, suggest_commands
from pgimport.cli.cluster_commands.import_list import watch_list
from pgimport.cli.cluster_commands.import_pages import build_checks, build_import_page, build_import_table
from pgimport.cli.cluster_commands.import_view import decide_import_end, watch_import
from pgimport.cli.cluster_commands.listings import check_watch, print_list, print_raw_object
from pgimport.cli.cluster_commands.objects import Json, has_ended, name_of, read, reason_of, state_of
from pgimport.cli.cluster_commands.outcomes import Outcome
from pgimport.cli.cluster_commands.reports import build_report_blocks
from pgimport.cli.cluster_commands.waiting import follow_each
from pgimport.model.names import REPORT_KEY

_KEYS_TEMPLATE = 'go-template={{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'


def list_imports(context: CommandContext, arguments: argparse.Namespace) -> int:
    check_watch(arguments)
    if arguments.watch:
        return watch_list(context, arguments)
    return print_list(
        context,
        IMPORTS,
        "imports",
        arguments,
        lambda items: build_import_table(items, context.now(), all_namespaces=arguments.all_namespaces),
    )


def get_import(context: CommandContext, arguments: argparse.Namespace) -> int:
    check_watch(arguments)
    if print_raw_object(context, IMPORTS, arguments):
        return 0
    if arguments.watch:
        return watch_import(context, arguments.name)
    context.screen.print_page(*build_import_page(context.kubectl.get(IMPORTS, arguments.name), context.now()))
    return 0


def explain_import(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints why an import waits or failed. Reads its preview and the names of the keys of its Secret, if it may."""
    body = context.kubectl.get(IMPORTS, arguments.name)
    around = _read_surroundings(context, body)
    commands = context.write_commands(suggest_commands(body, around))
    context.screen.print_page(*build_explanation(body, around, context.now()), Items("next", []), Commands(commands))
    return 0


def _read_surroundings(context: CommandContext, body: Json) -> Surroundings:
    preview = read(body, "spec", "target", "previewDatabase")
    preview_body, missing = None, False
    if preview:
        try:
            preview_body = context.kubectl.find(PREVIEWS, preview)
            missing = preview_body is None
        except NotAllowed:
            pass
    secret = read(body, "spec", "source", "urlSecretRef", "name")
    return Surroundings(preview_body, missing, read_secret_keys(context, secret) if secret else None)


def read_secret_keys(context: CommandContext, name: str) -> SecretKeys | None:
    """Returns the names of a Secret's keys, without their values; None if the user may not read it."""
    try:
        return SecretKeys(True, context.kubectl.run("get", "secret", name, "-o", _KEYS_TEMPLATE).split())
    except ObjectNotFound:
        return SecretKeys(False)
    except CommandFailed:
        return None


def wait_for_imports(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Waits for all imports. Returns the exit code of the first one that did not complete."""
    return wait_for_each(context, arguments.names, arguments.timeout)


def wait_for_each(context: CommandContext, names: Sequence[str], timeout: float) -> int:
    def report(_: Json, outcome: Outcome) -> int:
        context.screen.print_line(outcome.message)
        return outcome.exit_code

    return follow_each(context, IMPORTS, names, decide_import_end, timeout, report)


def cancel_imports(context: CommandContext, arguments: argparse.Namespace) -> int:
    def report(body: Json, outcome: Outcome) -> int:
        context.screen.print_line(outcome.message)
        return 0 if state_of(body) == "cancelled" else 1

    changed, code = _change_each(context, arguments.names, {"cancel": True}, "is being cancelled")
    awaited = changed if arguments.wait else ()
    return follow_each(context, IMPORTS, awaited, decide_import_end, arguments.timeout, report) or code


def suspend_imports(context: CommandContext, arguments: argparse.Namespace) -> int:
    return _change_each(context, arguments.names, {"suspend": True}, "is suspended")[1]


def resume_imports(context: CommandContext, arguments: argparse.Namespace) -> int:
    return _change_each(context, arguments.names, {"suspend": False}, "is resumed")[1]


def _change_each(context: CommandContext, names: Sequence[str], spec: Json, done: str) -> tuple[list[str], int]:
    """Changes the spec of each import. Returns the changed ones, and the exit code: ended ones are an error."""
    changed, code = [], 0
    for name in names:
        try:
            body = context.kubectl.get(IMPORTS, name)
            if has_ended(body):
                raise CommandFailed(f"import {name} has already ended: {state_of(body)}")
            context.kubectl.patch(IMPORTS, name, {"metadata": {"uid": body["metadata"]["uid"]}, "spec": spec})
            context.screen.print_line(f"import {name} {done}")
            changed.append(name)
        except CommandFailed as error:
            context.screen.print_note(f"pgimport: {error}")
            code = error.exit_code
    return changed, code


def show_preflight(context: CommandContext, body: Json) -> int:
    """Prints the checks of an import. Returns 1 if one failed or the source could not be checked."""
    checks = build_checks(body.get("status") or {})
    if not checks:
        reason = read(body, "status", "error") or reason_of(body) or "the operator has not seen it yet"
        raise CommandFailed(f"import {name_of(body)} has no checks yet: {reason}")
    blocks: list[Block] = [Checks(checks)]
    context.screen.print_page(*blocks)
    return 0 if read(body, "status", "preflight", "ok") else 1


def print_report(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints the report of an import, which is in ConfigMaps."""
    body = context.kubectl.get(IMPORTS, arguments.name)
    reference = read(body, "status", "reportRef") or {}
    names = reference.get("configMaps") or []
    if not names:
        now = f"it is written when an attempt has ended, and the import is {state_of(body)}"
        raise CommandFailed(f"import {arguments.name} has no report: {reference.get('message') or now}")
    parts = [context.kubectl.get("configmap", name) for name in names]
    texts = [str(read(part, "data", REPORT_KEY) or "") for part in parts]
    if arguments.output == "json":
        context.screen.print_text("".join(texts).rstrip("\n"))
        return 0
    context.screen.print_page(*build_report_blocks(texts))
    if reference.get("message"):
        context.screen.print_note(f"the report is incomplete: {reference['message']}")
    return 0

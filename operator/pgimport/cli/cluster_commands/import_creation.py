"""`pgimport import create|preflight|retry`, and the steps that `schedule run` shares with them."""

import argparse
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, CommandContext
from pgimport.cli.cluster_commands.errors import AlreadyExists, CommandFailed, ObjectNotFound, WrongUsage
from pgimport.cli.cluster_commands.import_commands import show_preflight, wait_for_each
from pgimport.cli.cluster_commands.import_manifests import (
    build_import,
    build_retry_spec,
    build_source_secret,
    build_spec,
    check_url,
    is_owned_by,
    list_retry_names,
    parse_key,
    secret_reference,
)
from pgimport.cli.cluster_commands.import_view import decide_import_end, watch_import
from pgimport.cli.cluster_commands.objects import Json, name_of, read
from pgimport.cli.cluster_commands.projects import find_project
from pgimport.cli.cluster_commands.uploads import upload_dump
from pgimport.cli.cluster_commands.waiting import follow
from pgimport.model.names import SECRET_KEY_URL, source_secret_name


def create_import(context: CommandContext, arguments: argparse.Namespace) -> int:
    preview = _read_preview(context, arguments.preview)
    project = arguments.project or preview["spec"]["project"]
    url = _read_url(arguments, context)
    target: Json = {"target": {"previewDatabase": arguments.preview}}
    target |= {"recreate": True} if arguments.recreate else {}
    if arguments.dump:  # refused before an upload that may take hours
        checked = build_import(arguments.name, build_spec(arguments, project, {"uploadKey": "checked"}) | target)
        context.kubectl.create(checked, "--dry-run=server")
    spec = build_spec(arguments, project, _build_source(context, arguments, arguments.name, project)) | target
    _create(context, arguments.name, spec, {SECRET_KEY_URL: url} if url else None)
    context.screen.print_note(f"import {arguments.name} created")
    return show_new_import(context, arguments, arguments.name)


def show_new_import(context: CommandContext, arguments: argparse.Namespace, name: str) -> int:
    """Follows a new import if the user wants that; otherwise prints its name and how to follow it."""
    if arguments.watch:
        return watch_import(context, name)
    if getattr(arguments, "wait", False):
        return wait_for_each(context, [name], arguments.timeout)
    context.screen.print_line(name) if not context.screen.is_terminal else context.screen.print_note(
        f"To watch it, run `{context.write_command(f'PGIMPORT import get {name} --watch')}`."
    )
    return 0


def preflight_import(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints the checks of an import that exists, or of a source."""
    if not any((arguments.from_secret, arguments.from_file, arguments.from_env, arguments.dump)):
        if arguments.name is None:
            raise WrongUsage("name an import, or a source with --from-secret, --from-file, --from-env or --dump")
        return show_preflight(context, context.kubectl.get(IMPORTS, arguments.name))
    name = arguments.name or f"preflight-{secrets.token_hex(4)}"
    preview = _read_preview(context, arguments.preview) if arguments.preview else None
    project = arguments.project or (preview["spec"]["project"] if preview else find_project(context, None))
    url = _read_url(arguments, context)
    spec = build_spec(arguments, project, _build_source(context, arguments, name, project)) | {"dryRun": True}
    with _deleted_at_end(context, _create(context, name, spec, {SECRET_KEY_URL: url} if url else None)):
        context.screen.print_note("checking the source …")
        body, _ = follow(context, IMPORTS, name, decide_import_end, arguments.timeout)
        return show_preflight(context, body)


def retry_import(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Creates an import with the spec of an earlier one, and a copy of the Secret that the earlier one owns."""
    body = context.kubectl.get(IMPORTS, arguments.name)
    spec = build_retry_spec(body, recreate=arguments.recreate)
    secret = _find_owned_secret(context, body)
    for name in [arguments.new_name] if arguments.new_name else list_retry_names(arguments.name):
        new = _point_to_copy(spec, name) if secret else spec
        try:
            _create(context, name, new, secret, encoded=True)
        except AlreadyExists:
            if arguments.new_name:
                raise
            continue
        context.screen.print_note(f"import {name} created")
        return show_new_import(context, arguments, name)
    raise AssertionError("unreachable: there are always more names")


def create_from_template(context: CommandContext, name: str, spec: Json) -> None:
    """Creates an import whose Secret exists already."""
    _create(context, name, spec, None)


def _create(
    context: CommandContext, name: str, spec: Json, secret: dict[str, str] | None, *, encoded: bool = False
) -> Json:
    """Creates an import, then the Secret that it owns. If the Secret is refused, deletes the import again."""
    body = context.kubectl.create(build_import(name, spec))
    if secret is not None:
        try:
            context.kubectl.create(build_source_secret(body, secret, encoded=encoded))
        except BaseException:
            _delete(context, body)
            raise
    return body


def _delete(context: CommandContext, body: Json) -> None:
    done, error = context.kubectl.try_run("delete", IMPORTS, name_of(body), "--wait=false", "--ignore-not-found")
    if not done:
        context.screen.print_note(f"pgimport: import {name_of(body)} is left, because it cannot be deleted: {error}")


@contextmanager
def _deleted_at_end(context: CommandContext, body: Json) -> Iterator[None]:
    try:
        yield
    finally:
        _delete(context, body)


def _read_preview(context: CommandContext, name: str) -> Json:
    try:
        return context.kubectl.get(PREVIEWS, name)
    except ObjectNotFound as error:
        if not str(error).startswith("preview "):  # it is the namespace that does not exist
            raise
        command = context.write_command(f"PGIMPORT preview create {name}")
        raise ObjectNotFound(f"{error}. To create it, run `{command}`.") from None


def _read_url(arguments: argparse.Namespace, context: CommandContext) -> str | None:
    """Reads the source's URL from a file, standard input or the environment; None if it is in a Secret."""
    if arguments.from_env:
        value = context.environment.get(arguments.from_env)
        if value is None:
            raise CommandFailed(f"the environment has no variable {arguments.from_env}")
        return check_url(value, f"variable {arguments.from_env}")
    if not arguments.from_file:
        return None
    where = "standard input" if arguments.from_file == "-" else arguments.from_file
    try:
        text = sys.stdin.read() if arguments.from_file == "-" else Path(where).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{where} cannot be read: {error}") from None
    return check_url(text, where)


def _build_source(context: CommandContext, arguments: argparse.Namespace, name: str, project: str) -> Json:
    ca: Json = {"caSecretRef": parse_key(arguments.ca_secret, "SECRET/KEY")} if arguments.ca_secret else {}
    if arguments.dump:
        return {**upload_dump(context, Path(arguments.dump), project), **ca}
    if arguments.from_secret:
        return {"urlSecretRef": parse_key(arguments.from_secret, "SECRET/KEY", SECRET_KEY_URL), **ca}
    return {**secret_reference(name), **ca}


def _find_owned_secret(context: CommandContext, body: Json) -> dict[str, str] | None:
    """Returns the data, in Base64, of the Secret with the source's URL if the import owns it."""
    name = read(body, "spec", "source", "urlSecretRef", "name")
    if not name:
        return None
    secret = context.kubectl.get("secret", name)
    data: dict[str, str] = secret.get("data") or {}
    return data if is_owned_by(secret, body) else None


def _point_to_copy(spec: Json, name: str) -> Json:
    source = spec["source"]
    reference = {**source["urlSecretRef"], "name": source_secret_name(name)}
    return {**spec, "source": {**source, "urlSecretRef": reference}}

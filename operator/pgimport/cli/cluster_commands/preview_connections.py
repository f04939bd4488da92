"""`pgimport preview psql|url`: connects to a preview. The password is in a file that only the user can read."""

import argparse
import base64
import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pgimport.cli.cluster_commands.command_context import PREVIEWS, CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.kubectl_errors import explain_kubectl_error
from pgimport.cli.cluster_commands.objects import Json, find_condition, name_of, read, state_of
from pgimport.cli.cluster_commands.preview_pages import is_golden, is_reset_due

VARIABLE = "DATABASE_URL"
OWN_VARIABLES = ("PGOPTIONS", "PGCLIENTENCODING", "PGTZ", "PGDATESTYLE", "PGAPPNAME")  # not about the connection
_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\.[a-z0-9.-]+)?\.?")
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.:/@%?=+,~-]*")


def open_psql(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Runs psql and returns its exit code."""
    connection = read_connection(context, arguments.name)
    with _reach(context, connection) as (address, port), tempfile.TemporaryDirectory(prefix="pgimport-") as folder:
        passfile = Path(folder) / "passfile"
        passfile.touch(mode=0o600)
        passfile.write_text(format_passfile(connection["password"]))
        variables = build_variables(connection, address, port, str(passfile))
        kept = {name: value for name, value in context.environment.items() if not _is_of_libpq(name)}
        return _run_psql(arguments.psql_arguments, {**kept, **variables})


def print_url(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints the URL, or writes it to a file as DATABASE_URL."""
    uri = read_connection(context, arguments.name)["uri"]
    if arguments.write_env is None:
        context.screen.print_text(uri)
        return 0
    path = Path(arguments.write_env)
    try:
        target = path.resolve()  # a symbolic link stays one
        if target.exists() and not target.is_file():
            raise CommandFailed(f"{path} is no regular file. To print the URL, leave --write-env out.")
        write_private(target, replace_variable(_read_text(target), VARIABLE, uri))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be written: {error}") from None
    context.screen.print_note(f"{path} has {VARIABLE} of preview {arguments.name}; only you can read it")
    return 0


def read_connection(context: CommandContext, name: str) -> dict[str, str]:
    """Returns the decoded connection Secret of a preview. Raises CommandFailed if nobody can connect to it."""
    body = context.kubectl.get(PREVIEWS, name)
    secret = check_connectable(body, context)
    data = context.kubectl.get("secret", secret).get("data") or {}
    connection = {key: base64.b64decode(value).decode() for key, value in data.items()}
    if missing := {"host", "port", "dbname", "user", "password", "uri"} - connection.keys():
        raise CommandFailed(f"Secret {secret} lacks {', '.join(sorted(missing))}; the operator completes it in minutes")
    return connection


def check_connectable(body: Json, context: CommandContext) -> str:
    """Returns the name of a preview's connection Secret. Raises CommandFailed if nobody can connect."""
    name = name_of(body)
    if is_golden(body):
        command = context.write_command(f"PGIMPORT preview clone NEW --from {name}")
        raise CommandFailed(f"preview {name} is golden, so nobody can connect to it. To get a copy, run `{command}`.")
    require_not_expired(body, context)
    secret = read(body, "status", "connectionSecret")
    if state_of(body) != "ready" or not secret:
        waits = describe_condition(find_condition(body)) or "the operator has not seen it yet"
        raise CommandFailed(f"preview {name} is {state_of(body)}, not ready: {waits}")
    if is_reset_due(body, context.now()):
        raise CommandFailed(f"preview {name} is about to be reset: its new database is not ready yet")
    return str(secret)


def require_not_expired(body: Json, context: CommandContext) -> None:
    """Raises CommandFailed if the preview has no database until somebody extends it."""
    if state_of(body) == "expired":
        command = context.write_command(f"PGIMPORT preview extend {name_of(body)}")
        raise CommandFailed(f"preview {name_of(body)} has expired. To get a new database, run `{command}`.")


def format_passfile(password: str) -> str:
    """Formats libpq's password file for any server."""
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"


def build_variables(
    connection: Mapping[str, str], address: str | None, port: int | None, passfile: str
) -> dict[str, str]:
    """Builds libpq's variables. `address` and `port`: of a tunnel; the host name stays for TLS."""
    sslmode = parse_qs(urlsplit(connection["uri"]).query).get("sslmode")
    return {
        "PGHOST": connection["host"],
        "PGPORT": str(port or connection["port"]),
        "PGDATABASE": connection["dbname"],
        "PGUSER": connection["user"],
        "PGPASSFILE": passfile,
        **({"PGSSLMODE": sslmode[0]} if sslmode else {}),
        **({"PGHOSTADDR": address} if address else {}),
    }


def _is_of_libpq(name: str) -> bool:
    return name.startswith("PG") and not name.startswith("PGIMPORT_") and name not in OWN_VARIABLES


def find_service(host: str) -> tuple[str, str] | None:
    """Returns name and namespace of the Service with this host name, which only pods can resolve."""
    match = _SERVICE.fullmatch(host)
    return (match["name"], match["namespace"]) if match else None


def replace_variable(text: str, name: str, value: str) -> str:
    """Sets a variable in the text of an env file, and keeps all other lines, and `export` before the variable."""
    quoted = value if _PLAIN_VALUE.fullmatch(value) else "'" + value.replace("'", "'\\''") + "'"
    pattern, line = re.compile(rf"((?:export\s+)?){name}=.*?(\r?)"), f"{name}={quoted}"
    lines = text.removesuffix("\n").split("\n") if text else []
    matches = [pattern.fullmatch(old) for old in lines]
    kept = [f"{match[1]}{line}{match[2]}" if match else old for match, old in zip(matches, lines, strict=True)]
    return "\n".join(kept if any(matches) else [*kept, line]) + "\n"


def _read_text(path: Path) -> str:
    """Returns the text of a file with its own newlines, and an empty text for a file that does not exist."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_private(path: Path, text: str) -> None:
    """Writes a file that only the user can read, at once."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


@contextmanager
def _reach(context: CommandContext, connection: Mapping[str, str]) -> Iterator[tuple[str | None, int | None]]:
    """Yields address and port of a tunnel if the server is a Service that this machine cannot resolve."""
    service = find_service(connection["host"])
    if service is None or _is_resolvable(connection["host"]):
        yield None, None
        return
    name, namespace = service
    command = ["--namespace", namespace, "port-forward", f"service/{name}", f":{connection['port']}"]
    # A session of its own: Ctrl-C in psql ends a query, not the tunnel.
    process = context.kubectl.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 (for mypy: they are pipes)
            assert process.stderr is not None  # noqa: S101
            match = _FORWARDING.match(process.stdout.readline())
            if match is None:
                error = explain_kubectl_error(process.stderr.read(), namespace)
                raise CommandFailed(
                    f"this machine cannot resolve {connection['host']}, and kubectl port-forward failed: {error}."
                    " Use the URL of `preview url` in a pod of the cluster."
                )
            yield "127.0.0.1", int(match[1])
        finally:
            process.terminate()


def _is_resolvable(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _run_psql(arguments: list[str], environment: Mapping[str, str]) -> int:
    try:
        process = subprocess.Popen(["psql", *arguments], env=dict(environment))
    except FileNotFoundError:
        raise CommandFailed("psql is not on PATH. Install PostgreSQL's client programs.") from None
    # Ctrl-C is for psql, which cancels a query. The handler, unlike SIG_IGN, is not inherited.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with process:
            return process.wait()
    except BaseException:
        process.terminate()
        raise
    finally:
        signal.signal(signal.SIGINT, previous)

"""`pgimport run --source` with a dump on this machine: a path, a folder, or standard input."""

import gzip
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.cli.conftest import CommandLine, CommandResult, list_leftovers
from tests.support.client_programs import current_clients
from tests.support.postgres import PostgresServer

from pgimport.cli.local_source import find_local_file
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import LocalFile, looks_like_path, parse_source

# Formats that `make check` tries in another way.
CUSTOM, TAR = (pytest.param(name, marks=pytest.mark.thorough) for name in ("custom", "tar"))


def write_dump(server: PostgresServer, path: Path, dump_format: str) -> Path:
    subprocess.run(
        [server.bin / "pg_dump", f"--format={dump_format}", f"--file={path}", server.url("cli_shop")], check=True
    )
    return path


def run_import(
    command_line: CommandLine,
    *arguments: str,
    folder: Path,
    stdin: int = subprocess.DEVNULL,
    content: bytes | None = None,
) -> CommandResult:
    clients = folder / "clients-of-the-run"
    if not clients.exists():
        current_clients(clients)
    environment = command_line.environment(PGIMPORT_CLIENTS=str(clients / "current"))
    del environment["PGIMPORT_SOURCE_URL"]
    command: Sequence[str] = [sys.executable, "-m", "pgimport", "cli", "run", *arguments]
    result = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        timeout=600,
        capture_output=True,
        check=False,
        input=content,
        stdin=stdin if content is None else None,
    )
    return CommandResult(result.returncode, result.stdout.decode(), result.stderr.decode())


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", ["custom", "plain", "directory", TAR])
def test_a_path_is_a_source(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    path = write_dump(postgres16, tmp_path / "shop dump", dump_format)
    source = {"custom": "./shop dump", "plain": str(path), "directory": "shop dump", "tar": path.as_uri()}[dump_format]
    result = run_import(command_line, "--source", source, folder=tmp_path)
    assert result.code == 0, result.err
    assert f"checking the dump {path}" in result.err
    assert f"{path}: {dump_format} dump of PostgreSQL 16" in result.err
    assert postgres18.query("SELECT id FROM items ORDER BY 1", "cli_copy") == [(1,), (2,)]
    assert list_leftovers(postgres18) == []
    assert list(command_line.scratch.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("dump_format", [CUSTOM, "plain", TAR])
def test_standard_input_is_a_source(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    content = gzip.compress(write_dump(postgres16, tmp_path / "shop", dump_format).read_bytes())
    result = run_import(command_line, "--source", "-", folder=tmp_path, content=content)
    assert result.code == 0, result.err
    assert "checking the dump on standard input" in result.err
    assert postgres18.query("SELECT id FROM items ORDER BY 1", "cli_copy") == [(1,), (2,)]


@pytest.mark.slow
def test_a_file_on_standard_input_is_a_source(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    with write_dump(postgres16, tmp_path / "shop", "custom").open("rb") as file:
        result = run_import(command_line, "--source=-", "--sha256", "0" * 64, folder=tmp_path, stdin=file.fileno())
        assert "SHA-256" in result.err
        file.seek(0)
        result = run_import(command_line, "--source=-", folder=tmp_path, stdin=file.fileno())
    assert result.code == 0, result.err
    assert postgres18.query("SELECT count(*) FROM items", "cli_copy") == [(2,)]


@pytest.mark.slow
def test_a_truncated_pipe_fails_and_leaves_nothing(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    content = write_dump(postgres16, tmp_path / "shop", "custom").read_bytes()
    result = run_import(command_line, "--source=-", folder=tmp_path, content=content[:-40])
    assert "DumpCorrupt" in result.err
    assert list_leftovers(postgres18) == []


@pytest.mark.slow
def test_a_process_substitution_is_a_source(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    fifo = tmp_path / "shop.dump"
    os.mkfifo(fifo)
    dump = subprocess.Popen(["sh", "-c", f"exec {postgres16.bin}/pg_dump -Fc {postgres16.url('cli_shop')} > {fifo}"])
    result = run_import(command_line, "--source", str(fifo), folder=tmp_path)
    assert (dump.wait(), result.code) == (0, 0), result.err
    assert postgres18.query("SELECT count(*) FROM items", "cli_copy") == [(2,)]


@pytest.mark.parametrize(
    ("source", "reason", "message"),
    [
        ("./absent.dump", "DumpNotFound", "there is no file"),
        ("~/absent.dump", "DumpNotFound", "there is no file"),
        ("file:///absent.dump", "DumpNotFound", "there is no file /absent.dump"),
        ("file://host/absent.dump", "SourceURLInvalid", "file:///path"),
        (".", "DumpUnsupported", "contains no toc.dat"),
    ],
)
def test_a_path_without_a_dump_is_refused(
    command_line: CommandLine, tmp_path: Path, source: str, reason: str, message: str
) -> None:
    result = run_import(command_line, "--source", source, folder=tmp_path)
    assert reason in result.err
    assert message in result.err


def test_a_terminal_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    terminal, other_end = pty.openpty()
    try:
        result = run_import(command_line, "--source", "-", folder=tmp_path, stdin=other_end)
    finally:
        os.close(terminal)
        os.close(other_end)
    assert "SourceURLInvalid: standard input is a terminal: pipe a dump into the command" in result.err


def test_only_the_command_line_reads_paths() -> None:
    for text in ("/srv/shop.dump", "./shop.dump", "~/shop.dump", "file:///srv/shop.dump", "shop.sql.gz", "-"):
        failure = parse_source(text)
        assert isinstance(failure, Failure)
        assert (failure.reason, "Upload the dump" in failure.hint) == (Reason.SOURCE_URL_INVALID, True)


def test_urls_and_keywords_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "postgresql://u:p@h/shop.sql",
        "https://h/shop.dump",
        "host=h dbname=shop.sql",
        "reader:secret@h/shop",
    ):
        assert not looks_like_path(text)
        assert find_local_file(text) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").touch()
    assert find_local_file("shop") == LocalFile(str(tmp_path / "shop"))

"""Runs `pgimport` as a user does, with a source on PostgreSQL 16 and a target server on 18."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import ADMIN, PostgresServer, installation

from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.kubectl import Kubectl
from pgimport.cli.cluster_commands.screen import Screen

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code and output of a command that ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Starts `pgimport` with both URLs in its environment."""

    source_url: str = field(repr=False)
    target_url: str = field(repr=False)
    clients: Path
    scratch: Path

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PYTHONPATH": str(ROOT / "operator"),
            "PGIMPORT_SOURCE_URL": self.source_url,
            "PGIMPORT_TARGET_URL": self.target_url,
            "PGIMPORT_CLIENTS": str(self.clients),
            "TMPDIR": str(self.scratch),
            **changes,
        }

    def start(self, *arguments: str, **changes: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "pgimport", "cli", *arguments],
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **changes: str) -> CommandResult:
        with self.start(*arguments, **changes) as process:
            out, err = process.communicate(timeout=300)
        return CommandResult(process.returncode, out, err)


@pytest.fixture
def command_line(postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path) -> Iterator[CommandLine]:
    clients = tmp_path / "clients"
    clients.mkdir()
    for major in (16, 18):
        (clients / str(major)).symlink_to(installation(major))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with postgres16.database("cli_shop"):
        postgres16.execute("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1), (2)", "cli_shop")
        yield CommandLine(
            source_url=postgres16.url("cli_shop"),
            target_url=postgres18.url("cli_copy", ADMIN),
            clients=clients,
            scratch=scratch,
        )
    postgres18.execute("DROP DATABASE IF EXISTS cli_copy WITH (FORCE)")
    postgres18.execute("DROP ROLE IF EXISTS cli_copy_owner")


def hanging_clients(folder: Path) -> dict[str, str]:
    """Makes clients that hang, so that an import stops half-way. Returns the environment variable that names them."""
    home = folder / "hanging"
    for major in (16, 18):
        (home / str(major) / "bin").mkdir(parents=True)
        for name in ("pg_dump", "pg_restore"):
            program = home / str(major) / "bin" / name
            program.write_text(f"#!/bin/sh\n: > {home}/started\nexec sleep 15\n")
            program.chmod(0o755)
    return {"PGIMPORT_CLIENTS": str(home)}


def wait_until_started(clients: dict[str, str], seconds: float = 50) -> None:
    deadline = time.monotonic() + seconds
    while not (Path(clients["PGIMPORT_CLIENTS"]) / "started").exists():
        assert time.monotonic() < deadline, "the worker did not start its clients"
        time.sleep(0.02)


def wait_until_shadow_exists(server: PostgresServer, seconds: float = 50) -> None:
    """Waits for the shadow and its role: the worker starts its first client while they are created."""
    deadline = time.monotonic() + seconds
    while len(list_leftovers(server)) < 2:
        assert time.monotonic() < deadline, "the command did not create the shadow and its role"
        time.sleep(0.02)


def list_children(pid: int) -> set[int]:
    """Returns the pids of the running children of a process that has one thread."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def list_leftovers(server: PostgresServer) -> list[str]:
    """Returns the databases and roles on a target server that an import created and did not drop."""
    rows = server.query(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'pgimport%'"
        " UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'pgimport%'"
    )
    return [name for (name,) in rows]


class FakeKubectl:
    """A program named kubectl that gives recorded answers, and records its arguments and standard input."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(_FAKE_KUBECTL.format(python=sys.executable))
        program.chmod(0o755)
        self._answers: list[dict[str, Any]] = []

    def answer(
        self, words: str, out: Any = "", *, error: str = "", code: int | None = None, hangs: bool = False
    ) -> None:
        """Answers calls whose arguments contain the words. Of several answers, each but the last is given once."""
        text = out if isinstance(out, str) else json.dumps(out, indent=4) + "\n"
        code = code if code is not None else int(bool(error))
        self._answers.append({"words": words.split(), "out": text, "error": error, "code": code, "hangs": hangs})
        (self.folder / "answers.json").write_text(json.dumps(self._answers))

    def calls(self) -> list[tuple[list[str], str]]:
        """Returns arguments and standard input of each call, in their order."""
        path = self.folder / "calls.jsonl"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGIMPORT_", "NO_COLOR"))}
        path = f"{self.folder}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "PYTHONPATH": str(ROOT / "operator"), **changes}

    def start(self, *arguments: str, stdin: Any = subprocess.DEVNULL, **changes: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "pgimport", "cli", *arguments],
            env=self.environment(**changes),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **changes: str) -> CommandResult:
        with self.start(*arguments, **changes) as process:
            out, err = process.communicate(timeout=60)
        return CommandResult(process.returncode, out, err)


_FAKE_KUBECTL = """\
#!{python} -S
import fcntl, json, pathlib, sys, time
folder = pathlib.Path(sys.argv[0]).parent
stdin = "" if "-" not in sys.argv else sys.stdin.read()
with open(folder / "calls.jsonl", "a") as calls:
    fcntl.flock(calls, fcntl.LOCK_EX)
    calls.write(json.dumps([sys.argv[1:], stdin]) + "\\n")
    calls.flush()
    answers = json.loads((folder / "answers.json").read_text())
    fitting = [answer for answer in answers if set(answer["words"]) <= set(sys.argv)]
    if not fitting:
        sys.exit("error: no answer to " + " ".join(sys.argv[1:]))
    if len(fitting) > 1:
        answers.remove(fitting[0])
        (folder / "answers.json").write_text(json.dumps(answers))
answer = fitting[0]
sys.stdout.write(answer["out"])
sys.stdout.flush()
sys.stderr.write(answer["error"])
if answer["hangs"]:
    time.sleep(20)
sys.exit(answer["code"])
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> FakeKubectl:
    return FakeKubectl(tmp_path)


@pytest.fixture
def context() -> CommandContext:
    """A context for commands that call nothing, with `-n shop`."""
    screen = Screen(io.StringIO(), io.StringIO(), {})
    return CommandContext(Kubectl([], "shop"), screen, {}, given_options=["-n", "shop"])

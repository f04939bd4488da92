"""Runs `pgimport run` as a user does, for a live source or a dump file, and reads what it reports."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.real.servers import RealServers
from tests.support.https import body
from tests.support.postgres import ADMIN, PostgresServer

ROOT = Path(__file__).parents[2]
COPY = "real_copy"  # the target database
SECONDS = 180


class ImportPath(StrEnum):
    """The ways from a source to a copy: two engines for a live source, and the formats of a dump file."""

    RELAY = "relay"
    DUMP = "dump"
    CUSTOM = "custom"
    DIRECTORY = "directory"
    TAR = "tar"
    PLAIN = "plain"

    @property
    def is_live(self) -> bool:
        return self in (ImportPath.RELAY, ImportPath.DUMP)


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry of the report's list of skipped objects."""

    title: str
    reason: str
    group: str | None = None
    rows: int | None = None
    sqlstate: str | None = None
    offending_key: str | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What `pgimport run --json` printed."""

    code: int
    result: dict[str, Any]  # the last line
    log: list[dict[str, Any]] = field(repr=False)
    out: str = field(repr=False)
    err: str

    @property
    def verification(self) -> dict[str, Any]:
        return self.result.get("verification") or {}

    @property
    def notes(self) -> list[str]:
        return list(self.verification.get("notes", []))

    @property
    def skipped(self) -> list[Skipped]:
        """All skipped objects, once from the list and, where the report has no list, from the notes."""
        entries = self.result.get("skipped")
        return [_parse_skipped(entry) for entry in entries] if entries is not None else _parse_notes(self.notes)

    @property
    def refused(self) -> list[Skipped]:
        """The skipped objects that the target refused, and what needs them."""
        return [entry for entry in self.skipped if entry.group in (None, "refused")]

    @property
    def text(self) -> str:
        """Everything that a person can read."""
        return f"{self.out}\n{self.err}"


def _parse_skipped(entry: dict[str, Any]) -> Skipped:
    return Skipped(
        title=entry["object"],
        reason=entry.get("reason") or entry.get("why", ""),
        group=entry.get("group", "byDesign"),
        rows=entry.get("rows"),
        sqlstate=entry.get("sqlstate"),
        offending_key=entry.get("offendingKey"),
    )


def _parse_notes(notes: Iterable[str]) -> list[Skipped]:
    left = [note.removeprefix("left behind: ").rpartition(": ") for note in notes if note.startswith("left behind: ")]
    return [Skipped(title, reason) for title, _, reason in left]


def import_database(
    servers: RealServers, source_url: str, target: PostgresServer, *arguments: str, database: str = COPY
) -> ImportResult:
    """Imports into a new database `database` of the target, as its admin. The caller drops it with `drop_copy`."""
    scratch = servers.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PYTHONPATH": str(ROOT / "operator"),
        "PGIMPORT_SOURCE_URL": source_url,
        "PGIMPORT_TARGET_URL": target.url(database, ADMIN),
        "PGIMPORT_CLIENTS": str(servers.clients),
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "pgimport", "cli", "run", "--json", "--jobs", "2", *arguments]
    process = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
    result: dict[str, Any] = next((line["result"] for line in reversed(lines) if "result" in line), {})
    log = [line["log"] for line in lines if "log" in line]
    return ImportResult(process.returncode, result, log, process.stdout, process.stderr)


def import_file(
    servers: RealServers, content: bytes, target: PostgresServer, *arguments: str, database: str = COPY
) -> ImportResult:
    """Serves a dump file over HTTPS and imports it."""
    servers.https.answers["/real.dump"] = body(content)
    url = servers.https.url("/real.dump")
    return import_database(servers, url, target, "--ca", str(servers.https.ca), *arguments, database=database)


def drop_copy(target: PostgresServer, database: str = COPY) -> None:
    """Drops what an import created."""
    target.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    target.execute(f'DROP ROLE IF EXISTS "{database}_owner"')


def list_leftovers(target: PostgresServer) -> list[str]:
    """Returns the shadows and roles on a target server that an import did not drop."""
    rows = target.query(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'pgimport%'"
        " UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'pgimport%'"
    )
    return [name for (name,) in rows]

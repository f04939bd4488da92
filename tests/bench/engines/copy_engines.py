"""Defines the ways of copying a database that the benchmark compares, as the commands to run."""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.bench.engines.pipelines import Command, Pipeline
from tests.support.postgres import ADMIN, SUPERUSER, PostgresServer

COPY = "copy"  # the database that every engine fills
JOBS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Source and target of one run, and the programs and folders that an engine uses."""

    source: PostgresServer
    target: PostgresServer
    database: str
    clients: Path  # folder filled by debian_programs.py
    scratch: Path
    pgimport: Path = Path(sys.prefix) / "bin" / "pgimport"

    def client(self, name: str) -> Path:
        """Return a client program of the source's major, which is the target's too."""
        return self.clients / str(self.source.major) / "bin" / name

    @property
    def source_conninfo(self) -> str:
        return (
            f"host={self.source.host} port={self.source.port} user={SUPERUSER} dbname={self.database} sslmode=disable"
        )

    @property
    def target_conninfo(self) -> str:
        return f"host={self.target.host} port={self.target.port} user={SUPERUSER} dbname={COPY} sslmode=disable"

    def environment(self) -> Mapping[str, str]:
        """Return environment variables. Passwords are in a file, so no argument list shows them."""
        servers = (self.source, self.target)
        passwords = self.clients / "passwords"
        passwords.touch(0o600)
        passwords.write_text(
            "".join(f"{server.host}:{server.port}:*:*:{server.superuser_password}\n" for server in servers)
        )
        return {
            "PATH": f"{self.client('pg_dump').parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "LC_ALL": "C.UTF-8",
            "PGPASSFILE": str(passwords),
        }


class TargetState(Enum):
    """State of the target database when an engine starts."""

    EMPTY = "an empty database, created from template0"
    MISSING = "no database: the engine creates it"
    UNCHANGED = "what the previous engine copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way of copying a database, or a part of one."""

    name: str
    title: str
    build: Callable[[Route], Sequence[Pipeline]]
    environment: Callable[[Route], Mapping[str, str]] = Route.environment
    target_state: TargetState = TargetState.EMPTY
    prepare: Callable[[Route], None] | None = None  # runs before the measurement
    not_copied: Collection[str] | None = ()  # names of the content hashes; None skips the comparison


def _source_and_target_urls(route: Route, sslmode: str) -> Mapping[str, str]:
    databases = {"SOURCE": (route.source, SUPERUSER, route.database), "TARGET": (route.target, ADMIN, COPY)}
    return {
        f"PGIMPORT_{name}_URL": f"postgresql://{user}:{server.password_of(user)}@{server.host}:{server.port}/{dbname}"
        f"?sslmode={sslmode}"
        for name, (server, user, dbname) in databases.items()
    }


def _pgimport_engine(name: str, title: str, *options: str, sslmode: str = "disable") -> Engine:
    def build(route: Route) -> Sequence[Pipeline]:
        return [[[route.pgimport, "run", "--recreate", "--json", f"--jobs={JOBS}", *options]]]

    def environment(route: Route) -> Mapping[str, str]:
        urls = _source_and_target_urls(route, sslmode)
        return {**route.environment(), **urls, "PGIMPORT_CLIENTS": str(route.clients)}

    return Engine(name=name, title=title, build=build, environment=environment, target_state=TargetState.MISSING)


def _stream(route: Route) -> Sequence[Pipeline]:
    dump: Command = [route.client("pg_dump"), "--format=custom", f"--dbname={route.source_conninfo}"]
    restore: Command = [route.client("pg_restore"), "--no-owner", f"--dbname={route.target_conninfo}"]
    return [[dump, restore]]


def _directory(route: Route) -> Sequence[Pipeline]:
    folder, jobs = route.scratch / "dump", f"--jobs={JOBS}"
    options = ["--format=directory", jobs, "--compress=lz4"]
    dump: Command = [route.client("pg_dump"), *options, f"--file={folder}", f"--dbname={route.source_conninfo}"]
    restore: Command = [route.client("pg_restore"), "--no-owner", jobs, f"--dbname={route.target_conninfo}", folder]
    return [[dump], [restore]]


def _pgcopydb(route: Route) -> Sequence[Pipeline]:
    """Run pgcopydb in its own namespaces, so that its processes and System V queues end with it if it hangs."""
    isolate: Command = ["unshare", "--ipc", "--pid", "--fork", "--kill-child"]
    clone: Command = [
        route.clients / "pgcopydb",
        "clone",
        f"--source={route.source_conninfo}",
        f"--target={route.target_conninfo}",
        f"--dir={route.scratch / 'pgcopydb'}",
        f"--table-jobs={JOBS}",
        f"--index-jobs={JOBS}",
        "--skip-vacuum",
        "--no-owner",
    ]
    return [[[*isolate, *clone]]]


def pgimport_default(engine: str) -> Engine:
    """Return pgimport with its default options, so with verification and ANALYZE."""
    return _pgimport_engine("pgimport", "pgimport", f"--engine={engine}")


def pgimport_unverified(engine: str) -> Engine:
    return _pgimport_engine("unverified", "pgimport, without verification", f"--engine={engine}", "--verify=none")


def pgimport_over_tls(engine: str) -> Engine:
    return _pgimport_engine("tls", "pgimport, TLS at both ends", f"--engine={engine}", sslmode="require")


STREAM = Engine(name="stream", title="`pg_dump -Fc` piped into `pg_restore`", build=_stream)
DIRECTORY = Engine(
    name="directory", title=f"`pg_dump -Fd -j{JOBS} -Z lz4`, then `pg_restore -j{JOBS}`", build=_directory
)
PGCOPYDB = Engine(name="pgcopydb", title="pgcopydb, without VACUUM", build=_pgcopydb)

"""The ways of copying that are compared: two servers and a database come in, the programs to run go out."""

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
    """From where to where, and with what."""

    source: PostgresServer
    target: PostgresServer
    database: str
    clients: Path  # of tests/bench/engines/debian_programs.py
    scratch: Path
    ours: Path = Path(sys.prefix) / "bin" / "pgimport"

    def client(self, name: str) -> Path:
        """Of the source's major, which is the target's too."""
        return self.clients / str(self.source.major) / "bin" / name

    @property
    def from_source(self) -> str:
        return (
            f"host={self.source.host} port={self.source.port} user={SUPERUSER} dbname={self.database} sslmode=disable"
        )

    @property
    def to_target(self) -> str:
        return f"host={self.target.host} port={self.target.port} user={SUPERUSER} dbname={COPY} sslmode=disable"

    def environment(self) -> Mapping[str, str]:
        """Passwords are in a file and in variables, so in no argument list."""
        passwords = self.clients / "passwords"
        passwords.touch(0o600)
        passwords.write_text(
            "".join(f"{one.host}:{one.port}:*:*:{one.superuser_password}\n" for one in (self.source, self.target))
        )
        return {
            "PATH": f"{self.client('pg_dump').parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.scratch), "TMPDIR": str(self.scratch), "LC_ALL": "C.UTF-8",
            "PGPASSFILE": str(passwords),
        }  # fmt: skip


class Before(Enum):
    """What an engine finds where it copies to."""

    EMPTY = "an empty database, made from template0"
    NOTHING = "nothing: it makes its database itself"
    KEPT = "what the engine before it left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way of copying, or a part of one."""

    name: str
    title: str
    build: Callable[[Route], Sequence[Pipeline]]
    environment: Callable[[Route], Mapping[str, str]] = Route.environment
    before: Before = Before.EMPTY
    prepare: Callable[[Route], None] | None = None  # not part of what is measured
    lacks: Collection[str] | None = ()  # of the content; None where it is not compared


def _urls(route: Route, sslmode: str) -> Mapping[str, str]:
    places = {"SOURCE": (route.source, SUPERUSER, route.database), "TARGET": (route.target, ADMIN, COPY)}
    return {
        f"PGIMPORT_{name}_URL": f"postgresql://{user}:{server.password_of(user)}@{server.host}:{server.port}/{dbname}"
        f"?sslmode={sslmode}"
        for name, (server, user, dbname) in places.items()
    }


def _ours(name: str, title: str, *options: str, sslmode: str = "disable") -> Engine:
    def build(route: Route) -> Sequence[Pipeline]:
        return [[[route.ours, "run", "--recreate", "--json", f"--jobs={JOBS}", *options]]]

    def environment(route: Route) -> Mapping[str, str]:
        return {**route.environment(), **_urls(route, sslmode), "PGIMPORT_CLIENTS": str(route.clients)}

    return Engine(name=name, title=title, build=build, environment=environment, before=Before.NOTHING)


def _stream(route: Route) -> Sequence[Pipeline]:
    dump: Command = [route.client("pg_dump"), "--format=custom", f"--dbname={route.from_source}"]
    restore: Command = [route.client("pg_restore"), "--no-owner", f"--dbname={route.to_target}"]
    return [[dump, restore]]


def _directory(route: Route) -> Sequence[Pipeline]:
    folder, jobs = route.scratch / "dump", f"--jobs={JOBS}"
    dump: Command = [route.client("pg_dump"), "--format=directory", jobs, "--compress=lz4", f"--file={folder}",
                     f"--dbname={route.from_source}"]  # fmt: skip
    restore: Command = [route.client("pg_restore"), "--no-owner", jobs, f"--dbname={route.to_target}", folder]
    return [[dump], [restore]]


def _pgcopydb(route: Route) -> Sequence[Pipeline]:
    """In namespaces of its own: what it leaves when it hangs, processes and System V queues, ends with them."""
    alone: Command = ["unshare", "--ipc", "--pid", "--fork", "--kill-child"]
    clone: Command = [
        route.clients / "pgcopydb", "clone", f"--source={route.from_source}", f"--target={route.to_target}",
        f"--dir={route.scratch / 'pgcopydb'}", f"--table-jobs={JOBS}", f"--index-jobs={JOBS}", "--skip-vacuum",
        "--no-owner",
    ]  # fmt: skip
    return [[[*alone, *clone]]]


def ours(engine: str) -> Engine:
    """As it comes: with its verification and ANALYZE."""
    return _ours("ours", "pgimport", f"--engine={engine}")


def ours_unverified(engine: str) -> Engine:
    return _ours("unverified", "pgimport, without verification", f"--engine={engine}", "--verify=none")


def ours_by_tls(engine: str) -> Engine:
    return _ours("tls", "pgimport, TLS at both ends", f"--engine={engine}", sslmode="require")


STREAM = Engine(name="stream", title="`pg_dump -Fc` piped into `pg_restore`", build=_stream)
DIRECTORY = Engine(
    name="directory", title=f"`pg_dump -Fd -j{JOBS} -Z lz4`, then `pg_restore -j{JOBS}`", build=_directory
)
PGCOPYDB = Engine(name="pgcopydb", title="pgcopydb, without VACUUM", build=_pgcopydb)

"""Engines and a route come in; they run in turn, round by round, and each copy is compared; what they took goes out."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql
from tests.bench.engines.content_hashes import Content, find_differences, read_content
from tests.bench.engines.copy_engines import COPY, Before, Engine, Route
from tests.bench.engines.pipelines import Taken, run_pipelines
from tests.cluster.commands import print_progress
from tests.support.postgres import PostgresServer

OWNER = f"{COPY}_owner"  # as `pgimport run` names it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What all engines of one part of the bench share."""

    source: PostgresServer
    target: PostgresServer
    clients: Path
    folder: Path
    ours: Path
    rounds: int
    patience_seconds: float


def run_rounds(place: Place, title: str, database: str, engines: Sequence[Engine]) -> dict[str, list[Taken]]:
    """A B C, A B C, …: a machine that slows down slows all of them down."""
    wanted = read_content(place.source, database)
    taken: dict[str, list[Taken]] = {engine.name: [] for engine in engines}
    for number in range(1, place.rounds + 1):
        for engine in engines:
            one = _run_engine(place, database, engine, wanted)
            taken[engine.name].append(one)
            cpu = " ".join(f"{role} {seconds:.1f}" for role, seconds in one.cpu.items())
            told = one.failure or f"{one.seconds:.1f} s (CPU: {cpu}), {one.memory_bytes / 2**20:.0f} MiB"
            print_progress(f"{title}, {number} of {place.rounds}, {engine.name}: {told}")
    clear_target(place.target)
    return taken


def _run_engine(place: Place, database: str, engine: Engine, wanted: Content) -> Taken:
    with _scratch(place.folder) as scratch:
        route = Route(
            source=place.source, target=place.target, database=database, clients=place.clients, scratch=scratch,
            ours=place.ours,
        )  # fmt: skip
        _prepare_target(place.target, engine.before)
        if engine.prepare is not None:
            engine.prepare(route)
        place.target.execute("CHECKPOINT")
        servers = {"source": place.source, "target": place.target}
        log = place.folder / "log"
        log.unlink(missing_ok=True)
        taken = run_pipelines(
            engine.build(route), engine.environment(route), servers, scratch, log, place.patience_seconds
        )
    if taken.failure is None and engine.lacks is not None:
        different = set(find_differences(wanted, read_content(place.target, COPY))) - set(engine.lacks)
        if different:
            return replace(taken, failure=f"not the same: {', '.join(sorted(different))}")
    return taken


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def _prepare_target(target: PostgresServer, before: Before) -> None:
    if before is not Before.KEPT:
        clear_target(target)
    if before is Before.EMPTY:
        target.execute(f"CREATE DATABASE {COPY} TEMPLATE template0")


def clear_target(target: PostgresServer) -> None:
    """Whatever the last engine left, half-finished shadows included."""
    kept = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
    with target.connect() as connection:
        for (name,) in connection.execute(kept).fetchall():
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(OWNER)))

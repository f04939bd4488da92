"""Runs the engines in turn, round by round, and compares each copy with its source."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import sql
from tests.bench.engines.content_hashes import ContentHashes, find_differences, read_content
from tests.bench.engines.copy_engines import COPY, Engine, Route, TargetState
from tests.bench.engines.pipelines import EngineRun, run_pipelines
from tests.cluster.commands import print_progress
from tests.support.postgres import PostgresServer

OWNER = f"{COPY}_owner"  # `pgimport run` names the owner like this


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSetup:
    """Servers, programs and limits that all engines of one part of the benchmark share."""

    source: PostgresServer
    target: PostgresServer
    clients: Path
    folder: Path
    pgimport: Path
    rounds: int
    run_timeout_seconds: float


def run_rounds(setup: RoundSetup, title: str, database: str, engines: Sequence[Engine]) -> dict[str, list[EngineRun]]:
    """Run A B C, A B C, and so on: if the machine slows down, it slows all engines down."""
    source_content = read_content(setup.source, database)
    runs: dict[str, list[EngineRun]] = {engine.name: [] for engine in engines}
    for number in range(1, setup.rounds + 1):
        for engine in engines:
            run = _run_engine(setup, database, engine, source_content)
            runs[engine.name].append(run)
            cpu = " ".join(f"{role} {seconds:.1f}" for role, seconds in run.cpu.items())
            outcome = run.failure or f"{run.seconds:.1f} s (CPU: {cpu}), {run.memory_bytes / 2**20:.0f} MiB"
            print_progress(f"{title}, {number} of {setup.rounds}, {engine.name}: {outcome}")
    clear_target(setup.target)
    return runs


def _run_engine(setup: RoundSetup, database: str, engine: Engine, source_content: ContentHashes) -> EngineRun:
    with _scratch_folder(setup.folder) as scratch:
        route = Route(
            source=setup.source,
            target=setup.target,
            database=database,
            clients=setup.clients,
            scratch=scratch,
            pgimport=setup.pgimport,
        )
        _prepare_target(setup.target, engine.target_state)
        if engine.prepare is not None:
            engine.prepare(route)
        setup.target.execute("CHECKPOINT")
        servers = {"source": setup.source, "target": setup.target}
        log = setup.folder / "log"
        log.unlink(missing_ok=True)
        run = run_pipelines(
            engine.build(route), engine.environment(route), servers, scratch, log, setup.run_timeout_seconds
        )
    if run.failure is None and engine.not_copied is not None:
        differences = set(find_differences(source_content, read_content(setup.target, COPY))) - set(engine.not_copied)
        if differences:
            return replace(run, failure=f"the copy differs from the source: {', '.join(sorted(differences))}")
    return run


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def _prepare_target(target: PostgresServer, state: TargetState) -> None:
    if state is not TargetState.UNCHANGED:
        clear_target(target)
    if state is TargetState.EMPTY:
        target.execute(f"CREATE DATABASE {COPY} TEMPLATE template0")


def clear_target(target: PostgresServer) -> None:
    """Drop every database that the previous engine created, unfinished shadows included."""
    statement = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
    with target.connect() as connection:
        for (name,) in connection.execute(statement).fetchall():
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(OWNER)))

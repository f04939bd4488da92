"""A plan comes in; servers start, databases are made, engines run; all that was taken goes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.engines import copy_engines as ways
from tests.bench.engines.copy_engines import DIRECTORY, PGCOPYDB, STREAM, Engine
from tests.bench.engines.engine_rounds import Place, run_rounds
from tests.bench.engines.floor_engines import COPY_FLOOR, POST_DATA_FLOOR
from tests.bench.engines.pipelines import Taken
from tests.bench.engines.sample_databases import (
    BIG,
    EMPTY,
    MID,
    OBJECTS,
    SMALL,
    Database,
    Size,
    database_bytes,
    fill_database,
)
from tests.cluster.commands import print_progress
from tests.cluster.debian_postgres import server_tree
from tests.network_simulator.link import Link, Probed, open_link, probe
from tests.network_simulator.shaping import Passed
from tests.support.postgres import LOOPBACK, PostgresServer, Programs, run_postgres, tree_programs

PARTS = ("loopback", "fast", "slow", "small", "objects", "18")
SLOW, FAST = 100e6, 1e9  # bits a second
AT_FAST = "20 ms, 1000 Mbit/s"
# All that makes a write safe is on, as it comes; only the cache is larger than PostgreSQL's own default.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and which program is ours."""

    size: Size
    rounds: int
    patience_seconds: float  # for one run
    shared_buffers: str
    ours: Path
    engine: str = "relay"
    parts: Sequence[str] = PARTS


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the report: engines on one database, over one line."""

    name: str
    title: str
    database_bytes: int
    taken: Mapping[str, list[Taken]]
    titles: Mapping[str, str]
    bits_per_second: float | None = None  # where the line is the subject


@dataclass(slots=True)
class Found:
    """Everything that was measured."""

    parts: dict[str, Part] = field(default_factory=dict)
    probes: dict[float, Probed] = field(default_factory=dict)
    record: list[Passed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stage:
    """Two servers, and what fills the source."""

    plan: Plan
    place: Place
    found: Found
    enter: Sequence[str]  # where the source is

    def run(
        self, name: str, title: str, database: Database, engines: Sequence[Engine], rate: float | None = None
    ) -> None:
        source = self.place.source
        known = {row[0] for row in source.query("SELECT datname FROM pg_database")}
        if database.name not in known:
            print_progress(f"making {database.name}")
            fill_database(source, database, self.plan.size, self.enter)
        size = database_bytes(source, database.name)
        taken = run_rounds(self.place, name, database.name, engines)
        titles = {engine.name: engine.title for engine in engines}
        self.found.parts[name] = Part(name, title, size, taken, titles, rate)


def run_plan(plan: Plan, clients: Path, folder: Path) -> Found:
    found = Found()
    if "loopback" in plan.parts:
        with _stage(plan, 17, clients, folder, found) as stage:
            _run_loopback(stage)
    far = [one for one in plan.parts if one in _FAR]
    if far or "18" in plan.parts:
        with open_link(folder, FAST) as link:
            if far:
                with _stage(plan, 17, clients, folder, found, link) as stage:
                    for one in far:
                        _FAR[one](stage, link)
            if "18" in plan.parts:
                with _stage(plan, 18, clients, folder, found, link) as stage:
                    _run_small(stage, link)
            found.record = link.passed()
    return found


def _run_loopback(stage: _Stage) -> None:
    engine = stage.plan.engine
    mine = (ways.ours(engine), ways.ours_unverified(engine), ways.ours_by_tls(engine))
    engines = (*mine, STREAM, DIRECTORY, PGCOPYDB, COPY_FLOOR, POST_DATA_FLOOR)
    stage.run("big", "`big`, loopback", BIG, engines)


def _run_mid(stage: _Stage, link: Link, rate: float) -> None:
    link.set_rate(rate)
    probed = stage.found.probes[rate] = probe(stage.place.source, rate)
    told = f"{rate / 1e6:g} Mbit/s"
    print_progress(f"{told}: {probed.round_trip_milliseconds:.1f} ms, {probed.megabits_per_second:.0f} Mbit/s")
    if probed.megabits_per_second * 1e6 > rate:
        raise RuntimeError(f"the line carries more than {told}: nothing measured on it would mean anything")
    engines = (ways.ours(stage.plan.engine), STREAM, DIRECTORY, PGCOPYDB)
    stage.run(f"mid {rate / 1e6:g}", f"`mid`, 20 ms, {told}", MID, engines, rate)
    link.set_rate(FAST)


def _run_small(stage: _Stage, _: Link) -> None:
    major = stage.place.source.major
    engines = (ways.ours(stage.plan.engine), DIRECTORY)
    stage.run(f"small {major}", f"`small` from {major} to {major}, {AT_FAST}", SMALL, engines)


def _run_objects(stage: _Stage, _: Link) -> None:
    mine = (ways.ours(stage.plan.engine),)
    stage.run("objects", f"large objects alone, {AT_FAST}", OBJECTS, mine)
    stage.run("empty", f"an empty database, {AT_FAST}", EMPTY, mine)


_FAR: Mapping[str, Callable[[_Stage, Link], None]] = {
    "fast": lambda stage, link: _run_mid(stage, link, FAST),
    "slow": lambda stage, link: _run_mid(stage, link, SLOW),
    "small": _run_small,
    "objects": _run_objects,
}


@contextmanager
def _stage(
    plan: Plan, major: int, clients: Path, folder: Path, found: Found, link: Link | None = None
) -> Iterator[_Stage]:  # fmt: skip
    """Source and target of one major; with a link, the source is at its far end."""
    with (
        _run_server(plan, major, clients, link) as source,
        _run_server(plan, major, clients, None) as target,
    ):
        found.versions[f"PostgreSQL {major}"] = source.query("SHOW server_version")[0][0]
        place = Place(
            source=source, target=target, clients=clients, folder=folder, ours=plan.ours, rounds=plan.rounds,
            patience_seconds=plan.patience_seconds,
        )  # fmt: skip
        yield _Stage(plan, place, found, link.enter if link else ())


@contextmanager
def _run_server(plan: Plan, major: int, clients: Path, link: Link | None) -> Iterator[PostgresServer]:
    near = tree_programs(major, server_tree(major), clients)

    def enter(program: str, home: Path) -> list[str | Path]:
        return [*(link.enter if link else ()), *near.command(program, home)]

    programs = Programs(near.bin, enter, near.home, near.account)
    options = {**DURABLE, "shared_buffers": plan.shared_buffers}
    with run_postgres(major, programs, tls=True, host=link.far if link else LOOPBACK, **options) as server:
        yield server

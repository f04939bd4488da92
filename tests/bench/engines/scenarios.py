"""Starts servers, creates databases and runs the engines, part by part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench.engines.command_start import measure_help_cpu
from tests.bench.engines.copy_engines import (
    DIRECTORY,
    PGCOPYDB,
    STREAM,
    Engine,
    pgimport_default,
    pgimport_over_tls,
    pgimport_unverified,
)
from tests.bench.engines.engine_rounds import RoundSetup, run_rounds
from tests.bench.engines.floor_engines import COPY_FLOOR, POST_DATA_FLOOR
from tests.bench.engines.pipelines import EngineRun
from tests.bench.engines.sample_databases import (
    BIG,
    EMPTY,
    FEW,
    FEW_TABLES,
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

PARTS = ("loopback", "fast", "slow", "small", "objects", "startup", "18")
SLOW, FAST = 100e6, 1e9  # bits per second
FAST_LINK = "20 ms, 1000 Mbit/s"
STARTUP_ROUNDS = 5  # runs of a few seconds vary more than long ones
# These defaults make writes safe. Only the cache is larger than PostgreSQL's default.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and with which pgimport."""

    size: Size
    rounds: int
    run_timeout_seconds: float
    shared_buffers: str
    pgimport: Path
    engine: str = "relay"
    parts: Sequence[str] = PARTS


@dataclass(frozen=True, slots=True)
class Part:
    """One table of the report: several engines on one database, over one link."""

    name: str
    title: str
    database_bytes: int
    runs: Mapping[str, list[EngineRun]]
    titles: Mapping[str, str]
    bits_per_second: float | None = None  # set if the use of the link is reported


@dataclass(slots=True)
class BenchResults:
    """Everything that was measured."""

    parts: dict[str, Part] = field(default_factory=dict)
    help_cpu: list[float] = field(default_factory=list)  # seconds of `pgimport --help`
    probes: dict[float, Probed] = field(default_factory=dict)
    record: list[Passed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _ServerPair:
    """A source and a target of one major version, on which parts are measured."""

    plan: Plan
    setup: RoundSetup
    results: BenchResults
    enter: Sequence[str]  # command prefix that enters the source's network namespace

    def measure(
        self,
        name: str,
        title: str,
        database: Database,
        engines: Sequence[Engine],
        *,
        rate: float | None = None,
        rounds: int | None = None,
    ) -> None:
        source = self.setup.source
        existing = {row[0] for row in source.query("SELECT datname FROM pg_database")}
        if database.name not in existing:
            print_progress(f"creating the database {database.name}")
            fill_database(source, database, self.plan.size, self.enter)
        size = database_bytes(source, database.name)
        setup = replace(self.setup, rounds=rounds or self.setup.rounds)
        runs = run_rounds(setup, name, database.name, engines)
        titles = {engine.name: engine.title for engine in engines}
        self.results.parts[name] = Part(name, title, size, runs, titles, rate)


def run_plan(plan: Plan, clients: Path, folder: Path) -> BenchResults:
    """Measure the parts of the plan."""
    results = BenchResults()
    if "loopback" in plan.parts:
        with _run_servers(plan, 17, clients, folder, results) as servers:
            _measure_loopback(servers)
    remote = [part for part in plan.parts if part in _REMOTE_PARTS]
    if remote or "18" in plan.parts:
        with open_link(folder, FAST) as link:
            if remote:
                with _run_servers(plan, 17, clients, folder, results, link) as servers:
                    for part in remote:
                        _REMOTE_PARTS[part](servers, link)
            if "18" in plan.parts:
                with _run_servers(plan, 18, clients, folder, results, link) as servers:
                    _measure_small(servers, link)
            results.record = link.passed()
    return results


def _measure_loopback(servers: _ServerPair) -> None:
    engine = servers.plan.engine
    variants = (pgimport_default(engine), pgimport_unverified(engine), pgimport_over_tls(engine))
    engines = (*variants, STREAM, DIRECTORY, PGCOPYDB, COPY_FLOOR, POST_DATA_FLOOR)
    servers.measure("big", "`big`, loopback", BIG, engines)


def _measure_mid(servers: _ServerPair, link: Link, rate: float) -> None:
    link.set_rate(rate)
    probed = servers.results.probes[rate] = probe(servers.setup.source, rate)
    title = f"{rate / 1e6:g} Mbit/s"
    print_progress(f"{title}: {probed.round_trip_milliseconds:.1f} ms, {probed.megabits_per_second:.0f} Mbit/s")
    if probed.megabits_per_second * 1e6 > rate:
        raise RuntimeError(f"the simulated link carries more than {title}: figures measured on it would be wrong")
    engines = (pgimport_default(servers.plan.engine), STREAM, DIRECTORY, PGCOPYDB)
    servers.measure(f"mid {rate / 1e6:g}", f"`mid`, 20 ms, {title}", MID, engines, rate=rate)
    link.set_rate(FAST)


def _measure_small(servers: _ServerPair, _: Link) -> None:
    major = servers.setup.source.major
    engines = (pgimport_default(servers.plan.engine), DIRECTORY)
    servers.measure(f"small {major}", f"`small` from {major} to {major}, {FAST_LINK}", SMALL, engines)


def _measure_objects(servers: _ServerPair, _: Link) -> None:
    servers.measure("objects", f"large objects alone, {FAST_LINK}", OBJECTS, (pgimport_default(servers.plan.engine),))


def _measure_startup(servers: _ServerPair, _: Link) -> None:
    """Measure imports whose cost is nearly all start-up, and the start of the command line alone."""
    engines, rounds = (pgimport_default(servers.plan.engine), DIRECTORY), max(servers.setup.rounds, STARTUP_ROUNDS)
    servers.measure("empty", f"an empty database, {FAST_LINK}", EMPTY, engines, rounds=rounds)
    servers.measure("few", f"{FEW_TABLES} nearly empty tables, {FAST_LINK}", FEW, engines, rounds=rounds)
    servers.results.help_cpu = measure_help_cpu(servers.setup.pgimport)


_REMOTE_PARTS: Mapping[str, Callable[[_ServerPair, Link], None]] = {
    "fast": lambda servers, link: _measure_mid(servers, link, FAST),
    "slow": lambda servers, link: _measure_mid(servers, link, SLOW),
    "small": _measure_small,
    "objects": _measure_objects,
    "startup": _measure_startup,
}


@contextmanager
def _run_servers(
    plan: Plan, major: int, clients: Path, folder: Path, results: BenchResults, link: Link | None = None
) -> Iterator[_ServerPair]:
    """Run source and target of one major. With a link, the source is at its far end."""
    with (
        _run_server(plan, major, clients, folder, link) as source,
        _run_server(plan, major, clients, folder, None) as target,
    ):
        results.versions[f"PostgreSQL {major}"] = source.query("SHOW server_version")[0][0]
        setup = RoundSetup(
            source=source,
            target=target,
            clients=clients,
            folder=folder,
            pgimport=plan.pgimport,
            rounds=plan.rounds,
            run_timeout_seconds=plan.run_timeout_seconds,
        )
        yield _ServerPair(plan, setup, results, link.enter if link else ())


@contextmanager
def _run_server(plan: Plan, major: int, clients: Path, folder: Path, link: Link | None) -> Iterator[PostgresServer]:
    local = tree_programs(major, server_tree(major), clients)

    def enter(program: str, home: Path) -> list[str | Path]:
        return [*(link.enter if link else ()), *local.command(program, home)]

    programs = Programs(local.bin, enter, local.home, local.account)
    options = {**DURABLE, "shared_buffers": plan.shared_buffers}
    host = link.far if link else LOOPBACK
    with run_postgres(major, programs, tls=True, host=host, disk=folder, **options) as server:
        yield server

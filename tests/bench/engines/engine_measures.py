"""Turns the results of the engine benchmark into measures with goals. Pure."""

import statistics
from collections.abc import Callable, Sequence

from tests.bench.engines.pipelines import EngineRun
from tests.bench.engines.result_tables import build_detail
from tests.bench.engines.sample_databases import Size
from tests.bench.engines.scenarios import SLOW, BenchResults, Part
from tests.bench.engines.server_disk import DISK
from tests.bench.missed_goals import REASONS
from tests.bench.report import Measure, Report
from tests.network_simulator.shaping import share_of_rate

METHOD_BIG = """\
The median of the ratios of all rounds; both engines of a ratio ran within the same minutes. The figure of pgimport is
the whole of `pgimport run`, from the start of the program to the swap. It includes preflight, verification and ANALYZE,
which the other engines do not do. The other engines find an empty database; pgimport creates its own."""
METHOD_CPU = """\
CPU seconds of the program and all its children for each 10⁹ bytes of COPY text, median. The start of Python and pg_dump
are included. The floor's COPY counts the bytes."""
METHOD_SCRATCH = """\
The largest size of the program's folder, sampled four times a second, relative to the size of `big` on the source's
disk; median."""
METHOD_WIRE = """\
IP bytes that the link carried towards the client while `mid` was imported, relative to its rate; median. The first and
the last hundredth of a run's bytes do not count: they are the reading of the schema and the counting of rows."""
METHOD_SMALL = """\
The whole of `pgimport run` of nearly empty tables with an identity column and two indexes each; median. The source is
20 ms away, and pg_dump is of the source's major."""
METHOD_OBJECTS = """\
The whole of `pgimport run` of a database that holds large objects of some kilobytes and nothing else; median. The
source is 20 ms away. The table of the empty database shows how much of this is start-up."""
METHOD_EMPTY = """\
The whole of `pgimport run` of an empty database, median. The source is 20 ms away and the target is on this host. CPU
seconds are those of the command line, the worker and the PostgreSQL clients together."""
METHOD_HELP = """\
CPU seconds of `pgimport --help`, median of {runs} runs after one that is not counted."""


def successful_runs(part: Part, name: str) -> list[EngineRun]:
    return [run for run in part.runs[name] if run.failure is None]


def median_ratio(part: Part, name: str, others: Sequence[str]) -> float | None:
    """Return the median of the ratios of all rounds: seconds of one engine to the sum of the others' seconds.

    Returns None if no round has a successful run of all these engines.
    """
    rounds = zip(part.runs[name], *(part.runs[other] for other in others), strict=True)
    ratios = [
        run.seconds / sum(other.seconds for other in other_runs)
        for run, *other_runs in rounds
        if all(each.failure is None for each in (run, *other_runs))
    ]
    return statistics.median(ratios) if ratios else None


def median_of(part: Part, name: str, value: Callable[[EngineRun], float]) -> float | None:
    values = [value(run) for run in successful_runs(part, name)]
    return statistics.median(values) if values else None


def _seconds(run: EngineRun) -> float:
    return run.seconds


def _client_cpu(run: EngineRun) -> float:
    return run.cpu["client"]


def _build_measure(
    name: str, title: str, value: float | None, goal: float, unit: str, method: str, *, at_least: bool = False
) -> list[Measure]:
    """Return a list with one measure, or an empty one if there is no value. The tables then show the failures."""
    if value is None:
        return []
    return [
        Measure(
            name=name,
            title=title,
            value=round(value, 2),
            goal=goal,
            unit=unit,
            method=method,
            at_least=at_least,
            reason=REASONS.get(name, ""),
        )
    ]


def _build_big(part: Part) -> list[Measure]:
    measures = []
    for name, others, title, goal in (
        ("stream", ["stream"], "`pg_dump -Fc` piped into `pg_restore`", 0.6),
        ("floors", ["copy floor", "post-data floor"], "the floors of COPY and of post-data", 1.3),
        ("pgcopydb", ["pgcopydb"], "pgcopydb", 0.95),
        ("directory", ["directory"], "`pg_dump -Fd -j4 -Z lz4` and `pg_restore -j4`", 0.8),
    ):
        ratio = median_ratio(part, "pgimport", others)
        measures += _build_measure(
            f"engine_big_against_{name}", f"`big`, loopback, seconds against {title}", ratio, goal, "×", METHOD_BIG
        )
    return measures + _build_cost(part)


def _build_cost(part: Part) -> list[Measure]:
    measures = []
    copied_bytes = [int(run.lines[-1][1]) for run in successful_runs(part, "copy floor")]
    for name, suffix, title, goal in (("pgimport", "", "", 3.0), ("tls", "_tls", ", with TLS at both ends", 4.5)):
        seconds = median_of(part, name, _client_cpu)
        value = seconds / (copied_bytes[0] / 1e9) if seconds is not None and copied_bytes else None
        name = f"engine_client_cpu_per_gigabyte{suffix}"
        measures += _build_measure(name, f"Client CPU for a GB of COPY text{title}", value, goal, "s", METHOD_CPU)
    share = median_of(part, "pgimport", lambda run: 100 * run.scratch_bytes / part.database_bytes)
    title = "Scratch disk, of the database's size"
    return measures + _build_measure("engine_scratch_percent", title, share, 1.0, "%", METHOD_SCRATCH)


def _build_wire(results: BenchResults, part: Part) -> list[Measure]:
    def share(run: EngineRun) -> float:
        return 100 * share_of_rate(results.record, run.started_at, run.started_at + run.seconds, SLOW)

    value = median_of(part, "pgimport", share)
    title = "100 Mbit/s, 20 ms: bytes on the wire, of the link's rate, during copy"
    return _build_measure("engine_wire_percent", title, value, 95.0, "%", METHOD_WIRE, at_least=True)


def _build_small_18(part: Part, size: Size) -> list[Measure]:
    value = median_of(part, "pgimport", _seconds)
    title = f"{size.tables:,} tables at 20 ms, 18 to 18"
    return _build_measure("engine_small_18_seconds", title, value, 15.0, "s", METHOD_SMALL)


def _build_small_17(part: Part, size: Size) -> list[Measure]:
    value = median_ratio(part, "pgimport", ["directory"])
    title = f"{size.tables:,} tables at 20 ms, 17 to 17, against `pg_dump -Fd -j4 -Z lz4` and `pg_restore -j4`"
    return _build_measure("engine_small_17_against_directory", title, value, 0.85, "×", METHOD_SMALL)


def _build_objects(part: Part, size: Size) -> list[Measure]:
    value = median_of(part, "pgimport", _seconds)
    title = f"{size.large_objects:,} large objects at 20 ms"
    return _build_measure("engine_large_objects_seconds", title, value, 5.0, "s", METHOD_OBJECTS)


def _build_empty(part: Part) -> list[Measure]:
    cpu, seconds = median_of(part, "pgimport", _client_cpu), median_of(part, "pgimport", _seconds)
    title = "An empty database at 20 ms"
    return [
        *_build_measure("startup_empty_cpu_seconds", f"{title}, client CPU", cpu, 1.2, "s", METHOD_EMPTY),
        *_build_measure("startup_empty_seconds", f"{title}, wall time", seconds, 2.5, "s", METHOD_EMPTY),
    ]


def _build_help(help_cpu: Sequence[float]) -> list[Measure]:
    value = statistics.median(help_cpu) if help_cpu else None
    method = METHOD_HELP.format(runs=len(help_cpu))
    return _build_measure("startup_help_cpu_seconds", "`pgimport --help`, CPU", value, 0.2, "s", method)


def build_report(results: BenchResults, size: Size) -> Report:
    """Build the report: measures in the order of their goals, details in the order of their runs."""
    builders: dict[str, Callable[[Part], list[Measure]]] = {
        "big": _build_big,
        "mid 100": lambda part: _build_wire(results, part),
        "small 18": lambda part: _build_small_18(part, size),
        "small 17": lambda part: _build_small_17(part, size),
        "objects": lambda part: _build_objects(part, size),
        "empty": _build_empty,
    }
    measures = [
        measure for name, build in builders.items() if name in results.parts for measure in build(results.parts[name])
    ]
    return Report(
        measures=[*measures, *_build_help(results.help_cpu)],
        details=[build_detail(part, results.record) for part in results.parts.values()],
        facts=[
            *((f"{name} of the engines", version) for name, version in results.versions.items()),
            ("Disk of these servers", DISK),
            *(
                (
                    f"Link of {rate / 1e6:g} Mbit/s",
                    f"{probed.megabits_per_second:.0f} Mbit/s of payload in one COPY,"
                    f" {probed.round_trip_milliseconds:.1f} ms for `SELECT 1`",
                )
                for rate, probed in results.probes.items()
            ),
        ],
    )

"""All that was taken comes in; the measures with their goals go out. Pure."""

import statistics
from collections.abc import Callable, Sequence

from tests.bench.engines.pipelines import Taken
from tests.bench.engines.result_tables import build_detail
from tests.bench.engines.sample_databases import Size
from tests.bench.engines.scenarios import SLOW, Found, Part
from tests.bench.engines.server_disk import TOLD
from tests.bench.missed_goals import REASONS
from tests.bench.report import Measure, Report
from tests.network_simulator.shaping import share_of_rate

METHOD_BIG = """\
The median of the rounds' own ratios: both ran within the same minutes. Ours is the whole of `pgimport run`, from the
start of the program to the swap, with preflight, verification and ANALYZE, which none of the others does. The others
find an empty database; ours makes its own."""
METHOD_CPU = """\
Processor seconds of the program and all its children, Python's start and pg_dump included, for each 10⁹ bytes of COPY
text, as the floor's COPY counts them; median."""
METHOD_SCRATCH = """\
The largest size of the program's folder, looked at four times a second, against the size of `big` on the source's
disk; median."""
METHOD_WIRE = """\
IP bytes that the line carried towards the client while `mid` was imported, against its rate, from the first hundredth
of a run's bytes to the last: before it the schema is read, after it indexes are made; median."""
METHOD_SMALL = """\
The whole of `pgimport run` of nearly empty tables with an identity column and two indexes each, from a source 20 ms
away; pg_dump is of the source's major. Median."""
METHOD_OBJECTS = """\
The whole of `pgimport run` of a database that holds large objects of some kilobytes and nothing else, from a source
20 ms away; median. An empty database is among the tables below: what it takes is not the objects' fault."""


def passing(part: Part, name: str) -> list[Taken]:
    """Runs that went well."""
    return [one for one in part.taken[name] if one.failure is None]


def median_ratio(part: Part, name: str, others: Sequence[str]) -> float | None:
    """Of the seconds of one engine to the sum of the others', round by round; None where no round has them all."""
    rounds = zip(part.taken[name], *(part.taken[other] for other in others), strict=True)
    ratios = [
        one.seconds / sum(other.seconds for other in rest)
        for one, *rest in rounds
        if all(each.failure is None for each in (one, *rest))
    ]
    return statistics.median(ratios) if ratios else None


def median_of(part: Part, name: str, value: Callable[[Taken], float]) -> float | None:
    values = [value(one) for one in passing(part, name)]
    return statistics.median(values) if values else None


def _seconds(taken: Taken) -> float:
    return taken.seconds


def _measure(
    name: str, title: str, value: float | None, goal: float, unit: str, method: str, *, at_least: bool = False
) -> list[Measure]:
    """None where nothing was taken that it could be made of; the tables say what went wrong there."""
    if value is None:
        return []
    return [
        Measure(
            name=name, title=title, value=round(value, 2), goal=goal, unit=unit, method=method, at_least=at_least,
            reason=REASONS.get(name, ""),
        )
    ]  # fmt: skip


def _sum_big(part: Part) -> list[Measure]:
    measures = []
    for name, others, title, goal in (
        ("stream", ["stream"], "`pg_dump -Fc` piped into `pg_restore`", 0.6),
        ("floors", ["copy floor", "post-data floor"], "the floors of COPY and of post-data", 1.3),
        ("pgcopydb", ["pgcopydb"], "pgcopydb", 0.95),
        ("directory", ["directory"], "`pg_dump -Fd -j4 -Z lz4` and `pg_restore -j4`", 0.8),
    ):
        ratio = median_ratio(part, "ours", others)
        measures += _measure(
            f"engine_big_against_{name}", f"`big`, loopback, seconds against {title}", ratio, goal, "×", METHOD_BIG
        )
    return measures + _sum_cost(part)


def _sum_cost(part: Part) -> list[Measure]:
    measures = []
    counted = [int(one.lines[-1][1]) for one in passing(part, "copy floor")]
    for name, suffix, title, goal in (("ours", "", "", 3.0), ("tls", "_tls", ", with TLS at both ends", 4.5)):
        seconds = median_of(part, name, lambda one: one.cpu["client"])
        value = seconds / (counted[0] / 1e9) if seconds is not None and counted else None
        measures += _measure(
            f"engine_client_cpu_per_gigabyte{suffix}", f"Client CPU for a GB of COPY text{title}", value, goal, "s",
            METHOD_CPU,
        )  # fmt: skip
    share = median_of(part, "ours", lambda one: 100 * one.scratch_bytes / part.database_bytes)
    title = "Scratch disk, of the database's size"
    return measures + _measure("engine_scratch_percent", title, share, 1.0, "%", METHOD_SCRATCH)


def _sum_wire(found: Found, part: Part) -> list[Measure]:
    def share(one: Taken) -> float:
        return 100 * share_of_rate(found.record, one.begun, one.begun + one.seconds, SLOW)

    value = median_of(part, "ours", share)
    title = "100 Mbit/s, 20 ms: bytes on the wire, of the line's rate, during copy"
    return _measure("engine_wire_percent", title, value, 95.0, "%", METHOD_WIRE, at_least=True)


def _sum_small_18(part: Part, size: Size) -> list[Measure]:
    value = median_of(part, "ours", _seconds)
    title = f"{size.tables:,} tables at 20 ms, 18 to 18"
    return _measure("engine_small_18_seconds", title, value, 15.0, "s", METHOD_SMALL)


def _sum_small_17(part: Part, size: Size) -> list[Measure]:
    value = median_ratio(part, "ours", ["directory"])
    title = f"{size.tables:,} tables at 20 ms, 17 to 17, against `pg_dump -Fd -j4 -Z lz4` and `pg_restore -j4`"
    return _measure("engine_small_17_against_directory", title, value, 0.85, "×", METHOD_SMALL)


def _sum_objects(part: Part, size: Size) -> list[Measure]:
    value = median_of(part, "ours", _seconds)
    title = f"{size.large_objects:,} large objects at 20 ms"
    return _measure("engine_large_objects_seconds", title, value, 5.0, "s", METHOD_OBJECTS)


def build_report(found: Found, size: Size) -> Report:
    """Measures in the order of their goals; details in the order they were taken."""
    sums: dict[str, Callable[[Part], list[Measure]]] = {
        "big": _sum_big,
        "mid 100": lambda part: _sum_wire(found, part),
        "small 18": lambda part: _sum_small_18(part, size),
        "small 17": lambda part: _sum_small_17(part, size),
        "objects": lambda part: _sum_objects(part, size),
    }
    return Report(
        measures=[one for name, sum_up in sums.items() if name in found.parts for one in sum_up(found.parts[name])],
        details=[build_detail(part, found.record) for part in found.parts.values()],
        facts=[
            *((f"{name} of the engines", version) for name, version in found.versions.items()),
            ("Disk of these servers", TOLD),
            *(
                (f"Link of {rate / 1e6:g} Mbit/s", f"{probed.megabits_per_second:.0f} Mbit/s of payload in one COPY,"
                 f" {probed.round_trip_milliseconds:.1f} ms for `SELECT 1`")
                for rate, probed in found.probes.items()
            ),
        ],
    )  # fmt: skip

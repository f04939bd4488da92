"""Turns the runs of one part of the benchmark into its tables and its plot. Pure."""

import json
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

from tests.bench.engines.bar_chart import FLOOR_COLOR, OTHER_COLOR, PGIMPORT_COLOR, Bar, build_bars
from tests.bench.engines.pipelines import EngineRun
from tests.bench.engines.scenarios import Part
from tests.bench.report import Detail
from tests.network_simulator.shaping import Passed, share_of_rate
from tests.support.markdown import Rows

COLORS = {
    "pgimport": PGIMPORT_COLOR,
    "unverified": PGIMPORT_COLOR,
    "tls": PGIMPORT_COLOR,
    "copy floor": FLOOR_COLOR,
    "post-data floor": FLOOR_COLOR,
}
HEAD = ("engine", "median, s", "min", "max", "CPU s: source", "target", "client", "memory, MiB", "scratch, MB")
LINK_USE = "link in use"
MAX_FAILURE_LENGTH = 160  # characters
FIRST_STEP, LAST_STEP = "start and preflight", "swap and end"


def build_detail(part: Part, record: Sequence[Passed]) -> Detail:
    """Build the table of a part, a row for each engine, and its plot."""
    rate = part.bits_per_second
    rows: Rows = [(*HEAD, LINK_USE) if rate else HEAD]
    for name, title in part.titles.items():
        successful = [run for run in part.runs[name] if run.failure is None]
        rows.append(_build_row(title, successful, _link_shares(successful, record, rate) if rate else []))
        failures = [run.failure for run in part.runs[name] if run.failure is not None]
        if failures:
            rows.append((f"{title}: {len(failures)} of {len(part.runs[name])} failed: {_shorten(failures[0])}",))
    return Detail(
        title=part.title,
        text=_describe(part),
        rows=rows,
        plot=build_bars(part.title.replace("`", ""), "seconds", bars) if (bars := _build_bars(part)) else "",
        plot_name=part.name.replace(" ", "-"),
    )


def _build_row(title: str, runs: Sequence[EngineRun], shares: Sequence[float]) -> tuple[str, ...]:
    def median(value: Callable[[EngineRun], float]) -> str:
        return f"{statistics.median(map(value, runs)):.1f}"

    if not runs:
        return (title, *("–" for _ in HEAD[1:]))
    seconds = [run.seconds for run in runs]
    return (
        title,
        median(lambda run: run.seconds),
        f"{min(seconds):.1f}",
        f"{max(seconds):.1f}",
        median(lambda run: run.cpu["source"]),
        median(lambda run: run.cpu["target"]),
        median(lambda run: run.cpu["client"]),
        f"{max(run.memory_bytes for run in runs) / 2**20:.0f}",
        f"{max(run.scratch_bytes for run in runs) / 1e6:.1f}",
        *([f"{100 * statistics.median(shares):.0f} %"] if shares else []),
    )


def _link_shares(runs: Sequence[EngineRun], record: Sequence[Passed], rate: float) -> list[float]:
    return [share_of_rate(record, run.started_at, run.started_at + run.seconds, rate) for run in runs]


def _shorten(failure: str) -> str:
    return " ".join(failure.split())[:MAX_FAILURE_LENGTH].replace("|", "\\|")


def _build_bars(part: Part) -> list[Bar]:
    bars = []
    for name, title in part.titles.items():
        seconds = [run.seconds for run in part.runs[name] if run.failure is None]
        if seconds:
            label, color = title.replace("`", ""), COLORS.get(name, OTHER_COLOR)
            bars.append(Bar(label, statistics.median(seconds), min(seconds), max(seconds), color))
    return bars


def _describe(part: Part) -> str:
    size = f"{part.database_bytes / 1e6:,.0f} MB on the source's disk."
    steps = median_steps(part.runs["pgimport"])
    if not steps:
        return size
    seconds_of_steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.items())
    samples = (run.waits for run in part.runs["pgimport"] if run.failure is None and run.waits is not None)
    events = next(samples, None)
    waits = f" Wait events of the target: {events.in_words()}." if events is not None else ""
    return f"{size} Median seconds of each step of pgimport: {seconds_of_steps}.{waits}"


def step_seconds(run: EngineRun) -> dict[str, float]:
    """Return the seconds of each phase in the progress lines, and of the time before the first and after the last."""
    starts = [(run.started_at, FIRST_STEP)]
    for at, line in run.lines:
        event = json.loads(line)
        if "progress" in event and event["progress"]["phase"] != starts[-1][1]:
            starts.append((at, event["progress"]["phase"]))
        elif "result" in event.get("log", {}) and len(starts) > 1:
            starts.append((at, LAST_STEP))
    starts.append((run.started_at + run.seconds, ""))
    steps: dict[str, float] = {}
    for (start, name), (end, _) in pairwise(starts):
        steps[name] = steps.get(name, 0.0) + end - start
    return steps


def median_steps(runs: Sequence[EngineRun]) -> dict[str, float]:
    """Return the median seconds of each step over the successful runs."""
    each = [step_seconds(run) for run in runs if run.failure is None]
    names = dict.fromkeys(name for steps in each for name in steps)
    return {name: statistics.median(steps.get(name, 0.0) for steps in each) for name in names}

"""One part of the bench comes in; its tables and its plot go out. Pure."""

import json
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

from tests.bench.engines.bar_chart import FLOOR, OTHER, OURS, Bar, build_bars
from tests.bench.engines.pipelines import Taken
from tests.bench.engines.scenarios import Part
from tests.bench.report import Detail
from tests.network_simulator.shaping import Passed, share_of_rate
from tests.support.markdown import Rows

COLORS = {"ours": OURS, "unverified": OURS, "tls": OURS, "copy floor": FLOOR, "post-data floor": FLOOR}
HEAD = ("engine", "median, s", "min", "max", "CPU s: source", "target", "client", "memory, MiB", "scratch, MB")
ON_WIRE = "line in use"
TOLD = 160  # characters of a failure
BEFORE, AFTER = "start and preflight", "swap and end"


def build_detail(part: Part, record: Sequence[Passed]) -> Detail:
    rate = part.bits_per_second
    rows: Rows = [(*HEAD, ON_WIRE) if rate else HEAD]
    for name, title in part.titles.items():
        good = [one for one in part.taken[name] if one.failure is None]
        rows.append(_row(title, good, _shares(good, record, rate) if rate else []))
        failures = [one.failure for one in part.taken[name] if one.failure is not None]
        if failures:
            rows.append((f"{title}: {len(failures)} of {len(part.taken[name])} failed: {_shorten(failures[0])}",))
    return Detail(
        title=part.title,
        text=_describe(part),
        rows=rows,
        plot=build_bars(part.title.replace("`", ""), "seconds", bars) if (bars := _bars(part)) else "",
        plot_name=part.name.replace(" ", "-"),
    )


def _row(title: str, good: Sequence[Taken], shares: Sequence[float]) -> tuple[str, ...]:
    def median(value: Callable[[Taken], float]) -> str:
        return f"{statistics.median(map(value, good)):.1f}"

    if not good:
        return (title, *("–" for _ in HEAD[1:]))
    seconds = [one.seconds for one in good]
    return (
        title,
        median(lambda one: one.seconds),
        f"{min(seconds):.1f}",
        f"{max(seconds):.1f}",
        median(lambda one: one.cpu["source"]),
        median(lambda one: one.cpu["target"]),
        median(lambda one: one.cpu["client"]),
        f"{max(one.memory_bytes for one in good) / 2**20:.0f}",
        f"{max(one.scratch_bytes for one in good) / 1e6:.1f}",
        *([f"{100 * statistics.median(shares):.0f} %"] if shares else []),
    )


def _shares(good: Sequence[Taken], record: Sequence[Passed], rate: float) -> list[float]:
    return [share_of_rate(record, one.begun, one.begun + one.seconds, rate) for one in good]


def _shorten(failure: str) -> str:
    return " ".join(failure.split())[:TOLD].replace("|", "\\|")


def _bars(part: Part) -> list[Bar]:
    bars = []
    for name, title in part.titles.items():
        seconds = [one.seconds for one in part.taken[name] if one.failure is None]
        if seconds:
            label = title.replace("`", "")
            bars.append(Bar(label, statistics.median(seconds), min(seconds), max(seconds), COLORS.get(name, OTHER)))
    return bars


def _describe(part: Part) -> str:
    size = f"{part.database_bytes / 1e6:,.0f} MB on the source's disk."
    steps = median_steps(part.taken["ours"])
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps.items())
    if not steps:
        return size
    seen = next((one.waits for one in part.taken["ours"] if one.failure is None and one.waits is not None), None)
    waits = f" What the target did meanwhile: {seen.in_words()}." if seen is not None else ""
    return f"{size} Where pgimport's seconds go (medians): {told}.{waits}"


def steps_of(taken: Taken) -> dict[str, float]:
    """Seconds of each phase that the import told of, and of what is before the first and after the last one."""
    marks = [(taken.begun, BEFORE)]
    for at, line in taken.lines:
        told = json.loads(line)
        if "progress" in told and told["progress"]["phase"] != marks[-1][1]:
            marks.append((at, told["progress"]["phase"]))
        elif "result" in told.get("log", {}) and len(marks) > 1:
            marks.append((at, AFTER))
    marks.append((taken.begun + taken.seconds, ""))
    steps: dict[str, float] = {}
    for (begin, name), (end, _) in pairwise(marks):
        steps[name] = steps.get(name, 0.0) + end - begin
    return steps


def median_steps(taken: Sequence[Taken]) -> dict[str, float]:
    """Of the runs that went well."""
    each = [steps_of(one) for one in taken if one.failure is None]
    names = dict.fromkeys(name for steps in each for name in steps)
    return {name: statistics.median(steps.get(name, 0.0) for steps in each) for name in names}

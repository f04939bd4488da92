"""Plots as SVG shapes: progress and rate of an import, durations of imports, ages of golden data. Pure.

Each drawing has the size WIDTH × HEIGHT, and the browser stretches it. So texts are beside it, in HTML.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from pgimport.api.progress_history import ProgressSample
from pgimport.model.resources import ImportObject

WIDTH, HEIGHT, MAX_BARS = 600.0, 120.0, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a plot of durations."""

    x: float
    y: float
    width: float
    height: float
    name: str
    state: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationPlot:
    """Durations of the imports that ended last, oldest first."""

    bars: list[Bar]
    longest_seconds: float


def plot_durations(imports: Sequence[ImportObject]) -> DurationPlot | None:
    """Plots how long ended imports took, from start to end. `imports` are newest first. None: fewer than two."""
    ended = [
        (item.meta.name, status.state.value, (status.completed_at - status.started_at).total_seconds())
        for item in imports
        if (status := item.status).state is not None and status.completed_at and status.started_at
    ][:MAX_BARS][::-1]
    if len(ended) < 2:
        return None
    longest = max(max(seconds for _, _, seconds in ended), 1.0)
    step = WIDTH / max(len(ended), 20)
    bars = []
    for number, (name, state, seconds) in enumerate(ended):
        height = max(HEIGHT * seconds / longest, 2.0)
        bar = Bar(
            x=round(number * step, 1),
            y=round(HEIGHT - height, 1),
            width=round(0.8 * step, 1),
            height=round(height, 1),
            name=name,
            state=state,
            seconds=seconds,
        )
        bars.append(bar)
    return DurationPlot(bars=bars, longest_seconds=longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressPlot:
    """Progress and rate of one import over time."""

    progress_lines: list[str]  # points of a polyline for each attempt
    rate_lines: list[str]  # empty if no bytes were copied
    highest_rate: float  # bytes per second; the upper edge
    began_at: datetime
    seconds: float  # from the first sample to the last


def plot_progress(samples: Sequence[ProgressSample]) -> ProgressPlot | None:
    """Plots the samples of one import, oldest first. None: too few for a line."""
    seconds = samples[-1].at - samples[0].at if samples else 0.0
    if seconds <= 0:
        return None
    attempts = list(_split_attempts(samples))
    rates = [
        [(before, after, _measure_rate(before, after)) for before, after in pairwise(part) if after.at > before.at]
        for part in attempts
    ]
    highest = max((rate for part in rates for _, _, rate in part), default=0.0)

    def place(at: float, part: float) -> str:
        return f"{WIDTH * (at - samples[0].at) / seconds:.1f},{HEIGHT * (1 - part):.1f}"

    return ProgressPlot(
        progress_lines=[" ".join(place(item.at, item.percent / 100) for item in part) for part in attempts],
        rate_lines=[
            " ".join(
                f"{place(before.at, rate / highest)} {place(after.at, rate / highest)}" for before, after, rate in part
            )
            for part in rates
            if part and highest > 0
        ],
        highest_rate=highest,
        began_at=datetime.fromtimestamp(samples[0].at, UTC),
        seconds=seconds,
    )


def _split_attempts(samples: Sequence[ProgressSample]) -> Iterator[list[ProgressSample]]:
    """Yields the samples of each attempt. An attempt begins at 0 again."""
    part: list[ProgressSample] = []
    for sample in samples:
        if part and (sample.percent < part[-1].percent or sample.bytes_done < part[-1].bytes_done):
            yield part
            part = []
        part.append(sample)
    yield part


def _measure_rate(before: ProgressSample, after: ProgressSample) -> float:
    return (after.bytes_done - before.bytes_done) / (after.at - before.at)


def scale_ages(ages: Sequence[float | None]) -> list[float | None]:
    """Returns the length of a bar for each age, in percent of the oldest one."""
    oldest = max((age for age in ages if age is not None), default=0.0)
    return [None if age is None else round(100 * max(age, 0.0) / max(oldest, 1.0), 1) for age in ages]

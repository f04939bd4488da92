"""Builds the report: what the other tenant waited for, alone and beside the attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.markdown import Rows, format_table

FILE = Path(__file__).parent / "report.md"
MAX_RATIO = 2.0  # of the time alone
MAX_GROWTH = 20.0  # MiB


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds of each preview and of each import."""

    previews: Sequence[float]
    imports: Sequence[float]
    failures: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run measured."""

    alone: Timings
    attacked: Timings
    minutes: float
    memory_before: float  # MiB, of the operator
    memory_after: float
    played: Mapping[str, int]
    refused: Mapping[str, int]
    drops: Mapping[str, Sequence[float]]  # attack → seconds from the deletion of its preview to the end
    machine: Rows = field(default_factory=list)

    def find_broken(self) -> list[str]:
        """Returns a sentence for each promise that does not hold."""
        broken = [f"failed: {text}" for text in [*self.alone.failures, *self.attacked.failures]]
        for name, alone, attacked in self._pairs():
            if not attacked or sum(attacked) / len(attacked) > MAX_RATIO * sum(alone) / len(alone):
                broken.append(f"{name} took {_mean(attacked)}, and {_mean(alone)} alone")
        growth = self.memory_after - self.memory_before
        if growth > MAX_GROWTH:
            broken.append(f"the operator's memory grew by {growth:.1f} MiB")
        return broken

    def _pairs(self) -> list[tuple[str, Sequence[float], Sequence[float]]]:
        return [
            ("previews", self.alone.previews, self.attacked.previews),
            ("imports", self.alone.imports, self.attacked.imports),
        ]

    def format_report(self) -> str:
        """Returns the report as Markdown."""
        broken = self.find_broken()
        times: Rows = [("20 of each", "alone, mean", "slowest", "attacked, mean", "slowest")]
        for name, alone, attacked in self._pairs():
            times.append((name, _mean(alone), _slowest(alone), _mean(attacked), _slowest(attacked)))
        attacks: Rows = [("attack", "played", "refused", "its preview was gone after, mean", "slowest")]
        for name in sorted({*self.played, *self.refused}):
            drops = self.drops.get(name, ())
            counts = str(self.played.get(name, 0)), str(self.refused.get(name, 0))
            attacks.append((name, *counts, _mean(drops), _slowest(drops)))
        return "\n".join(
            [
                "# Attacks of one tenant on another",
                "",
                f"One tenant ran all attacks for {self.minutes:g} minutes. `make attacks` writes this page.",
                "",
                f"**{'Holds.' if not broken else 'Does not hold: ' + '; '.join(broken)}**",
                "",
                *format_table(times),
                "",
                f"The operator's memory was {self.memory_before:.1f} MiB before and {self.memory_after:.1f} MiB after.",
                "",
                *format_table(attacks),
                "",
                *format_table([("machine", ""), *self.machine]),
                "",
            ]
        )


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.2f} s" if values else "-"


def _slowest(values: Sequence[float]) -> str:
    return f"{max(values):.2f} s" if values else "-"

"""Writes the measures into report.md for people and report.json for programs."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.support.markdown import Rows, format_table

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure and its goal, an upper or a lower bound."""

    name: str
    title: str
    value: float
    goal: float
    unit: str
    method: str
    at_least: bool = False
    rows: Rows = field(default_factory=list)
    reason: str = ""  # shown if the goal is missed

    @property
    def holds(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def goal_in_words(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.goal:g} {self.unit}"

    def in_words(self) -> str:
        verdict = "holds" if self.holds else "MISSED"
        return f"{self.title}: {self.value:g} {self.unit} (goal: {self.goal_in_words}; {verdict})"


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A table that several measures are computed from."""

    title: str
    text: str
    rows: Rows
    plot: str = ""  # an SVG
    plot_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that one run measured."""

    measures: list[Measure] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    facts: Rows = field(default_factory=list)  # of the machine and the programs


def _format_measure(measure: Measure) -> list[str]:
    verdict = "holds" if measure.holds else "**missed**"
    lines = [f"## {measure.title}", ""]
    lines += [f"{measure.value:g} {measure.unit}; goal: {measure.goal_in_words}: {verdict}.", ""]
    if measure.reason and not measure.holds:
        lines += [measure.reason, ""]
    return [*lines, measure.method, "", *([*format_table(measure.rows), ""] if measure.rows else [])]


def _format_detail(detail: Detail) -> list[str]:
    plot = [f"![{detail.title}](plots/{detail.plot_name}.svg)", ""] if detail.plot else []
    return [f"## {detail.title}", "", detail.text, "", *plot, *format_table(detail.rows), ""]


def format_report(report: Report, origin: str, title: str = "Benchmarks") -> str:
    """Format the report as Markdown. `origin` says which command wrote it, and when."""
    lines = [f"# {title}", "", origin, "", *format_table([("", ""), *report.facts]), ""]
    summary = [
        (
            measure.title,
            f"{measure.value:g} {measure.unit}",
            measure.goal_in_words,
            "yes" if measure.holds else "**no**",
        )
        for measure in report.measures
    ]
    lines += [*format_table([("measure", "value", "goal", "holds"), *summary]), ""]
    for measure in report.measures:
        lines += _format_measure(measure)
    for detail in report.details:
        lines += _format_detail(detail)
    return "\n".join(lines).rstrip() + "\n"


def write_report(
    report: Report, folder: Path, *, quick: bool, title: str = "Benchmarks", command: str = "make bench"
) -> None:
    """Write the report in both formats, and its plots."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    origin = f"Written by `{command}` on {now}."
    if quick:
        origin = f"Written by `BENCH=quick {command}` on {now}: the databases are too small for meaningful figures."
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(format_report(report, origin, title), encoding="utf-8")
    for detail in report.details:
        if detail.plot:
            (folder / "plots" / f"{detail.plot_name}.svg").write_text(detail.plot, encoding="utf-8")
    figures = {
        measure.name: {"value": measure.value, "goal": measure.goal, "unit": measure.unit, "holds": measure.holds}
        for measure in report.measures
    }
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

"""Measures in; report.md for people and report.json for programs out, with the machine and the versions."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.support.markdown import Rows, format_table

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure and its goal: at most this much, or at least."""

    name: str
    title: str
    value: float
    goal: float
    unit: str
    method: str
    at_least: bool = False
    rows: Rows = field(default_factory=list)
    reason: str = ""  # why the goal is missed, where it is

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
    """What stands behind several measures."""

    title: str
    text: str
    rows: Rows
    plot: str = ""  # an SVG
    plot_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All of one run."""

    measures: list[Measure] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    facts: Rows = field(default_factory=list)  # of what was measured besides the cluster


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


def format_report(report: Report, how: str) -> str:
    """As Markdown; `how`: what wrote it, and when."""
    lines = ["# Benchmarks", "", how, "", *format_table([("", ""), *report.facts]), ""]
    summary = [
        (one.title, f"{one.value:g} {one.unit}", one.goal_in_words, "yes" if one.holds else "**no**")
        for one in report.measures
    ]
    lines += [*format_table([("measure", "value", "goal", "holds"), *summary]), ""]
    for measure in report.measures:
        lines += _format_measure(measure)
    for detail in report.details:
        lines += _format_detail(detail)
    return "\n".join(lines).rstrip() + "\n"


def write_report(report: Report, folder: Path, *, quick: bool) -> None:
    """The report in both forms, and its plots."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = f"Written by `make bench` on {now}."
    if quick:
        said = f"Written by `BENCH=quick make bench` on {now}: databases too small for figures to mean anything."
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(format_report(report, said), encoding="utf-8")
    for detail in report.details:
        if detail.plot:
            (folder / "plots" / f"{detail.plot_name}.svg").write_text(detail.plot, encoding="utf-8")
    figures = {
        one.name: {"value": one.value, "goal": one.goal, "unit": one.unit, "holds": one.holds}
        for one in report.measures
    }
    (folder / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

"""Measures in; report.md for people and report.json for programs out, with the machine and the versions."""

import json
import os
import platform
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.postgres import EMBEDDED
from tests.support import kubectl

import pgimport

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
    rows: list[tuple[str, ...]] = field(default_factory=list)  # a table; the first row is its head

    @property
    def holds(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def goal_in_words(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.goal:g} {self.unit}"

    def in_words(self) -> str:
        verdict = "holds" if self.holds else "MISSED"
        return f"{self.title}: {self.value:g} {self.unit} (goal: {self.goal_in_words}; {verdict})"


def describe_machine() -> list[tuple[str, str]]:
    """What figures depend on."""
    processor = re.search(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"(?m)^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    nodes = kubectl.list_objects("nodes")
    return [
        ("Machine", f"{os.cpu_count()} × {processor[1] if processor else platform.machine()}"),
        ("Memory", f"{int(memory[1]) / 1024**2:.1f} GiB" if memory else "?"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("Kubernetes", ", ".join(sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}))),
        (
            "Container runtime",
            ", ".join(sorted({node["status"]["nodeInfo"]["containerRuntimeVersion"] for node in nodes})),
        ),
        ("Target server", f"PostgreSQL {EMBEDDED.value('SHOW server_version')}"),
        ("pgimport", pgimport.__version__),
    ]


def format_table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of Markdown; the first row is the head."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def write_report(measures: list[Measure]) -> None:
    """Both files, beside this one."""
    machine = describe_machine()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = ["# Benchmarks", "", f"Written by `make bench` on {now}.", "", *format_table([("", ""), *machine]), ""]
    for measure in measures:
        verdict = "holds" if measure.holds else "**missed**"
        lines += [
            f"## {measure.title}",
            "",
            f"{measure.value:g} {measure.unit}; goal: {measure.goal_in_words}: {verdict}.",
            "",
        ]
        lines += [measure.method, "", *(format_table(measure.rows) if measure.rows else []), ""]
    (FOLDER / "report.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    figures = {
        one.name: {"value": one.value, "goal": one.goal, "unit": one.unit, "holds": one.holds} for one in measures
    }
    (FOLDER / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

"""Writes the results of the fault cells into report.md for people and report.json for programs."""

import json
import subprocess
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.cell_result import CellResult, PlayedCell
from tests.cluster.instance import REPOSITORY
from tests.support.markdown import Rows, format_table

FOLDER = Path(__file__).parent
METHOD = """\
A cell is one import with one fault, on a real cluster. The source has tables, rows, keys, indexes, a view, sequences
and a large object; the preview holds other content. The operator runs as a program that can be killed at any moment.
Proxies count its writes to the API server and to the target server, and observe the worker's connections.

A cell is kept if every promise was kept: The import reached a terminal state that fits the fault. The target held the
complete old or the complete new content whenever it was read (twice a second), and holds the right one at the end, by a
hash of its definitions, rows, positions and large objects. No database, role, Secret, running pod or claim is left."""

FIELDS = "fields"
KINDS = {
    "matrix": ("Fault × phase", "Something is killed, hangs, is silent or is full when a phase begins."),
    "dump": ("Fault × phase, engine dump", "The same faults with the engine `dump`, in the phases that differ."),
    "unobserved": ("Unobserved states", "The operator's watches lose, double or merge events, or are silent."),
    "twins": ("Two operators at once", "Two operators run three imports of one preview."),
    "stale": (
        "Stale views",
        "The operator is killed after its n-th write, or after all of them. For ten seconds its successor gets the"
        " answers from before that write.",
    ),
    "crash": (
        "A fault at every write",
        "The fault comes before a write, which is then never made, or after it, and then its answer is never received.",
    ),
    "copies": (
        "Copies of a golden preview",
        "The operator is killed before or after a write of a copy, or the golden preview is refreshed, deleted or"
        " emptied while copies are made.",
    ),
    FIELDS: (
        "Every field mutated",
        "Each field of the four kinds gets valid and invalid values, derived from its schema. An invalid value must be"
        " refused with a clear message; a valid one must lead to a stable state.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that report.md shows."""

    machine: Rows
    writes: int  # of an undisturbed import
    planned: int  # number of cells without those of the kind `fields`
    cells: Collection[PlayedCell]
    written_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def read_code() -> str:
    """Return the last commit that changed the product, with `+` if there are uncommitted changes."""
    product = ("operator", "crds", "charts")
    changes = _run_git("status", "--porcelain", "--", *product)
    return _run_git("log", "-1", "--format=%h", "--", *product) + ("+" if changes else "")


def _run_git(*arguments: str) -> str:
    process = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return process.stdout.strip()


def read_report(folder: Path = FOLDER) -> Report:
    """Read report.json; return an empty report if there is none."""
    path = folder / "report.json"
    if not path.exists():
        return Report(machine=[], writes=0, planned=0, cells=[])
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = [PlayedCell(cell=CellResult(**played.pop("cell")), **played) for played in content.pop("cells")]
    machine: Rows = [tuple(row) for row in content.pop("machine")]
    return Report(machine=machine, cells=cells, **content)


def write_report(report: Report, folder: Path = FOLDER) -> None:
    """Write both files."""
    (folder / "report.md").write_text(format_report(report), encoding="utf-8")
    content = asdict(report)
    for played in content["cells"]:
        played["cell"]["seconds"] = round(played["cell"]["seconds"], 1)
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def format_report(report: Report) -> str:
    """Format the report as Markdown."""
    played = sum(played.kind != FIELDS for played in report.cells)
    incomplete = "" if played == report.planned else f" Not all cells were played: {played} of {report.planned}."
    commits = Counter(played.code for played in report.cells)
    code = ("Code", ", ".join(f"{commit}: {count} cells" for commit, count in commits.items()))
    lines = [
        "# Chaos",
        "",
        f"Written by `make chaos` on {report.written_at}.",
        "",
        *format_table([("", ""), *report.machine, code]),
        "",
        METHOD,
        "",
        f"An undisturbed import makes {report.writes} writes.{incomplete}",
        "",
        *format_table([("", "cells", "kept", "median", "longest"), *_summarise(report.cells)]),
    ]
    for kind, (title, text) in KINDS.items():
        cells = [played.cell for played in report.cells if played.kind == kind]
        if cells:
            head = ("fault", "where", "end", "target", "seconds", "kept")
            lines += ["", f"## {title}", "", text, "", *format_table([head, *map(_build_row, cells)])]
    return "\n".join(lines) + "\n"


def _summarise(cells: Collection[PlayedCell]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for kind, (title, _) in KINDS.items():
        results = [played.cell for played in cells if played.kind == kind]
        if results:
            seconds = sorted(cell.seconds for cell in results)
            kept = sum(cell.kept for cell in results)
            median, longest = seconds[len(seconds) // 2], seconds[-1]
            rows.append((title, str(len(results)), str(kept), f"{median:.1f} s", f"{longest:.1f} s"))
    return rows


def _build_row(cell: CellResult) -> tuple[str, ...]:
    kept = "yes" if cell.kept else f"**no**: {cell.problem.replace('|', '/')}"
    return (cell.fault, cell.where, cell.state, cell.target, f"{cell.seconds:.1f}", kept)

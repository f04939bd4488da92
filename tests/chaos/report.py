"""Cells in; report.md for people and report.json for programs out."""

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.cell_result import Cell, Played
from tests.cluster.instance import REPOSITORY
from tests.support.markdown import Rows, format_table

FOLDER = Path(__file__).parent
METHOD = """\
A cell is one import of a database with tables, rows, keys, indexes, a view, sequences and a large object into a preview
that holds something else, on a real cluster, with one thing going wrong. The operator runs as a program that can be
killed at any moment; its writes to the API server and to the target server pass two proxies that count them, and so do
the worker's connections. Kept means: a terminal state was reached, and one that fits; the target held the old content
or the new one at every look (twice a second) and holds the one that fits at the end, by a hash of its
definitions, rows, positions and large objects; no database, role, Secret, running pod or claim of it is left."""

FIELDS = "fields"
KINDS = {
    "matrix": ("Fault × phase", "Something dies, hangs, falls silent or fills up, at the first sign of a phase."),
    "dump": ("Fault × phase, engine dump", "The same with the fallback, in the phases in which the engines differ."),
    "unobserved": ("Unobserved states", "The operator's watches lose, double or merge events, or fall silent."),
    "twins": ("Two operators at once", "Three imports of one preview, under two operators."),
    "stale": (
        "Stale views",
        "The operator dies after its n-th write, or after all of them, and its successor's questions are answered for"
        " ten seconds as they were answered before that write.",
    ),
    "crash": (
        "A fault at every write",
        "Before a write that is then never made, or after one whose answer is then never heard.",
    ),
    FIELDS: (
        "Every field mutated",
        "Each field of the three kinds is changed to something valid and to something invalid, taken from its schema:"
        " refused with a clear message, or converged.",
    ),
}


def read_code() -> str:
    """The commit that last changed what an import is made of; `+` where it was changed since."""
    product = ("operator", "crds", "charts")
    changed = _git("status", "--porcelain", "--", *product)
    return _git("log", "-1", "--format=%h", "--", *product) + ("+" if changed else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.strip()


def read_report() -> list[Played]:
    """What was played before; nothing where there is no report."""
    path = FOLDER / "report.json"
    if not path.exists():
        return []
    return [Played(cell=Cell(**one.pop("cell")), **one) for one in json.loads(path.read_text(encoding="utf-8"))]


def write_report(played: Collection[Played], writes: Sequence[str], planned: int, machine: Rows) -> None:
    """Both files, beside this one. `planned`: cells without those of the fields."""
    told = sum(one.kind != FIELDS for one in played)
    whole = "" if told == planned else f" It was ended early: {told} of {planned} cells were played."
    now = datetime.now(UTC).isoformat(timespec="seconds")
    codes = Counter(one.code for one in played)
    code = ("Code", ", ".join(f"{commit}: {count} cells" for commit, count in codes.items()))
    lines = [
        "# Chaos",
        "",
        f"Written by `make chaos` on {now}.",
        "",
        *format_table([("", ""), *machine, code]),
        "",
        METHOD,
        "",
        f"An undisturbed import makes {len(writes)} writes.{whole}",
        "",
        *format_table([("", "cells", "kept", "median", "longest"), *_summary(played)]),
    ]
    for kind, (title, what) in KINDS.items():
        cells = [one.cell for one in played if one.kind == kind]
        if cells:
            head = ("fault", "where", "end", "target", "seconds", "kept")
            lines += ["", f"## {title}", "", what, "", *format_table([head, *map(_row, cells)])]
    (FOLDER / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = [asdict(one) for one in played]
    for one in found:
        one["cell"]["seconds"] = round(one["cell"]["seconds"], 1)
    (FOLDER / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _summary(played: Collection[Played]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for kind, (title, _) in KINDS.items():
        cells = [one.cell for one in played if one.kind == kind]
        if cells:
            seconds = sorted(cell.seconds for cell in cells)
            kept = sum(cell.kept for cell in cells)
            middle, last = seconds[len(seconds) // 2], seconds[-1]
            rows.append((title, str(len(cells)), str(kept), f"{middle:.1f} s", f"{last:.1f} s"))
    return rows


def _row(cell: Cell) -> tuple[str, ...]:
    kept = "yes" if cell.kept else f"**no**: {cell.said.replace('|', '/')}"
    return (cell.fault, cell.place, cell.state, cell.target, f"{cell.seconds:.1f}", kept)

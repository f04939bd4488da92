"""Cells are played; the report is written. Exit code 1 where a promise was broken.

`python -m tests.chaos [WORD…]` plays those whose kind or title holds one of the words, and writes no report.
"""

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import crash, fields_stage, full
from tests.chaos.cell import Cell
from tests.chaos.fields import play_fields, sum_up
from tests.chaos.plan import Planned, plan_all
from tests.chaos.report import FIELDS, write_report
from tests.chaos.stage import DATABASE, Stage, open_stage
from tests.e2e.postgres import Source, start_source
from tests.support import kubectl

SOURCE_NAMESPACE = "chaos-source"
BATCH = 20  # previews that are made at once


@contextmanager
def _source() -> Iterator[Source]:
    kubectl.delete("namespace", SOURCE_NAMESPACE)
    databases = (DATABASE, full.DATABASE, fields_stage.DATABASE)
    try:
        yield start_source(SOURCE_NAMESPACE, secrets.token_urlsafe(24), databases=databases)
    finally:
        kubectl.delete("namespace", SOURCE_NAMESPACE)


def play_all(stage: Stage, planned: list[Planned], played: list[tuple[str, Cell]]) -> None:
    """Kind and cell of each into `played`, and told as they end."""
    for number, one in enumerate(planned):
        if number % BATCH == 0:
            batch = range(number, min(number + BATCH, len(planned)))
            stage.tenant.make_kept_previews(*(f"cell-{index}" for index in batch))
        cell = _play(stage, one, f"cell-{number}")
        played.append((one.kind, cell))
        verdict = f"{cell.state}, {cell.target}" if cell.kept else f"BROKEN: {cell.state}, {cell.target}: {cell.said}"
        print(
            f"{number + 1} of {len(planned)}: {cell.fault}: {cell.place}: {cell.seconds:.1f} s: {verdict}", flush=True
        )


def _play(stage: Stage, one: Planned, name: str) -> Cell:
    """A story that cannot be told to its end is a promise that was not shown to be kept."""
    try:
        return one.play(stage, name)
    except Exception as error:
        stage.operator.ensure()
        return Cell(one.title, "-", False, 0.0, said=f"the story broke off: {type(error).__name__}: {error}"[:600])


def main(words: list[str]) -> int:
    """Some ten seconds a cell."""
    played: list[tuple[str, Cell]] = []
    with _source() as source:
        with tempfile.TemporaryDirectory() as folder, open_stage(source, Path(folder)) as stage:
            writes = crash.record(stage)
            planned = [one for one in plan_all(writes) if one.is_meant(words)]
            try:
                play_all(stage, planned, played)
            except KeyboardInterrupt:
                print("interrupted: the report holds what was played", flush=True)
        # These leave the nodes and the chart's operator alone.
        if FIELDS in words or (not words and len(played) == len(planned)):
            played += [(FIELDS, cell) for cell in sum_up(play_fields(source))]
    if not words:
        write_report(played, writes, len(planned))
    broken = [cell for _, cell in played if not cell.kept]
    for cell in broken:
        print(f"BROKEN: {cell.fault}: {cell.place}: {cell.said}")
    print(f"{len(played)} cells, {len(broken)} broken" + ("" if words else ": tests/chaos/report.md"))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Cells are played; the report is written. Exit code 1 where a promise was broken.

`python -m tests.chaos [WORD…]` plays those whose kind or a part of whose title is one of the words, and writes no
report. `python -m tests.chaos --again` plays those that the report lacks or holds as broken, and puts them in; with
words it plays all of those, and puts them in.
"""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos import full_disk, write_faults
from tests.chaos.cell_plan import Planned, plan_all
from tests.chaos.cell_result import Cell, Played
from tests.chaos.chaos_environment import DATABASE, Stage, open_stage
from tests.chaos.fields import field_environment
from tests.chaos.fields.runner import play_fields, sum_up
from tests.chaos.report import FIELDS, read_code, read_report, write_report
from tests.cluster.instance import REPOSITORY
from tests.e2e.machine import describe_machine
from tests.e2e.postgres_pods import Source, start_source
from tests.support import kubectl

SOURCE_NAMESPACE = "chaos-source"
AGAIN = "--again"
LOGS = REPOSITORY / ".logs" / "chaos"  # of the operator under test
BATCH = 20  # previews that are made at once


@contextmanager
def _source() -> Iterator[Source]:
    kubectl.delete("namespace", SOURCE_NAMESPACE)
    databases = (DATABASE, full_disk.DATABASE, field_environment.DATABASE)
    try:
        yield start_source(SOURCE_NAMESPACE, secrets.token_urlsafe(24), databases=databases)
    finally:
        kubectl.delete("namespace", SOURCE_NAMESPACE)


def play_all(stage: Stage, planned: list[Planned], report: "_Report") -> None:
    for number, one in enumerate(planned):
        if number % BATCH == 0:
            batch = range(number, min(number + BATCH, len(planned)))
            stage.tenant.make_kept_previews(*(f"cell-{index}" for index in batch))
        cell = _play(stage, one, f"cell-{number}")
        report.tell(one.kind, one.title, cell)
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


class _Report:
    """Written after each cell, so that a run that breaks off has told what it saw."""

    def __init__(self, again: bool, words: list[str]) -> None:
        before = read_report() if again else []
        self._fields = [one.cell.kept for one in before if one.kind == FIELDS]
        self._cells = {one.key: one for one in before if one.cell.kept}
        self._again, self._words = again, words
        self._machine, self._code = describe_machine(), read_code()
        self._every: list[Planned] = []
        self._writes: list[str] = []
        self.played: list[Cell] = []

    @property
    def is_written(self) -> bool:
        return self._again or not self._words

    def choose(self, writes: list[str]) -> list[Planned]:
        """What is to be played: what was asked for by its words, else all that was not kept before."""
        self._writes, self._every = writes, plan_all(writes)
        return [one for one in self._every if one.is_meant(self._words) and (self._words or one.key not in self._cells)]

    def wants_fields(self) -> bool:
        return FIELDS in self._words or not (self._words or (self._fields and all(self._fields)))

    def tell(self, kind: str, title: str, cell: Cell) -> None:
        one = Played(kind, title, self._code, cell)
        self._cells[one.key] = one
        self.played.append(cell)
        if self.is_written:
            order = {one.key: place for place, one in enumerate(self._every)}
            known = [one for one in self._cells.values() if one.kind == FIELDS or one.key in order]
            known.sort(key=lambda one: order.get(one.key, len(order)))
            write_report(known, self._writes, len(order), self._machine)


def main(words: list[str], again: bool) -> int:
    """Some fifteen seconds a cell."""
    report = _Report(again, words)
    LOGS.mkdir(parents=True, exist_ok=True)
    with _source() as source:
        with open_stage(source, LOGS) as stage:
            planned = report.choose(write_faults.record(stage))
            try:
                play_all(stage, planned, report)
            except KeyboardInterrupt:
                print("interrupted: the report holds what was played", flush=True)
        # These leave the nodes and the chart's operator alone.
        if len(report.played) == len(planned) and report.wants_fields():
            for cell in sum_up(play_fields(source)):
                report.tell(FIELDS, cell.place, cell)
    broken = [cell for cell in report.played if not cell.kept]
    for cell in broken:
        print(f"BROKEN: {cell.fault}: {cell.place}: {cell.said}")
    told = ": tests/chaos/report.md" if report.is_written else ""
    print(f"{len(report.played)} cells, {len(broken)} broken{told}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main([word for word in sys.argv[1:] if word != AGAIN], again=AGAIN in sys.argv))

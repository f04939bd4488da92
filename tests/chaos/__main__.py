"""Plays fault cells against the cluster of `make up` and writes the report. Exits with 1 if a promise was broken."""

import argparse
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos import copy_faults, full_disk, write_faults
from tests.chaos.cell_plan import PlannedCell, plan_all
from tests.chaos.cell_result import CellResult, PlayedCell
from tests.chaos.chaos_environment import DATABASE, ChaosEnvironment, open_chaos_environment
from tests.chaos.fields import field_environment
from tests.chaos.fields.runner import play_field_changes, summarise
from tests.chaos.report import FIELDS, Report, read_code, read_report, write_report
from tests.cluster.instance import REPOSITORY
from tests.e2e.machine import describe_machine
from tests.e2e.postgres_pods import Source, start_source
from tests.support import kubectl

SOURCE_NAMESPACE = "chaos-source"
LOGS = REPOSITORY / ".logs" / "chaos"  # of the operator under test
PREVIEWS_AT_ONCE = 20
MAX_PROBLEM_LENGTH = 600  # characters
HELP_SELECTORS = """\
play only the cells of this kind, or with this fault, phase or title (kinds: matrix, dump, unobserved, twins, stale,
crash, copies, fields); the report is not written unless --again is given"""
HELP_AGAIN = """\
add to the existing report: play the cells that it lacks or that broke a promise, or those that the selectors name"""


@contextmanager
def _run_source() -> Iterator[Source]:
    kubectl.delete("namespace", SOURCE_NAMESPACE)
    databases = (DATABASE, full_disk.DATABASE, field_environment.DATABASE)
    try:
        yield start_source(SOURCE_NAMESPACE, secrets.token_urlsafe(24), databases=databases)
    finally:
        kubectl.delete("namespace", SOURCE_NAMESPACE)


def play_all(environment: ChaosEnvironment, plan: list[PlannedCell], recorder: "_Recorder") -> None:
    """Play the cells in order, each with a preview of its own, and record each result."""
    for number, planned in enumerate(plan):
        if number % PREVIEWS_AT_ONCE == 0:
            batch = range(number, min(number + PREVIEWS_AT_ONCE, len(plan)))
            environment.tenant.make_kept_previews(*(f"cell-{index}" for index in batch))
        cell = _play(environment, planned, f"cell-{number}")
        recorder.add(planned.kind, planned.title, cell)
        outcome = f"{cell.state}, {cell.target}"
        verdict = outcome if cell.kept else f"BROKEN: {outcome}: {cell.problem}"
        print(f"{number + 1} of {len(plan)}: {cell.fault}: {cell.where}: {cell.seconds:.1f} s: {verdict}", flush=True)


def _play(environment: ChaosEnvironment, planned: PlannedCell, name: str) -> CellResult:
    """Play one cell. An exception counts as a broken promise, because the cell did not show the opposite."""
    try:
        return planned.play(environment, name)
    except Exception as error:
        environment.operator.ensure()
        problem = f"the cell was not played to its end: {type(error).__name__}: {error}"
        return CellResult(planned.title, "-", False, 0.0, problem=problem[:MAX_PROBLEM_LENGTH])


class _Recorder:
    """Chooses the cells to play and writes the report after each, so that an interrupted run has a report too."""

    def __init__(self, again: bool, selectors: list[str]) -> None:
        previous = read_report().cells if again else []
        self._fields_kept = [played.cell.kept for played in previous if played.kind == FIELDS]
        self._cells = {played.key: played for played in previous if played.cell.kept}
        self._again, self._selectors = again, selectors
        self._machine, self._code = describe_machine(), read_code()
        self._plan: list[PlannedCell] = []
        self._writes = 0
        self.results: list[CellResult] = []

    @property
    def is_written(self) -> bool:
        return self._again or not self._selectors

    def choose(self, writes: list[str], copy_writes: list[str]) -> list[PlannedCell]:
        """Return the selected cells; without selectors, those that the report does not show as kept."""
        self._writes, self._plan = len(writes), plan_all(writes, copy_writes)
        selected = [planned for planned in self._plan if planned.matches(self._selectors)]
        return [planned for planned in selected if self._selectors or planned.key not in self._cells]

    def includes_fields(self) -> bool:
        return FIELDS in self._selectors or not (self._selectors or (self._fields_kept and all(self._fields_kept)))

    def add(self, kind: str, title: str, cell: CellResult) -> None:
        played = PlayedCell(kind, title, self._code, cell)
        self._cells[played.key] = played
        self.results.append(cell)
        if self.is_written:
            order = {planned.key: index for index, planned in enumerate(self._plan)}
            cells = [played for played in self._cells.values() if played.kind == FIELDS or played.key in order]
            cells.sort(key=lambda played: order.get(played.key, len(order)))
            write_report(Report(machine=self._machine, writes=self._writes, planned=len(order), cells=cells))


def main(selectors: list[str], again: bool) -> int:
    """Play the chosen cells; each takes about fifteen seconds."""
    recorder = _Recorder(again, selectors)
    LOGS.mkdir(parents=True, exist_ok=True)
    with _run_source() as source:
        with open_chaos_environment(source, LOGS) as environment:
            plan = recorder.choose(write_faults.record_writes(environment), copy_faults.record_writes(environment))
            try:
                play_all(environment, plan, recorder)
            except KeyboardInterrupt:
                print("interrupted: the report holds the cells that were played", flush=True)
        # The changes of fields use the chart's own operator.
        if len(recorder.results) == len(plan) and recorder.includes_fields():
            for cell in summarise(play_field_changes(source)):
                recorder.add(FIELDS, cell.where, cell)
    broken = [cell for cell in recorder.results if not cell.kept]
    for cell in broken:
        print(f"BROKEN: {cell.fault}: {cell.where}: {cell.problem}")
    report = "; report: tests/chaos/report.md" if recorder.is_written else ""
    print(f"{len(recorder.results)} cells, {len(broken)} broken{report}")
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("selectors", nargs="*", metavar="SELECTOR", help=HELP_SELECTORS)
    parser.add_argument("--again", action="store_true", help=HELP_AGAIN)
    options = parser.parse_args()
    sys.exit(main(options.selectors, options.again))

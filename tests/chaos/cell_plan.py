"""Lists all fault cells in the order in which they are played."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos import copy_faults, full_disk, operator_faults, phase_faults, worker_clock, write_faults
from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import ChaosEnvironment
from tests.chaos.watch_faults import WatchFault

WATCH_FAULTS = [watch_fault for watch_fault in WatchFault if watch_fault is not WatchFault.NONE]


@dataclass(frozen=True)
class PlannedCell:
    """A cell that is still to be played. `play` gets the environment and the name of the cell's preview."""

    kind: str
    title: str
    play: Callable[[ChaosEnvironment, str], CellResult]

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.title

    def matches(self, selectors: Sequence[str]) -> bool:
        """Return whether a selector is the kind, the title or a part of the title. Without selectors, all match."""
        names = (self.kind, self.title, *self.title.split(": "))
        return not selectors or any(selector in names for selector in selectors)


def plan_phase_faults() -> Iterator[PlannedCell]:
    for kind, cells in (("matrix", phase_faults.CELLS), ("dump", phase_faults.DUMP_CELLS)):
        for fault, phase in cells:
            play = partial(ChaosEnvironment.play, fault=fault, phase=phase)
            yield PlannedCell(kind, f"{fault.name}: {phase}", play)


def plan_write_faults(writes: Sequence[str]) -> Iterator[PlannedCell]:
    for fault, point in write_faults.list_cells(writes):
        title = f"{fault}: {point.side} {point.number}"
        yield PlannedCell("crash", title, partial(write_faults.play, fault=fault, point=point))


def plan_stale_views(writes: Sequence[str]) -> Iterator[PlannedCell]:
    numbers = operator_faults.find_api_writes(writes)
    for number in numbers:
        play = partial(operator_faults.play_stale_view, number=number)
        yield PlannedCell("stale", f"at the write: {number}", play)
    for index in range(0, len(numbers), 2):
        play = partial(operator_faults.play_stale_view_at_the_end, index=index)
        yield PlannedCell("stale", f"at the end: {index}", play)


def plan_others() -> Iterator[PlannedCell]:
    for watch_fault in WATCH_FAULTS:
        play = partial(operator_faults.play_watch_fault, watch_fault=watch_fault)
        yield PlannedCell("unobserved", watch_fault.value, play)
    for offset in worker_clock.OFFSETS:
        yield PlannedCell("matrix", f"worker's clock {offset}", partial(worker_clock.play, offset=offset))
    yield PlannedCell("matrix", "target's disk full", full_disk.play)
    yield PlannedCell("twins", "two operators", partial(operator_faults.play_two_operators, kills=False))
    yield PlannedCell("twins", "two operators, one killed", partial(operator_faults.play_two_operators, kills=True))


def plan_copy_faults(copy_writes: Sequence[str]) -> Iterator[PlannedCell]:
    for change in copy_faults.CHANGES:
        yield PlannedCell("copies", change.name, partial(copy_faults.play_change, change=change))
    for point in copy_faults.list_points(copy_writes):
        title = f"{copy_faults.KILLED}: {point.side} {point.number}"
        yield PlannedCell("copies", title, partial(copy_faults.play_kill, point=point))


def plan_all(writes: Sequence[str], copy_writes: Sequence[str]) -> list[PlannedCell]:
    """List all cells. `writes` are those of an undisturbed import, `copy_writes` those of a copy."""
    imports = [*plan_phase_faults(), *plan_others(), *plan_stale_views(writes), *plan_write_faults(writes)]
    return [*imports, *plan_copy_faults(copy_writes)]

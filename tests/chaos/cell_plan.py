"""All cells there are, each with the name of its preview, in the order in which they are played."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos import full_disk, operator_faults, phase_faults, worker_clock, write_faults
from tests.chaos.cell_result import Cell
from tests.chaos.chaos_environment import Stage
from tests.chaos.watch_faults import Hearing

HEARINGS = [how for how in Hearing if how is not Hearing.WELL]


@dataclass(frozen=True)
class Planned:
    """A cell that is still to be played."""

    kind: str
    title: str
    play: Callable[[Stage, str], Cell]

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.title

    def is_meant(self, words: Sequence[str]) -> bool:
        """By its kind, its title or a part of that; without words all are."""
        return not words or any(word in (self.kind, self.title, *self.title.split(": ")) for word in words)


def plan_matrix() -> Iterator[Planned]:
    for kind, cells in (("matrix", phase_faults.CELLS), ("dump", phase_faults.BY_DUMP)):
        for trouble, phase in cells:
            yield Planned(kind, f"{trouble.name}: {phase}", partial(Stage.play, trouble=trouble, phase=phase))


def plan_crashes(writes: Sequence[str]) -> Iterator[Planned]:
    for fault, point in write_faults.cells_of(writes):
        title = f"{fault}: {point.when} {point.number}"
        yield Planned("crash", title, partial(write_faults.play, fault=fault, point=point))


def plan_stale(writes: Sequence[str]) -> Iterator[Planned]:
    numbers = operator_faults.api_writes(writes)
    for number in numbers:
        yield Planned("stale", f"at the write: {number}", partial(operator_faults.play_stale, number=number))
    for place in range(0, len(numbers), 2):
        yield Planned("stale", f"at the end: {place}", partial(operator_faults.play_stale_at_the_end, place=place))


def plan_others() -> Iterator[Planned]:
    for how in HEARINGS:
        yield Planned("unobserved", how.value, partial(operator_faults.play_deaf, how=how))
    for offset in worker_clock.OFFSETS:
        yield Planned("matrix", f"worker's clock {offset}", partial(worker_clock.play_clock, offset=offset))
    yield Planned("matrix", "target's disk full", full_disk.play_full_target)
    yield Planned("twins", "two operators", partial(operator_faults.play_two_operators, kills=False))
    yield Planned("twins", "two operators, one killed", partial(operator_faults.play_two_operators, kills=True))


def plan_all(writes: Sequence[str]) -> list[Planned]:
    return [*plan_matrix(), *plan_others(), *plan_stale(writes), *plan_crashes(writes)]

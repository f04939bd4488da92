"""A fault at every effect: an import is run as often as it has writes, and at each of them something goes wrong.

Before a write that is never made, and after one whose answer is never heard (Sieve's intermediate states). The import
must end as the undisturbed one did: the same rows, nothing left over.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from tests.chaos.cell_result import Cell
from tests.chaos.chaos_environment import Stage
from tests.chaos.write_counter import Point, When
from tests.support import kubectl


class Fault(StrEnum):
    """What goes wrong."""

    OPERATOR_KILLED = "operator killed at a write"
    CONNECTION_CUT = "connection cut at a write"
    POD_KILLED = "pod deleted at a write"


# Whether a pod dies before or after a write of the operator is all the same, and what an operator makes of an answer
# that never came is what its successor makes of it: both are tried at some writes only.
_EVERY = {Fault.CONNECTION_CUT: 2, Fault.POD_KILLED: 4}

RECORDED = 3


def cells_of(writes: Sequence[str]) -> list[tuple[Fault, Point]]:
    """The operator dies on both sides of every write."""
    numbers = range(1, len(writes) + 1)
    kills = [(Fault.OPERATOR_KILLED, Point(number, when)) for number in numbers for when in When]
    others = [(fault, Point(number, When.AFTER)) for fault, step in _EVERY.items() for number in numbers[::step]]
    return [*kills, *others]


def record(stage: Stage) -> list[str]:
    """The writes of an undisturbed import: of a few, for one that is looked at less often writes its progress less."""
    names = [f"recorded-{number}" for number in range(RECORDED)]
    stage.tenant.make_kept_previews(*names)
    return min((_record(stage, name) for name in names), key=len)


def _record(stage: Stage, name: str) -> list[str]:
    stage.effects.begin()
    cell = stage.tell(name, "none", "-")
    assert cell.kept, cell.said
    return stage.effects.end()


def play(stage: Stage, name: str, fault: Fault, point: Point) -> Cell:
    """Into a preview that holds something else."""
    acts: dict[Fault, Callable[[], None]] = {
        Fault.OPERATOR_KILLED: lambda: _restart(stage),
        Fault.CONNECTION_CUT: lambda: None,
        Fault.POD_KILLED: lambda: _kill_pod(stage, name),
    }
    stage.effects.begin(point, acts[fault], cuts=fault is not Fault.POD_KILLED)
    cell = stage.tell(name, fault.value, "")
    struck = stage.effects.struck
    stage.effects.end()
    cell = replace(cell, place=f"{point.when} {point.number:02} {struck or '-'}")
    if struck is None and cell.kept:
        return replace(cell, kept=False, said="it had fewer writes than the recorded one: nothing went wrong")
    return cell


def _restart(stage: Stage) -> None:
    """Dead at once; the next one starts in a thread of its own, for the writer's connection waits for this."""
    stage.operator.kill()
    threading.Thread(target=stage.operator.ensure, daemon=True).start()


def _kill_pod(stage: Stage, name: str) -> None:
    """Of the import, without a word of warning; where there is none yet, nobody is killed."""

    def kill() -> None:
        uid = stage.tenant.get(name)["metadata"]["uid"]
        pods = [pod["metadata"]["name"] for pod in stage.tenant.pods(uid)]
        kubectl.delete("pods", *pods, namespace=stage.tenant.name, force=True)

    threading.Thread(target=kill, daemon=True).start()

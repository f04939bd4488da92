"""Lets something fail at every write of an import: the import runs as often as it has writes.

The fault comes before a write, which is then never made, or after it, and then its answer is never received (the
"intermediate states" of Sieve, OSDI '22). The import must end as an undisturbed one: with the same rows, nothing left.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import ChaosEnvironment
from tests.chaos.write_counter import Side, WritePoint
from tests.support import kubectl


class WriteFault(StrEnum):
    """What fails at a write."""

    OPERATOR_KILLED = "operator killed at a write"
    CONNECTION_CUT = "connection cut at a write"
    POD_KILLED = "pod deleted at a write"


# These faults are tried at every n-th write only. A pod does not see on which side of a write it dies, and an operator
# treats a missing answer as its successor does after a kill.
_STEPS = {WriteFault.CONNECTION_CUT: 2, WriteFault.POD_KILLED: 4}

RECORDED_IMPORTS = 3


def list_cells(writes: Sequence[str]) -> list[tuple[WriteFault, WritePoint]]:
    """List the cells: the operator is killed on both sides of every write."""
    numbers = range(1, len(writes) + 1)
    kills = [(WriteFault.OPERATOR_KILLED, WritePoint(number, side)) for number in numbers for side in Side]
    others = [(fault, WritePoint(number, Side.AFTER)) for fault, step in _STEPS.items() for number in numbers[::step]]
    return [*kills, *others]


def record_writes(environment: ChaosEnvironment) -> list[str]:
    """Return the names of the writes of an undisturbed import.

    The number of progress updates varies, so this runs several imports and takes the one with the fewest writes.
    """
    names = [f"recorded-{number}" for number in range(RECORDED_IMPORTS)]
    environment.tenant.make_kept_previews(*names)
    return min((_record(environment, name) for name in names), key=len)


def _record(environment: ChaosEnvironment, name: str) -> list[str]:
    environment.write_counter.begin()
    cell = environment.run_import(name, "none", "-")
    assert cell.kept, cell.problem
    return environment.write_counter.end()


def play(environment: ChaosEnvironment, name: str, fault: WriteFault, point: WritePoint) -> CellResult:
    """Run an import into a preview that holds other content, with a fault at one write."""
    actions: dict[WriteFault, Callable[[], None]] = {
        WriteFault.OPERATOR_KILLED: lambda: _restart_operator(environment),
        WriteFault.CONNECTION_CUT: lambda: None,
        WriteFault.POD_KILLED: lambda: _kill_pod(environment, name),
    }
    environment.write_counter.begin(point, actions[fault], cuts=fault is not WriteFault.POD_KILLED)
    cell = environment.run_import(name, fault.value, "")
    struck_write = environment.write_counter.struck_write
    environment.write_counter.end()
    cell = replace(cell, where=f"{point.side} {point.number:02} {struck_write or '-'}")
    if struck_write is None and cell.kept:
        return replace(cell, kept=False, problem="the import made fewer writes than the recorded one: no fault came")
    return cell


def _restart_operator(environment: ChaosEnvironment) -> None:
    """Kill the operator and start the next one in a thread, because the connection of the write waits for this."""
    environment.operator.kill()
    threading.Thread(target=environment.operator.ensure, daemon=True).start()


def _kill_pod(environment: ChaosEnvironment, name: str) -> None:
    """Delete the import's pods without grace period. Early in the import there may be none."""

    def kill() -> None:
        uid = environment.tenant.get(name)["metadata"]["uid"]
        pods = [pod["metadata"]["name"] for pod in environment.tenant.pods(uid)]
        kubectl.delete("pods", *pods, namespace=environment.tenant.name, force=True)

    threading.Thread(target=kill, daemon=True).start()

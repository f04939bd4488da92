"""Counts the operator's writes and triggers a fault at a chosen one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Whether a fault comes before or after a write."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class WritePoint:
    """The number of a write of the cell, from 1, and the side of it."""

    number: int
    side: Side


def _no_action() -> None:
    """Do nothing besides cutting the connection."""


class ConnectionCut(Exception):
    """The connection of the write must end: nothing is forwarded, and nothing is answered."""


class WriteCounter:
    """Counts writes between `begin` and `end`. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counting, self._cuts = False, False
        self._action: Callable[[], None] = _no_action
        self._point: WritePoint | None = None
        self.writes: list[str] = []
        self.struck_write: str | None = None  # the write at which the fault was triggered

    def begin(
        self, point: WritePoint | None = None, action: Callable[[], None] | None = None, cuts: bool = True
    ) -> None:
        """Start a cell. At `point`, run `action` and, if `cuts`, end the connection of the write."""
        with self._lock:
            self.writes, self.struck_write, self._point, self._counting = [], None, point, True
            self._action, self._cuts = action or _no_action, cuts

    def end(self) -> list[str]:
        """Stop counting; return the names of the writes."""
        with self._lock:
            self._counting = False
            return list(self.writes)

    @property
    def count(self) -> int:
        """Return the number of writes so far."""
        with self._lock:
            return len(self.writes)

    def before_write(self, name: str) -> int:
        """Count a write before it is forwarded. Returns its number, or 0 if it is not counted. Raises ConnectionCut."""
        with self._lock:
            if self.struck_write is not None or not self._counting:
                return 0
            self.writes.append(name)
            number = len(self.writes)
            self._strike_at(number, Side.BEFORE, name)
        return number

    def after_write(self, number: int, name: str) -> None:
        """Note that a write has been made, before its answer is forwarded. Raises ConnectionCut."""
        with self._lock:
            if number and self.struck_write is None:
                self._strike_at(number, Side.AFTER, name)

    def _strike_at(self, number: int, side: Side, name: str) -> None:
        if self._point == WritePoint(number, side):
            self.struck_write = name
            self._action()
            if self._cuts:
                raise ConnectionCut

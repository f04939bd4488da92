"""Every write of the operator passes here: it is counted, and at the one that is chosen something goes wrong."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class When(StrEnum):
    """On which side of a write."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Point:
    """The n-th write of a story, from 1, and the side of it."""

    number: int
    when: When


def _nothing() -> None:
    """Happens besides."""


class Cut(Exception):
    """The writer's connection ends here: nothing is passed on, and nothing is answered."""


class Effects:
    """Safe to share between threads. Nothing is counted outside of a story."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts, self._cuts = False, False
        self._strike: Callable[[], None] = _nothing
        self._point: Point | None = None
        self.seen: list[str] = []
        self.struck: str | None = None  # the write at which it happened

    def begin(self, point: Point | None = None, strike: Callable[[], None] | None = None, cuts: bool = True) -> None:
        """A story; without a point it is only recorded. `cuts`: the writer's connection ends too."""
        with self._lock:
            self.seen, self.struck, self._point, self._counts = [], None, point, True
            self._strike, self._cuts = strike or _nothing, cuts

    def end(self) -> list[str]:
        """What was written."""
        with self._lock:
            self._counts = False
            return list(self.seen)

    @property
    def count(self) -> int:
        """Writes so far."""
        with self._lock:
            return len(self.seen)

    def write(self, name: str) -> int:
        """Before it is passed on: its number, 0 where it is not counted. Raises Cut."""
        with self._lock:
            if self.struck is not None or not self._counts:
                return 0
            self.seen.append(name)
            number = len(self.seen)
            self._strike_at(number, When.BEFORE, name)
        return number

    def written(self, number: int, name: str) -> None:
        """Before its answer is passed on. Raises Cut."""
        with self._lock:
            if number and self.struck is None:
                self._strike_at(number, When.AFTER, name)

    def _strike_at(self, number: int, when: When, name: str) -> None:
        if self._point == Point(number, when):
            self.struck = name
            self._strike()
            if self._cuts:
                raise Cut

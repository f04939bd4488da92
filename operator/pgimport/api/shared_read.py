"""Reads a value that all requests need in a thread of its own, so that requests wait for a slow server only briefly."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_WAITING = 32  # requests that wait for a read; more must not occupy the threads of other requests
FAILURE_SECONDS = 1.0  # from a read that failed to the next one
ABANDON_SECONDS = 60.0  # after this time without a result, another read begins
NEVER = float("-inf")
ValueT = TypeVar("ValueT")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading(Generic[ValueT]):
    """A value, and the time at which its read began. Everything that was written before that time is in the value."""

    value: ValueT
    began_at: float = NEVER  # NEVER: the value that counts before the first read


class SharedRead(Generic[ValueT]):
    """Keeps the newest value. At most one read runs at a time, and only if a request needs it."""

    def __init__(
        self,
        what: str,
        read: Callable[[], ValueT],
        initial: ValueT,
        clock: Callable[[], float],
        interval: float = 0.0,
        wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`what` names the value in the log: `API keys`.

        `interval`: least number of seconds between the beginnings of two reads; `wait` waits for its rest.
        """
        self._what, self._read, self._clock = what, read, clock
        self._interval, self._wait = interval, wait
        self._reading, self._failed_at = Reading(initial), NEVER
        self._running_since, self._waiting = NEVER, 0  # NEVER: no read runs
        self._changed = threading.Condition()

    def refresh(self, earliest: float, patience: float) -> Reading[ValueT]:
        """Returns the newest value, after a new read if that value's read began before `earliest`.

        Returns an older value if the read fails, or takes longer than `patience` seconds, or if too many requests wait.
        """
        with self._changed:
            if self._reading.began_at >= earliest:
                return self._reading
            self._waiting += 1
            try:
                while self._reading.began_at < earliest and self._may_wait():
                    self._begin()
                    if not self._changed.wait(max(self._running_since + patience - self._clock(), 0.0)):
                        break
            finally:
                self._waiting -= 1
            return self._reading

    def _may_wait(self) -> bool:
        return self._waiting <= MAX_WAITING and self._clock() - self._failed_at >= FAILURE_SECONDS

    def _begin(self) -> None:
        """Starts a read, unless one runs."""
        now = self._clock()
        if now - self._running_since > ABANDON_SECONDS:
            self._running_since = now
            threading.Thread(target=self._run, args=(now,), name="shared-read", daemon=True).start()

    def _run(self, started_at: float) -> None:
        if (seconds := self._reading.began_at + self._interval - self._clock()) > 0:
            self._wait(seconds)
        began_at, reading = self._clock(), None
        try:
            reading = Reading(self._read(), began_at)
        except Exception as error:  # any error means the same: the value is unknown
            _log.warning("The %s cannot be read: %s: %s", self._what, type(error).__name__, error)
        with self._changed:
            if reading is None:
                self._failed_at = self._clock()
            elif began_at >= self._reading.began_at:
                self._reading, self._failed_at = reading, NEVER
            if self._running_since == started_at:  # else this read was abandoned
                self._running_since = NEVER
            self._changed.notify_all()

"""Servers that keep a caller waiting: a place goes in; whoever comes soon after is refused at once.

A server behind a black hole costs each look ten seconds. With a few imports on it all workers would wait for it, and
the imports of every other Project with them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason

# What is refused faster than this may be asked by everybody.
SLOW_SECONDS = 1.0
# For so long nobody asks again; then one does, for all.
REST_SECONDS = 10.0


@dataclass(slots=True)
class _Outage:
    failure: Failure
    until: float


class CircuitBreaker:
    """Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Outage] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connecting(self, place: str) -> Iterator[None]:
        """Around one connection. Raises ServerUnavailable, as the last one who waited for it did."""
        with self._lock:
            known, began = self._known.get(place), self._clock()
            if known is not None and began < known.until:
                raise ServerUnavailable(known.failure)
            if known is not None:  # this caller asks for all
                known.until = began + REST_SECONDS
        try:
            yield
        except ServerUnavailable as away:
            with self._lock:
                slow = self._clock() - began >= SLOW_SECONDS
                if slow and away.failure.reason is Reason.SERVER_UNREACHABLE:
                    self._known[place] = _Outage(away.failure, self._clock() + REST_SECONDS)
                else:
                    self._known.pop(place, None)
            raise
        with self._lock:
            self._known.pop(place, None)

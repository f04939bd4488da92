"""A work queue for keys: one worker a key, a delay on exceptions that doubles, and looks that come back by themselves.

An event that comes while its key is worked on leads to one more look afterwards; any number of events that come
before a look lead to one look.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pgimport.model.errors import Conflict, KubernetesUnavailable, StoreUnavailable
from pgimport.model.resources import ResourceKey

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.25  # seconds after the first exception
LAST_DELAY = 60.0  # seconds, however many exceptions in a row
CONFLICT_DELAY = 0.05  # the object has just changed: what is new is there already


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """Of one look: when to look again (None: on the next event), and whom it concerns besides."""

    requeue_after: timedelta | None = None
    wake: tuple[ResourceKey, ...] = ()


class WorkQueue:
    """Threads that call `work(key)`; `add` may be called from any thread."""

    def __init__(self, work: Callable[[ResourceKey], ReconcileResult], workers: int = 8) -> None:
        self._work = work
        self._due: list[tuple[float, int, ResourceKey]] = []
        self._when: dict[ResourceKey, float] = {}
        # Keys that are worked on, with the time at which they were asked for again meanwhile.
        self._busy: dict[ResourceKey, float | None] = {}
        self._failures: dict[ResourceKey, int] = {}
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True) for number in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Looks that have begun end; what is due later is left to the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def add(self, key: ResourceKey, after: float = 0.0) -> None:
        """At the earliest of all times that were asked for."""
        with self._changed:
            self._push(key, time.monotonic() + after)

    def _push(self, key: ResourceKey, at: float) -> None:
        if key in self._busy:
            before = self._busy[key]
            self._busy[key] = at if before is None else min(before, at)
        elif key not in self._when or at < self._when[key]:
            self._when[key] = at
            heapq.heappush(self._due, (at, next(self._order), key))
            self._changed.notify()

    def _take(self) -> ResourceKey | None:
        with self._changed:
            while not self._stopping:
                # An entry that an earlier time replaced is stale.
                while self._due and self._when.get(self._due[0][2]) != self._due[0][0]:
                    heapq.heappop(self._due)
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, key = heapq.heappop(self._due)
                    del self._when[key]
                    self._busy[key] = None
                    return key
                self._changed.wait(wait)
            return None

    def _run(self) -> None:
        while (key := self._take()) is not None:
            again = self._look(key)
            with self._changed:
                asked = self._busy.pop(key)
                if asked is not None:
                    self._push(key, asked)
                if again is not None:
                    self._push(key, time.monotonic() + again)

    def _look(self, key: ResourceKey) -> float | None:
        """Seconds until the next look, None where only an event should bring one."""
        try:
            outcome = self._work(key)
        except Conflict as conflict:
            logger.debug("%s changed meanwhile: %s", key, conflict)
            return self._delay(key, CONFLICT_DELAY)
        except (KubernetesUnavailable, StoreUnavailable) as away:
            logger.warning("%s: %s", key, away)
            return self._delay(key, FIRST_DELAY)
        except Exception:
            logger.exception("%s: unexpected", key)
            return self._delay(key, FIRST_DELAY)
        self._failures.pop(key, None)
        for other in outcome.wake:
            self.add(other)
        after = outcome.requeue_after
        return None if after is None else max(after.total_seconds(), 0.0)

    def _delay(self, key: ResourceKey, first: float) -> float:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        return min(first * 2.0 ** min(count, 20), LAST_DELAY)  # a float has no room for 2**1024

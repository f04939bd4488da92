"""A queue of keys to reconcile, like the rate-limited work queue of Kubernetes controllers.

A key has at most one worker at a time. Each Project may occupy only a limited number of workers, so that keys that
wait for a slow server delay no other Project. Any number of events before a reconcile lead to one reconcile. Events
during a reconcile lead to one more. An exception leads to another reconcile after a delay that doubles each time.
"""

import heapq
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pgimport.metrics.queue_metrics import Outcome, QueueMetrics
from pgimport.model.errors import Conflict, PgimportError, Unavailable
from pgimport.model.resources import ResourceKey

logger = logging.getLogger(__name__)

MOST_THREADS = 256  # of all Projects together; they wait for servers most of the time
FIRST_DELAY = 0.25  # seconds after the first exception
LAST_DELAY = 60.0  # seconds, however many exceptions in a row
LOUD = 5  # conflicts in a row that are logged as a warning: the object does not heal by itself
CONFLICT_DELAY = 0.05  # seconds after a conflict: the newer object can be read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """Tells the queue what to do after one reconcile."""

    requeue_after: timedelta | None = None  # None: not before the next event
    wake: tuple[ResourceKey, ...] = ()  # other keys to reconcile now


def find_tenant(key: ResourceKey) -> str:
    """Returns the name under which busy workers are counted: the namespace of a Project, or the Project itself."""
    return f"namespace {key.namespace}" if key.namespace else f"Project {key.name}"


class WorkQueue:
    """Threads that call `work(key)` for each key that is due. Any thread may call `add`."""

    def __init__(
        self,
        work: Callable[[ResourceKey], ReconcileResult],
        workers: int = 8,
        report: Callable[[ResourceKey, int, Exception], None] = lambda key, count, error: None,
        metrics: QueueMetrics | None = None,
    ) -> None:
        """`workers`: how many keys of one Project are reconciled at the same time.

        `report`: called with the number of exceptions in a row, after each of them.
        """
        self._work = work
        self._report = report
        self._metrics = metrics if metrics is not None else QueueMetrics()
        self._metrics.list_due = self.list_due
        self._workers_per_tenant = workers
        self._heap: list[tuple[float, int, ResourceKey]] = []  # (due time, tie breaker, key), by time.monotonic()
        # Heaps of keys that are due, but whose tenant has no free worker.
        self._held: dict[str, list[tuple[float, int, ResourceKey]]] = {}
        self._due: dict[ResourceKey, float] = {}  # the time that counts; the heap may hold replaced entries
        # Keys that are being reconciled, with the time at which they are due again, or None.
        self._busy: dict[ResourceKey, float | None] = {}
        self._busy_by_tenant: Counter[str] = Counter()
        self._failures: dict[ResourceKey, int] = {}  # exceptions in a row
        self._tie_breaker = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._idle = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts the workers."""
        with self._changed:
            self._start_thread()

    def _start_thread(self) -> None:
        """Starts one more worker, unless as many as possible run already."""
        if len(self._threads) >= MOST_THREADS or self._stopping:
            return
        thread = threading.Thread(target=self._run, name=f"worker-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        self._idle += 1  # until it has taken its first key
        thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Waits up to `patience` seconds for running reconciles to end. Keys that are due later are dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + patience
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def add(self, key: ResourceKey, after: float = 0.0) -> None:
        """Adds a key that is due in `after` seconds. If a key is added several times, the earliest time counts."""
        with self._changed:
            self._push(key, time.monotonic() + after)

    def _push(self, key: ResourceKey, due: float) -> None:
        if key in self._busy:
            pending = self._busy[key]
            self._busy[key] = due if pending is None else min(pending, due)
        elif key not in self._due or due < self._due[key]:
            if key not in self._due:
                self._metrics.record_added(key)
            self._due[key] = due
            heapq.heappush(self._heap, (due, next(self._tie_breaker), key))
            self._changed.notify()

    def list_due(self) -> list[ResourceKey]:
        """Lists the keys that are due and wait for a worker, in no order."""
        with self._changed:
            now = time.monotonic()
            return [key for key, due in self._due.items() if due <= now]

    def _take(self) -> ResourceKey | None:
        """Waits for a key that is due and marks it as busy. Returns None when the queue stops."""
        with self._changed:
            while not self._stopping:
                wait = self._hold_back()
                if wait is not None and wait <= 0:
                    due, _, key = heapq.heappop(self._heap)
                    del self._due[key]
                    self._busy[key] = None
                    self._busy_by_tenant[find_tenant(key)] += 1
                    self._idle -= 1
                    if self._idle == 0:  # somebody must wait for the next key
                        self._start_thread()
                    self._metrics.record_taken(key, time.monotonic() - due)
                    return key
                self._changed.wait(wait)
            return None

    def _hold_back(self) -> float | None:
        """Discards outdated entries, and sets aside keys whose Project has no free worker.

        Returns the seconds until the next key, or None if there is no key.
        """
        while self._heap:
            due, _, key = self._heap[0]
            tenant = find_tenant(key)
            if self._due.get(key) != due:
                heapq.heappop(self._heap)  # an earlier time replaced this entry
            elif due <= time.monotonic() and self._busy_by_tenant[tenant] >= self._workers_per_tenant:
                heapq.heappush(self._held.setdefault(tenant, []), heapq.heappop(self._heap))
            else:
                return due - time.monotonic()
        return None

    def _run(self) -> None:
        while (key := self._take()) is not None:
            delay = self._reconcile(key)
            with self._changed:
                self._idle += 1
                self._release_worker(find_tenant(key))
                added = self._busy.pop(key)
                if added is not None:
                    self._push(key, added)
                if delay is not None:
                    self._push(key, time.monotonic() + delay)

    def _release_worker(self, tenant: str) -> None:
        """Counts a worker as free, and makes the first key that waits for one available."""
        self._busy_by_tenant[tenant] -= 1
        if self._busy_by_tenant[tenant] == 0:
            del self._busy_by_tenant[tenant]
        held = self._held.pop(tenant, [])
        while held:
            due, _, key = entry = heapq.heappop(held)
            if self._due.get(key) == due:  # else an earlier time has replaced this entry
                heapq.heappush(self._heap, entry)
                self._changed.notify()
                break
        if held:
            self._held[tenant] = held

    def _reconcile(self, key: ResourceKey) -> float | None:
        """Reconciles a key. Returns the seconds until the next reconcile, or None to wait for an event."""
        try:
            result = self._work(key)
        except Exception as error:
            self._metrics.record_ended(key, Outcome.REQUEUE if isinstance(error, Conflict) else Outcome.ERROR)
            return self._handle_error(key, error)
        requeues = result.requeue_after is not None
        self._metrics.record_ended(key, Outcome.REQUEUE_AFTER if requeues else Outcome.SUCCESS)
        self._failures.pop(key, None)
        for other in result.wake:
            self.add(other)
        return None if result.requeue_after is None else max(result.requeue_after.total_seconds(), 0.0)

    def _handle_error(self, key: ResourceKey, error: Exception) -> float:
        """Logs and reports an exception. Returns the seconds until the next reconcile."""
        first = CONFLICT_DELAY if isinstance(error, Conflict) else FIRST_DELAY
        delay = self._next_delay(key, first)
        count = self._failures[key]
        if isinstance(error, Conflict):
            level = logging.WARNING if count >= LOUD else logging.DEBUG
            logger.log(level, "%s has changed; it is reconciled again (failure %d): %s", key, count, error)
        elif isinstance(error, Unavailable):
            logger.warning("%s is reconciled again later: %s", key, error)
        else:
            logger.error("%s: unexpected error; it is reconciled again later", key, exc_info=error)
        try:
            self._report(key, count, error)
        except PgimportError as unreported:
            logger.warning("%s: the status cannot show the error: %s", key, unreported)
        except Exception:
            logger.exception("%s: the status cannot show the error", key)
        return delay

    def _next_delay(self, key: ResourceKey, first: float) -> float:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        return min(first * 2.0 ** min(count, 20), LAST_DELAY)  # 2.0 ** 1024 overflows

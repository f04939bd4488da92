"""Drops databases and roles in threads of their own, one at a time for each server.

Each DROP DATABASE forces a checkpoint, and another tenant's session can make it hang. So a worker of the work queue
waits at most PATIENCE seconds for a drop. Only later drops on the same server wait longer for it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from pgimport.model.errors import Conflict, PgimportError, ServerUnavailable
from pgimport.model.reasons import Failure, Reason

logger = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that a caller waits for its drop
FIRST_PAUSE = 10.0  # seconds between two attempts of a drop that failed; doubles each time
LONGEST_PAUSE = 600.0
FORGOTTEN_AFTER = 3600.0  # seconds after which a drop is forgotten if no caller asks for it


_Key = tuple[str, str, object]  # server, name and request


@dataclass(slots=True)
class _Drop:
    work: Callable[[], object]
    future: "Future[None]" = field(default_factory=Future)
    failures: int = 0
    next_attempt: float = 0.0
    last_asked: float = 0.0


class BackgroundDrops:
    """Runs drops by server and name; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE) -> None:
        self._clock, self._patience = clock, patience
        self._queues: dict[str, queue.SimpleQueue[_Drop]] = {}
        self._drops: dict[_Key, _Drop] = {}
        self._lock = threading.Lock()

    def run(
        self, server: str, name: str, drop: Callable[[], object], *, request: object = None, waits: bool = True
    ) -> None:
        """Starts a drop, unless the same drop is running or has a result, and waits PATIENCE seconds for the result.

        `name` says what is dropped. `request` distinguishes two drops of one name, so that a later request never gets
        the result of an earlier one. If `waits` is false, the method does not wait.

        Raises what the drop has raised. A failed drop runs again after a pause; until then, each call raises its error
        again. Raises ServerUnavailable (TargetBusy) while the drop is running.
        """
        key = server, name, request
        running = self._begin(key, drop)
        try:
            running.future.result(timeout=self._patience if waits else 0)
        except TimeoutError as error:
            if running.future.done():  # the drop itself raised it
                raise
            message = f"{name} is being dropped in the background on {server}"
            raise ServerUnavailable(Failure(Reason.TARGET_BUSY, message)) from error
        except Conflict:  # the caller observes the server again, and its next call starts a new drop
            self._take(key)
            raise
        self._take(key)

    def _take(self, key: _Key) -> None:
        with self._lock:
            self._drops.pop(key, None)

    def run_or_leave(self, server: str, name: str, drop: Callable[[], object]) -> None:
        """Runs a drop for which nothing waits. If it is late or fails, the sweep of the Project repeats it."""
        try:
            self.run(server, name, drop)
        except PgimportError as error:
            logger.warning("%s: left to the sweep of the Project: %s", name, error)

    def _begin(self, key: _Key, work: Callable[[], object]) -> _Drop:
        with self._lock:
            now = self._clock()
            self._forget(now)
            known = self._drops.get(key)
            # A drop that has succeeded stays until a caller has taken its result.
            if known is None or (known.future.done() and known.future.exception() and now >= known.next_attempt):
                known = _Drop(work, failures=known.failures if known is not None else 0)
                self._drops[key] = known
                self._get_queue(key[0]).put(known)
            known.last_asked = now
            return known

    def _get_queue(self, server: str) -> "queue.SimpleQueue[_Drop]":
        existing = self._queues.get(server)
        if existing is None:
            existing = self._queues[server] = queue.SimpleQueue()
            # A daemon thread, so that the operator can end during a drop. The drop may be repeated.
            threading.Thread(target=self._work, args=(existing,), name=f"drops-{server}", daemon=True).start()
        return existing

    def _work(self, drops: "queue.SimpleQueue[_Drop]") -> None:
        while True:
            drop = drops.get()
            try:
                drop.work()
            except Exception as error:
                with self._lock:
                    pause = min(FIRST_PAUSE * 2.0 ** min(drop.failures, 20), LONGEST_PAUSE)
                    drop.failures += 1
                    drop.next_attempt = self._clock() + pause
                drop.future.set_exception(error)
            else:
                drop.future.set_result(None)

    def _forget(self, now: float) -> None:
        for key in [key for key, known in self._drops.items() if known.future.done()]:
            if now - self._drops[key].last_asked > FORGOTTEN_AFTER:
                del self._drops[key]

"""Lets a watchdog end an import early, and keeps the reason."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pgimport.model.reasons import Failure
from pgimport.worker.postgres.errors import ImportStopped


class Interruption:
    """The reason to end an import early, if a watchdog has found one. Thread-safe."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._ends: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def request(self, failure: Failure) -> None:
        """Keeps the reason, and calls the `end` of each running block. Only the first reason counts."""
        with self._lock:
            if self.failure is not None:
                return
            self.failure = failure
            ends = list(self._ends)
        for end in ends:
            end()

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Calls `end` if an interruption is requested while the block runs. Raises ImportStopped with its reason."""
        with self._lock:
            self._ends.append(end)
        try:
            self._check()
            yield
        except Exception as error:
            if self.failure is not None:
                raise ImportStopped(self.failure) from error
            raise
        finally:
            with self._lock:
                self._ends.remove(end)
        self._check()

    def _check(self) -> None:
        if self.failure is not None:
            raise ImportStopped(self.failure)

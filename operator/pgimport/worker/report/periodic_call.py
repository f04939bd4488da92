"""Calls a function at intervals while a block runs."""

import threading
from collections.abc import Callable

DEFAULT_INTERVAL = 1.0  # seconds


class PeriodicCall:
    """Calls a function at an interval, in a thread of its own, until the block ends. An exception stops the calls."""

    def __init__(self, call: Callable[[], None], interval: float = DEFAULT_INTERVAL) -> None:
        self._call = call
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> "PeriodicCall":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=2 * self._interval)

    def _repeat(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self._call()
            except Exception:  # only progress depends on it
                return

"""Calls a function at intervals while a block runs."""

import threading
from collections.abc import Callable

DEFAULT_INTERVAL = 1.0  # seconds


class PeriodicCall:
    """Calls `look` every second from a thread of its own until the block ends; a look that fails ends it quietly."""

    def __init__(self, look: Callable[[], None], interval: float = DEFAULT_INTERVAL) -> None:
        self._look = look
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "PeriodicCall":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=2 * self._interval)

    def _beat(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._look()
            except Exception:  # only the display depends on it
                return

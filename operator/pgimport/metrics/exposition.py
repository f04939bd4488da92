"""Renders a registry as the text that Prometheus reads, at most once a second."""

import threading
import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, disable_created_metrics, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
INTERVAL_SECONDS = 1.0  # whoever reads more often gets the same text again: nobody needs a key for it


class Exposition:
    """Keeps the newest text of a registry; safe to share between threads."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        disable_created_metrics()  # a time for each series, which doubles their number
        self._registry, self._clock = registry, clock
        self._lock = threading.Lock()
        self._text = b""
        self._rendered_at: float | None = None

    def render(self) -> bytes:
        """Returns the text, which is at most a second old."""
        with self._lock:
            if self._rendered_at is None or self._clock() - self._rendered_at >= INTERVAL_SECONDS:
                self._text, self._rendered_at = generate_latest(self._registry), self._clock()
            return self._text

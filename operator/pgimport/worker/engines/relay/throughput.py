"""How far the rows are that are on their way: pieces come in from all streams, the meter hears of their sum."""

import threading
import time
from collections.abc import Iterable

from pgimport.worker.report.progress_meter import ProgressMeter


class Throughput:
    """Safe to use from several threads."""

    def __init__(self, meter: ProgressMeter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._flowing: dict[int, int] = {}
        self._passed = 0
        self._taken = (time.monotonic(), 0)

    def add_bytes(self, oid: int, size: int) -> None:
        """So many bytes of a table went by."""
        with self._lock:
            self._flowing[oid] = self._flowing.get(oid, 0) + size
            self._passed += size

    def forget_tables(self, oids: Iterable[int]) -> None:
        """Their rows begin anew, or are in."""
        with self._lock:
            for oid in oids:
                self._flowing.pop(oid, None)

    def measure_rate(self) -> float:
        """Bytes a second since the last time."""
        with self._lock:
            before, passed = self._taken
            self._taken = (time.monotonic(), self._passed)
            return (self._passed - passed) / max(self._taken[0] - before, 0.001)

    def report(self) -> None:
        with self._lock:
            flowing = dict(self._flowing)
        self._meter.report_copied_bytes(flowing)

"""Counts the bytes that all streams copy, for the progress meter and for the limit of streams."""

import threading
import time
from collections.abc import Callable, Iterable

from pgimport.worker.report.progress_meter import ProgressMeter

OnBytes = Callable[[int, int], None]  # gets the oid of a table, and how many bytes of it were just copied


class Throughput:
    """Counts copied bytes of each table that is being copied. Thread-safe."""

    def __init__(self, meter: ProgressMeter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._bytes_by_table: dict[int, int] = {}
        self._total_bytes = 0
        self._measured_at, self._measured_bytes = time.monotonic(), 0

    def add_bytes(self, oid: int, size: int) -> None:
        """Adds copied bytes of a table."""
        with self._lock:
            self._bytes_by_table[oid] = self._bytes_by_table.get(oid, 0) + size
            self._total_bytes += size

    def forget_tables(self, oids: Iterable[int]) -> None:
        """Stops counting these tables: their copy is complete, or starts again from zero."""
        with self._lock:
            for oid in oids:
                self._bytes_by_table.pop(oid, None)

    def measure_rate(self) -> float:
        """Returns bytes per second since the last call."""
        with self._lock:
            measured_at, measured_bytes = self._measured_at, self._measured_bytes
            self._measured_at, self._measured_bytes = time.monotonic(), self._total_bytes
            return (self._measured_bytes - measured_bytes) / max(self._measured_at - measured_at, 0.001)

    def report(self) -> None:
        """Reports the bytes of each table to the progress meter."""
        with self._lock:
            bytes_by_table = dict(self._bytes_by_table)
        self._meter.report_copied_bytes(bytes_by_table)

"""Measures how far an import is and reports it as progress lines.

A line is printed only when a number has changed, so that the operator detects a hang by the missing lines.
"""

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from pgimport.model.status import ImportPhase, Progress
from pgimport.worker.report.reporter import Reporter

REPORT_SECONDS = 1.0  # minimum time between two lines of one stage


class ProgressWindow(NamedTuple):
    """The part of 0 to 100 percent that a stage covers."""

    phase: ImportPhase
    begin: int
    end: int


class Stage(Enum):
    """The stages in their order. A relay uses COPY. A dump copies rows twice and uses DUMP, STRUCTURE and ROWS."""

    SNAPSHOT = ProgressWindow(ImportPhase.SCHEMA, 0, 2)
    SCHEMA = ProgressWindow(ImportPhase.SCHEMA, 2, 8)
    COPY = ProgressWindow(ImportPhase.DATA, 8, 74)
    DUMP = ProgressWindow(ImportPhase.DATA, 2, 40)
    STRUCTURE = ProgressWindow(ImportPhase.DATA, 40, 44)
    ROWS = ProgressWindow(ImportPhase.DATA, 44, 74)
    INDEXES = ProgressWindow(ImportPhase.INDEXES, 74, 88)
    ANALYZE = ProgressWindow(ImportPhase.ANALYZE, 88, 92)
    VERIFY = ProgressWindow(ImportPhase.VERIFY, 92, 99)


_BEFORE_ROWS = (Stage.SNAPSHOT, Stage.SCHEMA, Stage.DUMP, Stage.STRUCTURE)
_MOVING = (Stage.COPY, Stage.DUMP, Stage.ROWS)


class ProgressMeter:
    """Adds up the progress of an import and reports it. Safe to use from several threads."""

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._reporter = reporter
        self._clock = clock
        self._lock = threading.RLock()
        self._sizes: dict[int, int] = {}
        self._stage = Stage.SNAPSHOT
        self._done: set[int] = set()
        self._copied_bytes: dict[int, int] = {}
        self._steps = (0, 1)
        self._activity = 0
        self._percent = 0
        self._printed_at = 0.0
        self._printed: tuple[object, ...] = ()
        self._phase_since = (clock(), 0)
        self._held_since: float | None = None  # None: the source is not held
        self._held_seconds: int | None = None  # after the release
        self._held_for: str | None = None
        self._waiting_for: str | None = None

    def plan(self, sizes: dict[int, int]) -> None:
        """Sets the tables to copy. `sizes`: oid → bytes."""
        self._sizes = dict(sizes)

    def begin(self, stage: Stage, steps: int = 1, done: int = 0) -> None:
        """Begins a stage of `steps` steps, of which some are `done` already. Always writes a line."""
        with self._lock:
            if stage.value.phase is not self._stage.value.phase:
                self._phase_since = (self._clock(), 0)
            self._stage, self._steps, self._activity = stage, (done, max(steps, 1)), 0
            if stage in _MOVING:
                self._done, self._copied_bytes = set(), {}
            self._print(always=True)

    def step(self) -> None:
        """Counts one step of the stage as done."""
        with self._lock:
            self._steps = (min(self._steps[0] + 1, self._steps[1]), self._steps[1])
            self._print()

    def finish(self, oid: int) -> None:
        """Counts the rows of this table as copied."""
        with self._lock:
            self._done.add(oid)
            self._print()

    def report_copied_bytes(self, copied: dict[int, int]) -> None:
        """Sets the progress of the tables that are being copied. `copied`: oid → bytes of COPY text so far."""
        with self._lock:
            self._copied_bytes = copied
            self._print()

    def report_activity(self, number: int) -> None:
        """Reports activity whose share of the import is unknown. `number` must change with each report."""
        with self._lock:
            self._activity = number
            self._print()

    def report_work(self) -> None:
        """Reports that something was done whose share of the import is unknown."""
        with self._lock:
            self._activity += 1
            self._print()

    def begin_hold(self) -> None:
        """Starts to measure how long the source's snapshot and locks are held."""
        with self._lock:
            self._held_since = self._clock()

    def explain_hold(self, text: str) -> None:
        """Reports why the source is held after its last row."""
        with self._lock:
            self._held_for = text
            self._reporter.log(f"the source is held for {text}")
            self._print(always=True)

    def end_hold(self) -> None:
        """Reports that the source is released."""
        with self._lock:
            self._held_seconds = self._measure_hold()
            self._held_since = self._held_for = None
            self._reporter.log(f"the source is released after {self._held_seconds} s")
            self._print(always=True)

    def show_waiting(self, text: str | None) -> None:
        """Adds to each further progress line what a part of the import waits for. None withdraws it."""
        with self._lock:
            if text == self._waiting_for:
                return
            self._waiting_for = text
            if text is not None:
                self._reporter.log(text, "warning")
            self._print(always=True)

    def _measure_hold(self) -> int | None:
        return self._held_seconds if self._held_since is None else int(self._clock() - self._held_since)

    def report_waiting(self, text: str) -> None:
        """Reports what the import waits for. The next progress line withdraws it."""
        with self._lock:
            self._reporter.log(text, "warning")
            self._reporter.progress(self._with_waits(self._now()).model_copy(update={"waiting_for": text}))

    def _with_waits(self, progress: Progress) -> Progress:
        return progress.model_copy(
            update={
                "source_held_seconds": self._measure_hold(),
                "source_held_for": self._held_for,
                "waiting_for": self._waiting_for,
            }
        )

    def _passed(self) -> int:
        """Returns the bytes copied so far. An unfinished table counts at most 95 %, as COPY text may be longer."""
        done = sum(self._sizes.get(oid, 0) for oid in self._done)
        return done + sum(
            min(copied, self._sizes.get(oid, 0) * 95 // 100)
            for oid, copied in self._copied_bytes.items()
            if oid not in self._done
        )

    def _now(self) -> Progress:
        total = sum(self._sizes.values())
        window = self._stage.value
        if self._stage in _MOVING:
            passed = self._passed()
            share = passed / total if total else len(self._done) / max(len(self._sizes), 1)
            bytes_done = _count_bytes(self._stage, passed, total)
        else:
            share = self._steps[0] / self._steps[1]
            before = total // 2 if self._stage is Stage.STRUCTURE else 0
            bytes_done = before if self._stage in _BEFORE_ROWS else total
        tables = 0 if self._stage in _BEFORE_ROWS else len(self._sizes)
        self._percent = max(self._percent, int(window.begin + (window.end - window.begin) * min(share, 1.0)))
        progress = Progress(
            phase=window.phase,
            percent=self._percent,
            tables_done=len(self._done) if self._stage in (Stage.COPY, Stage.ROWS) else tables,
            tables_total=len(self._sizes),
            bytes_done=bytes_done,
            bytes_total=total,
        )
        return self._with_rate(progress, bytes_done, total) if self._stage in _MOVING else progress

    def _with_rate(self, progress: Progress, done: int, total: int) -> Progress:
        began, at_begin = self._phase_since
        seconds = self._clock() - began
        if seconds < REPORT_SECONDS or done <= at_begin:
            return progress
        rate = int((done - at_begin) / seconds)
        eta = (total - done) // rate if rate else None
        return progress.model_copy(update={"bytes_per_second": rate, "eta_seconds": eta})

    def _print(self, always: bool = False) -> None:
        moved = (self._stage, len(self._done), self._passed(), self._steps, self._activity)
        if not always and (moved == self._printed or self._clock() - self._printed_at < REPORT_SECONDS):
            return
        self._printed, self._printed_at = moved, self._clock()
        self._reporter.progress(self._with_waits(self._now()))


def _count_bytes(stage: Stage, passed: int, total: int) -> int:
    """Counts half of each byte when it is dumped and half when it is restored, because a dump copies it twice."""
    if stage is Stage.COPY:
        return passed
    return passed // 2 + (total // 2 if stage is Stage.ROWS else 0)


class FileProgressMeter(ProgressMeter):
    """Measures the import of a dump file by the bytes that were received, because nothing else is known."""

    def __init__(self, reporter: Reporter, size: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reporter, clock)
        self._size, self._taken = size, 0

    def receive(self, taken: int) -> None:
        """Sets the bytes of the file that were received."""
        with self._lock:
            self._taken = taken
            self._print()

    def _passed(self) -> int:
        return self._taken

    def _now(self) -> Progress:
        window = self._stage.value
        begin = Stage.DUMP.value.begin if self._stage is Stage.ROWS else window.begin
        share = (
            self._taken / self._size if self._stage is Stage.ROWS and self._size else self._steps[0] / self._steps[1]
        )
        self._percent = max(self._percent, int(begin + (window.end - begin) * min(share, 1.0)))
        progress = Progress(
            phase=window.phase,
            percent=self._percent,
            bytes_done=self._taken,
            bytes_total=self._size,
        )
        moving = self._stage is Stage.ROWS and self._size is not None
        return self._with_rate(progress, self._taken, self._size or 0) if moving else progress

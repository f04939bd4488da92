"""Counts what happened to imports, each time when the status that shows it has been written.

The API server accepts a status only once, so a restart of the operator counts nothing twice.
"""

import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from itertools import product
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from pgimport.decide.conditions import ready_reason
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject
from pgimport.model.status import TERMINAL_STATES, ImportPhase, ImportState, ImportStatus

_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 10800, 21600, 86400)  # seconds
_REASONS = frozenset(Reason)
SERVER, FILE, UPLOAD, UNKNOWN = SOURCES = ("server", "file", "upload", "unknown")
OTHER = "Other"  # a reason of another version of the operator
ResultT = TypeVar("ResultT")


class TransitionMetrics:
    """Counters and histograms of imports; safe to share between threads.

    Projects are named by the namespace's Project, never by the spec of an import: its tenant may write any name there.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, datetime] = {}  # when this process saw the current phase begin, by uid
        self._resumed: dict[str, datetime] = {}  # when an import's last suspension ended, by uid
        self._failed: dict[str, datetime] = {}  # the newest failure of each Project
        self._ended = Counter(
            "pgimport_imports_ended",
            "Number of imports that ended, by Project, state, reason and kind of source.",
            ("project", "state", "reason", "source", "dry_run"),
            registry=registry,
        )
        self._attempts = Counter(
            "pgimport_import_attempts", "Number of attempts that started.", ("project",), registry=registry
        )
        self._bytes = Counter(
            "pgimport_imported_bytes",
            "Number of bytes that completed imports copied, measured as the source stores them.",
            ("project",),
            registry=registry,
        )
        self._rows = Counter(
            "pgimport_imported_rows",
            "Number of rows that completed imports counted in the copy.",
            ("project",),
            registry=registry,
        )
        self._add_histograms(registry)

    def _add_histograms(self, registry: CollectorRegistry) -> None:
        self._duration = self._build_histogram(
            registry,
            "pgimport_import_duration_seconds",
            "Seconds from the start of an import to its end.",
            "state",
            "source",
        )
        self._waited = self._build_histogram(
            registry, "pgimport_import_wait_seconds", "Seconds for which an import waited before it started."
        )
        self._phase_seconds = self._build_histogram(
            registry, "pgimport_import_phase_seconds", "Seconds of a phase of an attempt.", "phase"
        )
        self._held = self._build_histogram(
            registry,
            "pgimport_source_held_seconds",
            "Seconds for which the last attempt of an import held the locks and the snapshot of its source.",
        )
        self._copied = self._build_histogram(
            registry, "pgimport_preview_copy_seconds", "Seconds of a successful copy of one preview into another."
        )

        for phase in ImportPhase:  # so that a rate also sees the first one
            self._phase_seconds.labels(phase.value)
        for state, source in product(TERMINAL_STATES, SOURCES):
            self._duration.labels(state.value, source)

    @staticmethod
    def _build_histogram(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=_BUCKETS, registry=registry)

    def record(
        self, item: ImportObject, after: ImportStatus, find_project: Callable[[], str | None], now: datetime
    ) -> None:
        """Counts the step from the status of `item` to `after`, which has just been written.

        `find_project` finds the Project of the import's namespace. An import without one counts for no Project.
        """
        before, dry_run = item.status, item.spec is not None and item.spec.dry_run
        self._record_resumption(item, after, now)
        if not dry_run:
            if before.started_at is None and after.started_at is not None:
                self._waited.observe(_seconds(after.started_at - self.find_start_of_wait(item)))
            self._record_phase(item, after, now)
        attempts, ends = (after.attempts or 0) - (before.attempts or 0), after.terminal and not before.terminal
        project = find_project() if attempts > 0 or ends else None
        if project is not None and attempts > 0:
            self._attempts.labels(project).inc(attempts)
        if project is not None and ends:
            self._record_end(item, after, project, dry_run=dry_run)

    def _record_resumption(self, item: ImportObject, after: ImportStatus, now: datetime) -> None:
        with self._lock:
            was_suspended = ready_reason(item.status.conditions) == Reason.SUSPENDED
            if was_suspended and ready_reason(after.conditions) != Reason.SUSPENDED and not after.terminal:
                self._resumed[item.meta.uid] = now

    def _record_phase(self, item: ImportObject, after: ImportStatus, now: datetime) -> None:
        """Measures a phase that this process saw begin, and that another phase or the completion has ended."""
        before, current = _find_phase(item.status), _find_phase(after)
        if before == current:
            return
        with self._lock:
            since = self._phases.pop(item.meta.uid, None)
            if current is not None:
                self._phases[item.meta.uid] = now
        if since is None or before is None:
            return
        ended = current[0] == before[0] if current is not None else after.state is ImportState.COMPLETED
        if ended:  # by itself, and not with its attempt
            self._phase_seconds.labels(before[1].value).observe(_seconds(now - since))

    def _record_end(self, item: ImportObject, after: ImportStatus, project: str, *, dry_run: bool) -> None:
        state, reason, source = (
            after.state or ImportState.FAILED,
            ready_reason(after.conditions),
            _find_source(item, after),
        )
        label = reason if reason in _REASONS else OTHER
        self._ended.labels(project, state.value, label, source, str(dry_run).lower()).inc()
        if dry_run:
            return
        if after.started_at is not None and after.completed_at is not None:
            self._duration.labels(state.value, source).observe(_seconds(after.completed_at - after.started_at))
        if after.progress is not None and after.progress.source_held_seconds is not None:
            self._held.observe(after.progress.source_held_seconds)
        if state is ImportState.COMPLETED:
            self._bytes.labels(project).inc((after.progress and after.progress.bytes_done) or 0)
            self._rows.labels(project).inc((after.verification and after.verification.rows) or 0)
        if state is ImportState.FAILED and after.completed_at is not None:
            with self._lock:
                self._failed[project] = max(after.completed_at, self._failed.get(project, after.completed_at))

    def time_copy(self, work: Callable[[], ResultT], clock: Callable[[], float]) -> Callable[[], ResultT]:
        """Returns a function that does the same, and measures it if it succeeds."""

        def run() -> ResultT:
            started = clock()
            result = work()
            self._copied.observe(clock() - started)
            return result

        return run

    def find_start_of_wait(self, item: ImportObject) -> datetime:
        """Returns since when a pending import waits.

        A wait begins with the creation, with the end of a suspension, or with the end of an attempt that a queue
        preempted.
        """
        if item.status.pending_since is not None:
            return item.status.pending_since
        with self._lock:
            resumed = self._resumed.get(item.meta.uid)
        ends = (attempt.ended_at for attempt in item.status.attempt_history)
        return max(time for time in (item.meta.created_at, resumed, *ends) if time is not None)

    def find_last_failure(self, project: str) -> datetime | None:
        """Returns the end of the last import that failed since the operator started. It may be deleted."""
        with self._lock:
            return self._failed.get(project)

    def forget_others(self, uids: Collection[str], projects: Collection[str]) -> None:
        """Drops what is known of imports and Projects that no longer exist."""
        with self._lock:
            for known in (self._phases, self._resumed):
                for uid in known.keys() - set(uids):
                    del known[uid]
            for project in self._failed.keys() - set(projects):
                del self._failed[project]


def _seconds(duration: timedelta) -> float:
    """Returns the seconds of a duration, which is negative if two clocks differ."""
    return max(duration.total_seconds(), 0.0)


def _find_phase(status: ImportStatus) -> tuple[str | None, ImportPhase] | None:
    """Returns the pod and the phase of a running attempt."""
    if status.state is not ImportState.RUNNING or status.progress is None:
        return None
    return status.claimed_by, status.progress.phase


def _find_source(item: ImportObject, after: ImportStatus) -> str:
    """Returns the kind of the source, or UNKNOWN if no preflight could read it."""
    if item.spec is not None and item.spec.source.upload_key is not None:
        return UPLOAD
    source = after.preflight.source if after.preflight is not None else None
    if source is None:
        return UNKNOWN
    return SERVER if source.file is None else FILE

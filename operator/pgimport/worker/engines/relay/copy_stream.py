"""A stream: steps come in, one after the other; each is done, even where a connection is cut, or says why it cannot."""

import threading
from collections.abc import Collection
from dataclasses import dataclass

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.relay.asyncpg_session import AsyncpgSession
from pgimport.worker.engines.relay.large_objects import copy_large_objects
from pgimport.worker.engines.relay.libpq_session import LibpqSession
from pgimport.worker.engines.relay.relay_plan import Driver, LargeObjectsStep, RowsStep, Step
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.engines.relay.throughput import Throughput
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.report.reporter import Reporter

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before a step is begun again, each time


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEndpoints:
    """Where a stream begins and ends, and what it reads."""

    source: Endpoint
    shadow: Endpoint
    snapshot: str
    encoding: str  # of the source, and so of the copy


class CopyStream:
    """Everything but `abort` is for one thread."""

    def __init__(self, ends: StreamEndpoints, reporter: Reporter, flow: Throughput) -> None:
        self._ends, self._reporter, self._flow = ends, reporter, flow
        self._sessions: AsyncpgSession | LibpqSession | None = None
        self._over = threading.Event()

    def run_step(self, step: Step) -> dict[int, int]:
        """Rows of each table, by its oid, when they are safe in the copy. Raises StepFailed."""
        pauses = iter(RETRY_SECONDS)
        pause: float | None
        while True:
            try:
                return self._do(step)
            except StepFailed as failed:
                self.close()
                self._flow.forget_tables(_oids(step))
                if failed.text_too_long and isinstance(step, RowsStep) and not step.binary:
                    step, pause, why = step.in_binary, 0.0, "in binary form, for a row's text is too long"
                elif failed.connection_lost:
                    pause, why = next(pauses, None), failed.failure.message
                else:
                    raise
                if pause is None or self._over.wait(pause):
                    raise
                self._reporter.log(f"{step.title} is begun again: {why}", "warning")

    def close(self) -> None:
        if self._sessions is not None:
            self._sessions.close()
            self._sessions = None

    def abort(self) -> None:
        """From another thread: the step that runs fails, and is not begun again."""
        self._over.set()
        if (sessions := self._sessions) is not None:
            sessions.abort()

    def check_failed_backends(self, failed: Collection[int]) -> None:
        """From another thread: these processes of the copy's server have failed."""
        if isinstance(sessions := self._sessions, AsyncpgSession) and sessions.shadow_pid in failed:
            sessions.end_rows_early()

    def _do(self, step: Step) -> dict[int, int]:
        if isinstance(step, LargeObjectsStep):
            source, copy = self._twin().ends
            copy_large_objects(source, copy, step)
            return {}
        return (self._pair() if step.driver is Driver.ASYNCPG else self._twin()).copy_step(step, self._flow.add_bytes)

    def _pair(self) -> AsyncpgSession:
        if not isinstance(self._sessions, AsyncpgSession):
            self._open(AsyncpgSession(self._ends.source, self._ends.shadow, self._ends.snapshot))
        assert isinstance(self._sessions, AsyncpgSession)  # noqa: S101 (it was just opened)
        return self._sessions

    def _twin(self) -> LibpqSession:
        if not isinstance(self._sessions, LibpqSession):
            self._open(LibpqSession(self._ends.source, self._ends.shadow, self._ends.snapshot, self._ends.encoding))
        assert isinstance(self._sessions, LibpqSession)  # noqa: S101 (it was just opened)
        return self._sessions

    def _open(self, sessions: AsyncpgSession | LibpqSession) -> None:
        """One pair of sessions at a time: the source counts them."""
        self.close()
        self._sessions = sessions
        sessions.open()
        if self._over.is_set():  # while there was nothing yet to abort
            raise StepFailed(Failure(Reason.WORKER_FAILED, "the stream was stopped"), psycopg.OperationalError())


def _oids(step: Step) -> list[int]:
    return [] if isinstance(step, LargeObjectsStep) else [rows.table.oid for rows in step.tables]

"""Copies steps one after the other, and repeats a step whose connection is lost."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.relay.asyncpg_session import AsyncpgSession
from pgimport.worker.engines.relay.large_objects import copy_large_objects
from pgimport.worker.engines.relay.libpq_session import LibpqSession
from pgimport.worker.engines.relay.relay_plan import Driver, LargeObjectsStep, RowsStep, Step
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.engines.relay.throughput import Throughput
from pgimport.worker.postgres.domain_violations import DomainViolation
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.report.reporter import Reporter

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # pause before each repetition of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEndpoints:
    """The two ends of a stream, and the snapshot that it reads."""

    source: Endpoint
    shadow: Endpoint
    snapshot: str
    encoding: str  # of the source database and of the shadow
    drop_check: Callable[[DomainViolation], bool] = lambda _: False  # returns whether the step can run again


class CopyStream:
    """Copies steps in one thread. Only `abort` and `check_failed_backends` may be called from another thread."""

    def __init__(self, endpoints: StreamEndpoints, reporter: Reporter, throughput: Throughput) -> None:
        self._endpoints, self._reporter, self._throughput = endpoints, reporter, throughput
        self._session: AsyncpgSession | LibpqSession | None = None
        self._aborted = threading.Event()

    def run_step(self, step: Step) -> dict[int, int]:
        """Copies a step, and returns oid → number of committed rows.

        Repeats the step if a connection is lost, once in binary format if a row is too long as text, and once without
        each CHECK of a domain that a row violates. Raises StepFailed.
        """
        pauses = iter(RETRY_SECONDS)
        pause: float | None
        text_error: StepFailed | None = None
        dropped: set[tuple[str, str, str]] = set()
        while True:
            try:
                return self._try_step(step)
            except StepFailed as error:
                self.close()
                self._throughput.forget_tables(_find_table_oids(step))
                if error.text_too_long and isinstance(step, RowsStep) and not step.binary:
                    step, pause, text_error = step.in_binary, 0.0, error
                    reason = "a row is too long for the text format, so rows are sent in binary format"
                elif self._drop_check(error.violation, dropped):
                    pause, reason = 0.0, "a row violates the CHECK of a domain, which is added after the rows"
                elif error.connection_lost:
                    pause, reason = next(pauses, None), error.failure.message
                else:
                    raise text_error or error from None  # if binary format fails too, the first error is the cause
                if pause is None or self._aborted.wait(pause):
                    raise
                self._reporter.log(f"the copy of {step.title} starts again: {reason}", "warning")

    def _drop_check(self, violation: DomainViolation | None, dropped: set[tuple[str, str, str]]) -> bool:
        """Returns whether the step can run again. A function can raise the same error for ever."""
        if violation is None or (name := (violation.schema, violation.domain, violation.name)) in dropped:
            return False
        dropped.add(name)
        return self._endpoints.drop_check(violation)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def abort(self) -> None:
        """Makes the running step fail, and prevents its repetition. May be called from another thread."""
        self._aborted.set()
        if (session := self._session) is not None:
            session.abort()

    def check_failed_backends(self, failed_pids: Collection[int]) -> None:
        """Ends the running COPY if its backend at the shadow has failed. May be called from another thread."""
        if isinstance(session := self._session, AsyncpgSession) and session.shadow_pid in failed_pids:
            session.end_rows_early()

    def _try_step(self, step: Step) -> dict[int, int]:
        if isinstance(step, LargeObjectsStep):
            source, shadow = self._open_libpq_session().connections
            copy_large_objects(source, shadow, step)
            return {}
        session = self._open_asyncpg_session() if step.driver is Driver.ASYNCPG else self._open_libpq_session()
        return session.copy_step(step, self._throughput.add_bytes)

    def _open_asyncpg_session(self) -> AsyncpgSession:
        if not isinstance(self._session, AsyncpgSession):
            endpoints = self._endpoints
            self._replace_session(AsyncpgSession(endpoints.source, endpoints.shadow, endpoints.snapshot))
        assert isinstance(self._session, AsyncpgSession)  # noqa: S101 (it was just opened)
        return self._session

    def _open_libpq_session(self) -> LibpqSession:
        if not isinstance(self._session, LibpqSession):
            endpoints = self._endpoints
            self._replace_session(
                LibpqSession(endpoints.source, endpoints.shadow, endpoints.snapshot, endpoints.encoding)
            )
        assert isinstance(self._session, LibpqSession)  # noqa: S101 (it was just opened)
        return self._session

    def _replace_session(self, session: AsyncpgSession | LibpqSession) -> None:
        """Closes the old session before it opens the new one: the plan counts one connection per stream."""
        self.close()
        self._session = session
        session.open()
        if self._aborted.is_set():  # another thread may have called `abort` before this session existed
            raise StepFailed(Failure(Reason.WORKER_FAILED, "the stream was stopped"), psycopg.OperationalError())


def _find_table_oids(step: Step) -> list[int]:
    return [] if isinstance(step, LargeObjectsStep) else [table_copy.table.oid for table_copy in step.tables]

"""Watches the sessions of an import at the source, over the session that holds the snapshot.

PostgreSQL does not detect this deadlock: another session waits for a lock of one of our sessions, and a second session
of ours waits behind it. The server does not know that our two sessions depend on each other. `pg_dump` sets
`lock_timeout = 0` itself, so nothing else would end its wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.errors import SNAPSHOT_LOST, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import read_server_error
from pgimport.worker.scope import table_locks
from pgimport.worker.scope.table_locks import LockHolder

INTERVAL_SECONDS = 2.0  # also keeps proxies from ending a session that is silent
# The watch names the holder of the lock, so it must act before the lock_timeout of the waiting session.
HEAD_START_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReports:
    """What the watch calls. `on_failure` gets the reason to end the import, and is called once at most."""

    on_wait: Callable[[str | None], None]  # gets a sentence without a full stop; None: no session waits
    on_work: Callable[[], None]  # a session at the source works, even if no rows arrive
    on_failure: Callable[[Failure], None]


class SourceWatch:
    """Watches until it is ended, in a thread of its own."""

    def __init__(self, connection: Connection, reports: WatchReports) -> None:
        self._connection, self._reports = connection, reports
        self._waiting_since: dict[int, float] = {}  # by process ID
        self._ended = threading.Event()
        self._lock = threading.Lock()  # no session may be closed while another thread uses it
        self._thread = threading.Thread(target=self._repeat, name="source-watch", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watches while the block runs, or until `end` is called."""
        self._thread.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Ends the watch. Returns when it no longer uses the connection."""
        self._ended.set()
        with self._lock:
            return

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Leaves the connection to the block. What the block waits for has a `lock_timeout` of its own."""
        with self._lock:
            yield

    def _repeat(self) -> None:
        failure: Failure | None = None
        while failure is None and not self._ended.wait(INTERVAL_SECONDS):
            with self._lock:
                if self._ended.is_set():
                    return
                try:
                    failure = self._check(time.monotonic())
                except psycopg.Error as error:
                    failure = self._explain(error)
        if failure is not None:
            self._reports.on_failure(failure)

    def _explain(self, error: psycopg.Error) -> Failure:
        failure = translate_source_error(error, "its sessions were watched")
        if not self._connection.closed:
            return failure
        return replace(failure, message=f"{SNAPSHOT_LOST}: {read_server_error(error).describe()}")

    def _check(self, now: float) -> Failure | None:
        """Reports waits and work, and returns the reason to end the import, if there is one. Raises psycopg.Error."""
        with self._connection.transaction():  # a savepoint: an error must not end the snapshot
            self._connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
            sessions = self._connection.execute(read_query("scope/source_sessions")).fetchall()
            waiting = {pid for pid, waits, _ in sessions if waits}
            self._waiting_since = {pid: self._waiting_since.get(pid, now) for pid in waiting}
            if any(works for _, _, works in sessions):
                self._reports.on_work()
            longest = max((now - since for since in self._waiting_since.values()), default=0.0)
            if longest < table_locks.REPORT_SECONDS:
                self._reports.on_wait(None)
                return None
            rows = self._connection.execute(read_query("scope/session_blockers"), [sorted(waiting)]).fetchall()
        text = LockHolder(*rows[0]).describe() if rows else "its holder has ended"
        if rows and longest >= table_locks.WAIT_SECONDS - HEAD_START_SECONDS:
            message = f"the source's lock was not granted within {table_locks.WAIT_SECONDS} s: {text}"
            return Failure(Reason.SOURCE_LOCKED, message)
        self._reports.on_wait(f"the import waits for a lock at the source: {text}")
        return None

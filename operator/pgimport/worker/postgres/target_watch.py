"""Watches the shadow from the gate to the end of an import: whether its server answers, and what our sessions do there.

A server that does not read for a while, for example because a lock stops a COPY, is not dead. TCP_USER_TIMEOUT cannot
tell the difference, because it also counts probes of a closed window. So sessions that send rows do not have it. The
watch has a session of its own, with this timeout. If the watch's session is silent too, the server is gone.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import DATABASE_SIZE
from pgimport.worker.text import format_bytes

INTERVAL_SECONDS = 1.0
ANSWER_SECONDS = 2.0  # a live server refuses a connection sooner
RESTART_SECONDS = 40.0  # a server may answer with errors for this time, because it may be restarting
_ACTION = "its sessions were watched"


class TargetWatch:
    """Calls `on_work` while our sessions in the shadow work, and `on_failure` once, with the reason to end the import.

    It never ends silently: it opens a lost session again, or reports the failure.
    """

    def __init__(self, shadow: Endpoint, on_work: Callable[[], None], on_failure: Callable[[Failure], None]) -> None:
        self.on_work = on_work
        self._shadow, self._on_failure = shadow, on_failure
        self._on_failed_backends: Callable[[Collection[int]], None] = lambda _: None
        self._limit_bytes: int | None = None
        self._connection: Connection | None = None
        self._failing_since = 0.0  # 0.0: the last check was successful
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watches while the block runs. Raises ImportStopped if it cannot connect."""
        try:
            self._connection = connect(self._shadow)
        except psycopg.Error as error:
            action = "the session that watches the copy was opened"
            raise ImportStopped(translate_target_error(error, action)) from error
        threading.Thread(target=self._repeat, name="target-watch", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()

    @contextmanager
    def watching_copy(
        self, limit_bytes: int | None, on_failed_backends: Callable[[Collection[int]], None]
    ) -> Iterator[None]:
        """Also watches what streams do not see while they send rows.

        `on_failed_backends` gets the process IDs of backends whose transaction has failed. A shadow that is larger than
        `limit_bytes` ends the import: preflight only estimated the size, and the source may have grown since.
        """
        self._limit_bytes, self._on_failed_backends = limit_bytes, on_failed_backends
        try:
            yield
        finally:
            self._limit_bytes, self._on_failed_backends = None, lambda _: None

    def _repeat(self) -> None:
        failure: Failure | None = None
        while failure is None and not self._ended.wait(INTERVAL_SECONDS):
            failure = self._try()
        if self._connection is not None:
            self._connection.close()
        if failure is not None and not self._ended.is_set():
            self._on_failure(failure)

    def _try(self) -> Failure | None:
        """Checks once, over a new connection if the old one is lost. Returns the reason to end the import."""
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = connect(self._shadow)
            failure = self._check(self._connection)
        except psycopg.Error as error:
            now = time.monotonic()
            is_silent = self._connection is None and now - began > ANSWER_SECONDS
            self._failing_since = self._failing_since or now
            if is_silent or now - self._failing_since > RESTART_SECONDS:
                return translate_target_error(error, _ACTION)
            if self._connection is not None and self._connection.closed:
                self._connection = None
            return None
        self._failing_since = 0.0
        return failure

    def _check(self, connection: Connection) -> Failure | None:
        sessions = connection.execute(read_query("postgres/shadow_backends")).fetchall()
        if any(works for _, _, works in sessions):
            self.on_work()
        self._on_failed_backends([pid for pid, has_failed, _ in sessions if has_failed])
        limit_bytes = self._limit_bytes
        if limit_bytes is None:
            return None
        ((size,),) = connection.execute(DATABASE_SIZE).fetchall()
        if size <= limit_bytes:
            return None
        message = (
            f"the new database has {format_bytes(size)} before the copy is complete; the Project allows"
            f" {format_bytes(limit_bytes)}"
        )
        return Failure(Reason.SOURCE_TOO_LARGE, message)

"""Sessions in the shadow, the database that the operator creates for an attempt."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect, settle_tls
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_target_error
from pgimport.worker.postgres.session_settings import TEXT_SETTINGS, WRITE_SETTINGS
from pgimport.worker.report.reporter import Reporter

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 1.0
REMINDER = 60.0  # seconds between two lines in the log while the gate is closed
# How long an idle session is reused: a login takes five round trips, but firewalls drop sessions that idle for minutes.
REUSE_SECONDS = 5.0
DATABASE_SIZE = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())"


class ShadowSessions:
    """Opens sessions in the shadow and reuses an idle one for the next short step. Safe to use from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        # Of client programs, which do not run the statement of session_settings.py.
        self.client_settings = {**TEXT_SETTINGS, **WRITE_SETTINGS}
        self._lock = threading.Lock()
        self._idle: tuple[Connection, float] | None = None  # session, and when it became idle

    @property
    def client_endpoint(self) -> Endpoint:
        """The endpoint for client programs, with options that set `client_settings`."""
        return self.endpoint.with_settings(self.client_settings)

    def wait_for_gate(self, reporter: Reporter, sleep: Callable[[float], None] = time.sleep) -> None:
        """Waits until the attempt's role may log in. Has no time limit: operator downtime must not use up attempts."""
        pause, waited, reminded = FIRST_PAUSE, 0.0, 0.0
        while True:
            try:
                connection = connect(self.endpoint)
                self.endpoint = settle_tls(self.endpoint, connection)
                self._keep(connection)
                return
            except psycopg.OperationalError as error:
                if waited == 0.0 or waited - reminded >= REMINDER:
                    reminded = waited
                    reporter.log(f"waiting for the target database {self.endpoint.address}: {first_line(error)}")
            sleep(pause)
            waited += pause
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @contextmanager
    def session(self, action: str) -> Iterator[Connection]:
        """Yields a session for one step, which must not change the session's settings. Raises ImportStopped.

        `action` names the step in an error, as in "the target failed while sequences were set".
        """
        with self._translating_errors(action):
            connection = self._take() or connect(self.endpoint)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._keep(connection)

    @contextmanager
    def own_session(self, action: str) -> Iterator[Connection]:
        """Yields a new session that is closed after the step. Raises ImportStopped."""
        with self._translating_errors(action), connect(self.endpoint) as connection:
            yield connection

    def close(self) -> None:
        """Closes the idle session."""
        if (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> Connection | None:
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is None:
            return None
        connection, since = idle
        if connection.closed or time.monotonic() - since > REUSE_SECONDS:
            connection.close()
            return None
        return connection

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            previous, self._idle = self._idle, (connection, time.monotonic())
        if previous is not None:
            previous[0].close()

    @contextmanager
    def _translating_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, action)) from error

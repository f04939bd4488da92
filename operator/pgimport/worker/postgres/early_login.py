"""Logs in at the source before the session is needed."""

import threading
from contextlib import suppress

import psycopg

from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.shadow import REUSE_SECONDS
from pgimport.worker.postgres.source import open_source_connection


class EarlyLogin:
    """Logs in at the source in a thread while the caller waits for something else, which hides the login's round trips.

    Closes the session after REUSE_SECONDS. An idle session would keep a serverless source awake, and firewalls drop
    idle sessions.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._connection: Connection | None = None
        self._needed = threading.Event()
        self._thread = threading.Thread(target=self._log_in, name="early-login", daemon=True)
        self._thread.start()

    def _log_in(self) -> None:
        with suppress(psycopg.Error):  # `take` tries again, and reports the error
            connection = connect(self.endpoint)
            if self._needed.wait(REUSE_SECONDS):
                self._connection = connection
            else:
                connection.close()

    def take(self) -> Connection:
        """Returns the session, or a new one. Raises ImportStopped."""
        self._needed.set()
        self._thread.join()
        connection, self._connection = self._connection, None
        return connection or open_source_connection(self.endpoint)

    def close(self) -> None:
        """Closes the session if nobody has taken it."""
        self._needed.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

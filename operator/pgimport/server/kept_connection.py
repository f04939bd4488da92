"""Reuses one login of the admin: each login takes five round trips, and `pgimport run` makes six calls."""

import time
from collections.abc import Callable

from psycopg.pq import TransactionStatus

from pgimport.server.connection import MAINTENANCE_DATABASE, Connect, Connection, connect
from pgimport.server.server_access import Access

# A router may forget a silent connection. The session ends after 360 s (idle_session_timeout).
MAX_IDLE_SECONDS = 60.0


class KeptConnection:
    """Implements `Connect`: reuses one connection to the maintenance database. Not thread-safe.

    Each caller gets a connection outside of a transaction. If the kept connection is in use, or the role or database
    differs, the caller gets a new connection. A session in which an error was raised is not used again.
    """

    def __init__(self, access: Access, connect: Connect = connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._access, self._connect, self._clock = access, connect, clock
        self._kept: Connection | None = None
        self._in_use = False
        self._last_use = 0.0

    def __enter__(self) -> "KeptConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        if self._in_use or access != self._access or dbname != MAINTENANCE_DATABASE:
            return self._connect(access, dbname)
        if self._kept is None or not self._is_usable(self._kept):
            self.close()
            connection = self._connect(access, dbname)
            # Not kept: a session in the fallback, template1, can block CREATE DATABASE of others.
            if connection.info.dbname != MAINTENANCE_DATABASE:
                return connection
            self._kept = connection
        self._in_use = True
        return self._kept

    def release(self, connection: Connection, *, failed: bool) -> None:
        """Takes a connection back. Closes it, unless it is the kept one and nothing failed."""
        if connection is not self._kept:
            connection.close()
            return
        self._in_use, self._last_use = False, self._clock()
        if failed:
            self.close()

    def close(self) -> None:
        """Closes the kept connection, which also ends its locks. The next use opens another one."""
        if self._kept is not None:
            self._kept.close()
        self._kept, self._in_use = None, False

    def _is_usable(self, connection: Connection) -> bool:
        is_fresh = self._clock() - self._last_use < MAX_IDLE_SECONDS
        return is_fresh and connection.info.transaction_status is TransactionStatus.IDLE

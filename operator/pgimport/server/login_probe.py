"""Asks a target server once more why it refuses a login.

libpq reports no SQLSTATE for a refused login, and its text is in the server's language. Since version 18, its trace has
the fields of each message of the login. The second attempt has the same parameters, so it sends the password no more
openly than the first.
https://www.postgresql.org/docs/current/libpq-control.html#LIBPQ-PQTRACE
"""

import os
import re
import select
import time

from psycopg import pq

PROBE_SECONDS = 5.0
_TRACE_BYTES = 65_536  # capacity of a pipe; a login is traced with less than 4 KiB
_ERROR = re.compile(rb'^B\t\d+\tErrorResponse\t S "[^"\n]*"(?: V "[^"\n]*")? C "([0-9A-Z]{5})"', re.MULTILINE)
_ENDED = (pq.PollingStatus.OK, pq.PollingStatus.FAILED)


def read_refusal_sqlstate(conninfo: str) -> str | None:
    """Connects and disconnects. Returns the SQLSTATE of the server's error, or None if it sends none."""
    reading, writing = os.pipe()  # in memory: a trace may contain the password
    try:
        os.set_blocking(writing, False)  # a server that sends more than a pipe holds must not block this thread
        os.set_blocking(reading, False)
        _trace_login(conninfo, writing)
        match = _ERROR.search(os.read(reading, _TRACE_BYTES))
    except BlockingIOError:  # nothing was traced
        match = None
    finally:
        os.close(reading)
        os.close(writing)
    return match[1].decode() if match is not None else None


def _trace_login(conninfo: str, writing: int) -> None:
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        if connection.status == pq.ConnStatus.BAD:
            return
        connection.trace(writing)
        connection.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            _poll(connection)
        finally:
            connection.untrace()  # writes what is buffered
    finally:
        connection.finish()


def _poll(connection: pq.abc.PGconn) -> None:
    deadline = time.monotonic() + PROBE_SECONDS
    while (status := connection.connect_poll()) not in _ENDED:
        rest = deadline - time.monotonic()
        if rest <= 0:
            return
        reads = [connection.socket] if status == pq.PollingStatus.READING else []
        writes = [connection.socket] if status == pq.PollingStatus.WRITING else []
        select.select(reads, writes, [], rest)

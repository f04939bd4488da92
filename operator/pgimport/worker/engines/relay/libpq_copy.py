"""Runs COPY on a connection with libpq's nonblocking functions.

https://www.postgresql.org/docs/current/libpq-async.html
"""

import select
from collections.abc import Iterator

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from pgimport.worker.postgres.endpoints import Connection


def send_query(connection: Connection, statements: bytes) -> None:
    """Sends several statements as one query; `read_result` returns their results in order. Raises psycopg.Error."""
    connection.pgconn.send_query(statements)
    _flush(connection.pgconn)


def read_result(connection: Connection, expected: pq.ExecStatus | None = None) -> pq.abc.PGresult | None:
    """Waits for the next result and returns it, or None after the last one.

    Raises psycopg.Error, also if the result's status is not the `expected` one.
    """
    pgconn = connection.pgconn
    while pgconn.is_busy():
        _wait(pgconn, select.POLLIN)
        pgconn.consume_input()
    result = pgconn.get_result()
    if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
        raise error_from_result(result, encoding=connection.info.encoding)
    if expected is not None and (result is None or result.status != expected):
        raise psycopg.OperationalError("the server's response does not belong to a COPY")
    return result


def read_rows(connection: Connection, interval: float) -> Iterator[memoryview | None]:
    """Yields rows as they arrive. Raises psycopg.Error.

    Yields None before it waits for more rows, and again every `interval` seconds while none arrives.
    """
    pgconn = connection.pgconn
    while True:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            yield row
        elif size == 0:
            yield None
            while not _wait(pgconn, select.POLLIN, interval):
                yield None
            pgconn.consume_input()
        else:
            return


def send_rows(connection: Connection, rows: bytes) -> None:
    """Sends rows of a COPY FROM STDIN and returns when the kernel has taken them. Raises psycopg.Error."""
    while not connection.pgconn.put_copy_data(rows):
        _flush(connection.pgconn)
    _flush(connection.pgconn)


def send_end(connection: Connection) -> None:
    """Sends the end of a COPY FROM STDIN. Raises psycopg.Error."""
    while not connection.pgconn.put_copy_end():
        _flush(connection.pgconn)
    _flush(connection.pgconn)


def _flush(pgconn: pq.abc.PGconn) -> None:
    while pgconn.flush():
        if _wait(pgconn, select.POLLIN | select.POLLOUT) & select.POLLIN:
            pgconn.consume_input()  # otherwise the server, while it sends, and this client would wait for each other


def _wait(pgconn: pq.abc.PGconn, events: int, timeout: float | None = None) -> int:
    """Waits for one of the poll events, and returns those that occurred: 0 if none did within `timeout` seconds."""
    poll = select.poll()
    poll.register(pgconn.socket, events)
    occurred = poll.poll(None if timeout is None else timeout * 1000)
    return occurred[0][1] if occurred else 0

"""COPY in nonblocking libpq: a connection's side of it, waiting where the other end is not ready."""

import select
from collections.abc import Iterator

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from pgimport.worker.postgres.endpoints import Connection


def send(connection: Connection, statements: bytes) -> None:
    """Several statements as one query; their results come one after the other. Raises psycopg.Error."""
    connection.pgconn.send_query(statements)
    _flush(connection.pgconn)


def read_result(connection: Connection, wanted: pq.ExecStatus | None = None) -> pq.abc.PGresult | None:
    """None after the last one. Raises psycopg.Error, also for a result of another kind."""
    wire = connection.pgconn
    while wire.is_busy():
        _wait(wire, select.POLLIN)
        wire.consume_input()
    result = wire.get_result()
    if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
        raise error_from_result(result, encoding=connection.info.encoding)
    if wanted is not None and (result is None or result.status != wanted):
        raise psycopg.OperationalError("the server's answer is not the one of a COPY")
    return result


def read_rows(connection: Connection) -> Iterator[memoryview | None]:
    """Rows as they come; None where the server has no more just now. Raises psycopg.Error."""
    wire = connection.pgconn
    while True:
        size, row = wire.get_copy_data(1)
        if size > 0:
            yield row
        elif size == 0:
            yield None
            _wait(wire, select.POLLIN)
            wire.consume_input()
        else:
            return


def send_rows(connection: Connection, rows: bytes) -> None:
    """Returns when they are on their way. Raises psycopg.Error."""
    while not connection.pgconn.put_copy_data(rows):
        _flush(connection.pgconn)
    _flush(connection.pgconn)


def send_end(connection: Connection) -> None:
    """There are no more. Raises psycopg.Error."""
    while not connection.pgconn.put_copy_end():
        _flush(connection.pgconn)
    _flush(connection.pgconn)


def _flush(wire: pq.abc.PGconn) -> None:
    while wire.flush():
        if _wait(wire, select.POLLIN | select.POLLOUT) & select.POLLIN:
            wire.consume_input()  # a server that complains would wait for us for ever


def _wait(wire: pq.abc.PGconn, events: int) -> int:
    poll = select.poll()
    poll.register(wire.socket, events)
    ((_, found),) = poll.poll()
    return found

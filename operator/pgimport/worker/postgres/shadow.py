"""The new database that the operator made for this attempt: the wait for its gate, and connections to it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_target_error
from pgimport.worker.report.reporter import Reporter

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 1.0
REMINDER = 60.0  # seconds between two lines in the log while the gate is closed


def wait_for_gate(endpoint: Endpoint, reporter: Reporter, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return once the role may log in. Without a limit: an operator that is away must not use up attempts."""
    pause, waited, reminded = FIRST_PAUSE, 0.0, 0.0
    while True:
        try:
            connect(endpoint).close()
            return
        except psycopg.OperationalError as error:
            if waited == 0.0 or waited - reminded >= REMINDER:
                reminded = waited
                reporter.log(f"waiting for the target database {endpoint.address}: {first_line(error)}")
        sleep(pause)
        waited += pause
        pause = min(pause * 1.5, LONGEST_PAUSE)


@contextmanager
def shadow_connection(endpoint: Endpoint, action: str) -> Iterator[Connection]:
    """A connection for one piece of work; `doing` names it in an error. Raises Stopped."""
    try:
        connection = connect(endpoint)
        try:
            yield connection
        finally:
            connection.close()
    except psycopg.Error as error:
        raise ImportStopped(translate_target_error(error, action)) from error

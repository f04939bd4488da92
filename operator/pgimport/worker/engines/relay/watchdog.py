"""Watches the shadow's size and its failed backends. The streams see neither while they send rows."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import DATABASE_SIZE
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.text import format_bytes


@contextmanager
def watching_shadow(
    shadow: Endpoint,
    storage_limit_bytes: int | None,
    on_failed_backends: Callable[[Collection[int]], None],
    on_too_large: Callable[[Failure], None],
) -> Iterator[None]:
    """Checks the shadow every second while the block runs.

    `on_failed_backends` gets the process IDs of backends whose transaction has failed. `on_too_large` gets the reason
    to stop if the shadow exceeds the limit. Preflight only estimated the size, and the source may have grown since.
    Raises ImportStopped if it cannot connect.
    """
    try:
        connection = connect(shadow)
    except psycopg.Error as error:
        raise ImportStopped(translate_target_error(error, "the session that watches the copy was opened")) from error

    def check() -> None:
        on_failed_backends([pid for (pid,) in connection.execute(read_query("relay/failed_backends"))])
        if storage_limit_bytes is None:
            return
        ((size,),) = connection.execute(DATABASE_SIZE).fetchall()
        if size > storage_limit_bytes:
            limit = format_bytes(storage_limit_bytes)
            message = f"the new database has {format_bytes(size)} before the copy is complete; the plan allows {limit}"
            on_too_large(Failure(Reason.SOURCE_TOO_LARGE, message))

    with closing(connection), PeriodicCall(check):
        yield

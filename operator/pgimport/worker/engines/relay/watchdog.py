"""What streams cannot see of the copy while they send: sessions of it that have failed, and its size."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.text import format_bytes

_SIZE = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())"


@contextmanager
def watching_shadow(
    shadow: Endpoint,
    storage_limit_bytes: int | None,
    check_failed_backends: Callable[[Collection[int]], None],
    refuse: Callable[[Failure], None],
) -> Iterator[None]:
    """`heed` hears of server processes that failed, `refuse` why all must stop. Raises Stopped.

    The plan's limit is looked at again: preflight judged the source as it was then, and a copy may be larger.
    """
    try:
        connection = connect(shadow)
    except psycopg.Error as error:
        raise ImportStopped(translate_target_error(error, "its streams were watched")) from error

    def look() -> None:
        check_failed_backends([pid for (pid,) in connection.execute(read_query("relay/failed_backends"))])
        if storage_limit_bytes is None:
            return
        ((size,),) = connection.execute(_SIZE).fetchall()
        if size > storage_limit_bytes:
            allowed = format_bytes(storage_limit_bytes)
            message = f"the copy has {format_bytes(size)} and is not whole yet; the plan allows {allowed}"
            refuse(Failure(Reason.SOURCE_TOO_LARGE, message))

    with closing(connection), PeriodicCall(look):
        yield

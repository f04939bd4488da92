"""Cancels a DROP DATABASE that waits for an unresponsive session.

DROP DATABASE waits until every process of the server has processed a barrier (ProcSignalBarrier). A session of any
database that waits for the next data of `COPY FROM STDIN` does not process it, so any tenant can make every drop of the
server hang.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from psycopg import errors as postgres

from pgimport.model.errors import PgimportError, ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connect, Connection, read_query, session
from pgimport.server.server_access import Access
from pgimport.server.sessions import ClientSession

LONGEST_WAIT = 5  # seconds at the barrier
_INTERVAL = 1.0  # seconds between two checks; a faster drop needs no second connection


@dataclass(slots=True)
class _Watch:
    ended: threading.Event = field(default_factory=threading.Event)
    holders: list[ClientSession] | None = None  # None: the statement was not cancelled


@contextmanager
def barrier_watch(connection: Connection, access: Access, database: str, connect: Connect) -> Iterator[None]:
    """Cancels the statement of the block if it waits for the barrier for LONGEST_WAIT seconds.

    Then raises ServerUnavailable (TargetBusy), which names the sessions that may block the statement.
    """
    watch, pid = _Watch(), connection.info.backend_pid
    thread = threading.Thread(target=_run, args=(watch, access, pid, connect), name=f"barrier-{pid}", daemon=True)
    thread.start()
    try:
        yield
    except postgres.QueryCanceled as error:
        thread.join(_INTERVAL)
        if watch.holders is None:
            raise
        raise ServerUnavailable(_describe(database, watch.holders)) from error
    finally:
        watch.ended.set()
        thread.join()


def _run(watch: _Watch, access: Access, pid: int, connect: Connect) -> None:
    if watch.ended.wait(_INTERVAL):
        return
    with suppress(PgimportError), session(access, connect=connect) as connection:
        waited = 0
        while waited < LONGEST_WAIT:
            row = connection.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
            waited = waited + 1 if row is not None and row[0] == "ProcSignalBarrier" else 0
            if watch.ended.wait(_INTERVAL):
                return
        watch.holders = [ClientSession(*row) for row in connection.execute(read_query("barrier_holders")).fetchall()]
        connection.execute("SELECT pg_cancel_backend(%s)", [pid])


def _describe(database: str, holders: list[ClientSession]) -> Failure:
    names = ", ".join(f"process {client.pid} of {client} in database {client.database}" for client in holders)
    return Failure(
        Reason.TARGET_BUSY,
        f"database {database} cannot be dropped yet: DROP DATABASE waits for each session of the server, and one does"
        " not react. Sessions that wait for their client in COPY FROM STDIN or a similar statement:"
        f" {names or 'none is visible'}."
        " The operator tries again. To go on now, end the session with pg_terminate_backend",
    )

"""Ends sessions that lock a database while a statement waits for it, and cancels a DROP DATABASE that hangs.

Every role may lock any database: `ALTER ROLE CURRENT_USER IN DATABASE … SET`. If a role has a privilege on a database,
`DROP OWNED BY CURRENT_USER` locks its row in pg_database. A session may do this at any moment. New locks wait behind a
statement that waits already, so the statement continues as soon as the earlier ones are gone.

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
from pgimport.server.sessions import ClientSession, end_client_sessions

LONGEST_WAIT = 5  # seconds at the barrier
_WAIT = "SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s"
_INTERVAL = 1.0  # seconds between two checks; a faster drop needs no second connection


@dataclass(slots=True)
class _Watch:
    ended: threading.Event = field(default_factory=threading.Event)
    holders: list[ClientSession] | None = None  # None: the statement was not cancelled


@contextmanager
def database_watch(connection: Connection, access: Access, database: str, connect: Connect) -> Iterator[None]:
    """Ends sessions of other roles than the admin for whose locks a statement of the block waits.

    Cancels the statement if it waits for the barrier for LONGEST_WAIT seconds. Then raises ServerUnavailable
    (TargetBusy), which names the sessions that may block the statement.
    """
    watch, pid = _Watch(), connection.info.backend_pid
    thread = threading.Thread(target=_run, args=(watch, access, pid, connect), name=f"watch-{pid}", daemon=True)
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
            row = connection.execute(_WAIT, [pid]).fetchone()
            wait_type, wait_event = row or (None, None)
            if wait_type == "Lock":
                rows = connection.execute(read_query("blocking_sessions"), {"pid": pid}).fetchall()
                end_client_sessions(connection, [ClientSession(*row) for row in rows])
            waited = waited + 1 if wait_event == "ProcSignalBarrier" else 0
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

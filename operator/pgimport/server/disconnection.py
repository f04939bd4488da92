"""Ends the sessions in a database while CREATE DATABASE copies it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pgimport.model.errors import PgimportError
from pgimport.server.connection import Connect, session
from pgimport.server.server_access import Access
from pgimport.server.sessions import end_client_sessions, read_sessions

# CREATE DATABASE waits 5 seconds for sessions in the source to end (CountOtherDBBackends in PostgreSQL's procarray.c).
DISCONNECT_SECONDS = 6.0
DISCONNECT_INTERVAL = 0.1


@contextmanager
def disconnecting(access: Access, database: str, connect: Connect, *, keeps_admin: bool = False) -> Iterator[None]:
    """Ends the sessions in a database during the first seconds of a block, from a second connection.

    CREATE DATABASE must be running: it keeps new sessions waiting, and itself waits some seconds for the old ones.
    `keeps_admin`: spares the sessions of the admin, who may be a person.
    """
    ended = threading.Event()

    def end_all() -> None:
        deadline = time.monotonic() + DISCONNECT_SECONDS
        with suppress(PgimportError), session(access, connect=connect) as second:
            while not ended.wait(DISCONNECT_INTERVAL) and time.monotonic() < deadline:
                clients = read_sessions(second, databases=[database])
                end_client_sessions(second, [item for item in clients if not keeps_admin or item.user != access.user])

    helper = threading.Thread(target=end_all, name=f"disconnect-{database}", daemon=True)
    helper.start()
    try:
        yield
    finally:
        ended.set()
        helper.join()

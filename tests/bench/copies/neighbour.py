"""Measures how long the queries of another database on the same server take."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.postgres import PostgresServer

NAME = "neighbour"
ROWS = 100_000
SESSIONS = 2
PAUSE_SECONDS = 0.02  # between two transactions of a session: a server that is busy, but not full
CONTENT = (
    "CREATE TABLE items AS SELECT n AS id, 0 AS changes, repeat('x', 100) AS text FROM generate_series(0, 99999) AS n;"
    " ALTER TABLE items ADD PRIMARY KEY (id)"
)


@contextmanager
def neighbour(server: PostgresServer) -> Iterator["Neighbour"]:
    """Creates the database for the length of a block."""
    with server.database(NAME):
        server.execute(CONTENT, NAME)
        yield Neighbour(server)


class Neighbour:
    """A database whose sessions change one row and read another, again and again."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @contextmanager
    def measuring(self, latencies: list[float]) -> Iterator[None]:
        """Adds the seconds of each transaction, its commit included, to the list until the block ends."""
        ended = threading.Event()
        sessions = [threading.Thread(target=self._work, args=(latencies, ended)) for _ in range(SESSIONS)]
        for session in sessions:
            session.start()
        try:
            yield
        finally:
            ended.set()
            for session in sessions:
                session.join()

    def measure(self, seconds: float) -> list[float]:
        """Measures while nothing else happens."""
        latencies: list[float] = []
        with self.measuring(latencies):
            threading.Event().wait(seconds)
        return latencies

    def _work(self, latencies: list[float], ended: threading.Event) -> None:
        with self._server.connect(NAME) as connection:
            while not ended.wait(PAUSE_SECONDS):
                changed, read = secrets.randbelow(ROWS), secrets.randbelow(ROWS)
                started = time.perf_counter()
                connection.execute("UPDATE items SET changes = changes + 1 WHERE id = %s", [changed])
                connection.execute("SELECT text FROM items WHERE id = %s", [read]).fetchall()
                latencies.append(time.perf_counter() - started)

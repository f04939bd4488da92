"""What a target database holds, seen as its owner sees it: the old content, the new one, or something that must not be.

`Watch` looks all the time while an import runs: at every moment a target is wholly the old one or wholly the new one.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

_CONTENT = (Path(__file__).parent / "sql" / "content.sql").read_text(encoding="utf-8")
_TIMEZONE = "-c timezone=UTC -c search_path="
PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 3


@dataclass(frozen=True)
class Login:
    """Where a database is, and who may look at it."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, connection: Mapping[str, str], host: str) -> "Login":
        """A preview's connection Secret, reached by a way of the test's own."""
        return cls(host, 5432, connection["dbname"], connection["user"], connection["password"])

    def read_content(self) -> str:
        """A hash. Raises psycopg.Error."""
        with psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=self.user,
            password=self.password,
            connect_timeout=CONNECT_SECONDS,
            options=_TIMEZONE,
            autocommit=True,
            sslmode="disable",
        ) as connection:
            row = connection.execute(_CONTENT).fetchone()
            return str(row[0]) if row else ""


@dataclass
class Watch:
    """What was seen of one database, each different content once, in the order in which it was first seen."""

    seen: list[str] = field(default_factory=list)
    looks: int = 0  # that were answered


@contextmanager
def watching(login: Callable[[], Login]) -> Iterator[Watch]:
    """All the time while the block runs. A database that cannot be reached shows nothing wrong."""
    watch, over = Watch(), threading.Event()

    def look() -> None:
        while not over.wait(PAUSE_SECONDS):
            try:
                content = login().read_content()
            except psycopg.Error:
                continue
            watch.looks += 1
            if content not in watch.seen:
                watch.seen.append(content)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()

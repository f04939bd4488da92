"""Reads the content of a target database as its owner, again and again while an import runs.

At every moment the target must hold the complete old content or the complete new content.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

_CONTENT = (Path(__file__).parent / "sql" / "content.sql").read_text(encoding="utf-8")
_OPTIONS = "-c timezone=UTC -c search_path="
PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 3


@dataclass(frozen=True)
class DatabaseLogin:
    """Connection parameters of a database."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def from_secret(cls, connection: Mapping[str, str], host: str) -> "DatabaseLogin":
        """Take the login from a preview's connection Secret, but connect to another host."""
        return cls(host, 5432, connection["dbname"], connection["user"], connection["password"])

    def read_content(self) -> str:
        """Hash definitions, rows, sequence positions and large objects. Raises psycopg.Error."""
        with psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=self.user,
            password=self.password,
            connect_timeout=CONNECT_SECONDS,
            options=_OPTIONS,
            autocommit=True,
            sslmode="disable",
        ) as connection:
            row = connection.execute(_CONTENT).fetchone()
            return str(row[0]) if row else ""


@dataclass
class ContentWatch:
    """The different contents of one database, in the order in which they were first read."""

    contents: list[str] = field(default_factory=list)
    reads: int = 0  # those that succeeded


@contextmanager
def watch_content(login: Callable[[], DatabaseLogin]) -> Iterator[ContentWatch]:
    """Read the database twice a second while the block runs. A failed connection is not a wrong content."""
    watch, stopped = ContentWatch(), threading.Event()

    def read_repeatedly() -> None:
        while not stopped.wait(PAUSE_SECONDS):
            try:
                content = login().read_content()
            except psycopg.Error:
                continue
            watch.reads += 1
            if content not in watch.contents:
                watch.contents.append(content)

    thread = threading.Thread(target=read_repeatedly, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stopped.set()
        thread.join()

"""The outermost seam of the room: connections that die, like their process, before the n-th statement."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from pgimport.server.access import Access
from pgimport.server.connection import MAINTENANCE_DATABASE, Connection, connect


class Crash(BaseException):
    """No handler may take it for something that it knows."""


class CrashingConnect:
    """Opens connections; after `statements` in all, nothing answers any more."""

    def __init__(self, statements: int) -> None:
        self.left = statements

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        if self.left <= 0:
            raise Crash
        connection = connect(access, dbname)
        crashing = self

        class CrashingCursor(psycopg.Cursor[Any]):
            def execute(self, *arguments: Any, **options: Any) -> Any:
                crashing.left -= 1
                if crashing.left < 0:
                    self.connection.close()
                    raise Crash
                return super().execute(*arguments, **options)

        connection.cursor_factory = CrashingCursor
        return connection


def crash_ever_later(work: Callable[[CrashingConnect], object], limit: int = 150) -> Iterator[int]:
    """Does `work` again and again, each time one statement longer until the crash; ends when it comes through.

    Yields after every crash, with the number of statements that were made: so every state in between is seen, and
    every one is where a later call begins.
    """
    for statements in range(limit):
        try:
            work(CrashingConnect(statements))
        except Crash:
            yield statements
        else:
            return
    raise AssertionError("it never came to an end")

"""Connections that break before the n-th statement, as if their process had been killed."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from pgimport.server.connection import MAINTENANCE_DATABASE, Connection, connect
from pgimport.server.server_access import Access


class Crash(BaseException):
    """The process was killed. This is no Exception, so that no handler catches it."""


class CrashingConnect:
    """Opens connections that together run `statements` statements, and then raise Crash."""

    def __init__(self, statements: int) -> None:
        self.remaining = statements

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        if self.remaining <= 0:
            raise Crash
        connection = connect(access, dbname)
        crashing = self

        class CrashingCursor(psycopg.Cursor[Any]):
            def execute(self, *arguments: Any, **options: Any) -> Any:
                crashing.remaining -= 1
                if crashing.remaining < 0:
                    self.connection.close()
                    raise Crash
                return super().execute(*arguments, **options)

        connection.cursor_factory = CrashingCursor
        return connection


def crash_at_each_statement(work: Callable[[CrashingConnect], object], limit: int = 150) -> Iterator[int]:
    """Repeats `work`, which crashes one statement later each time, until it completes.

    Yields the number of statements after each crash. The caller so sees every intermediate state, and each call of
    `work` starts from the state that the last crash left.
    """
    for statements in range(limit):
        try:
            work(CrashingConnect(statements))
        except Crash:
            yield statements
        else:
            return
    raise AssertionError("the work never completed")

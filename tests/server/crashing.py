"""The outermost seam of the room: connections that die, like their process, before the n-th statement."""

from typing import Any

import psycopg

from pgimport.server.access import MAINTENANCE, Access, Connection, connect


class Crash(BaseException):
    """No handler may take it for something that it knows."""


class CrashingConnect:
    """Opens connections; after `statements` in all, nothing answers any more."""

    def __init__(self, statements: int) -> None:
        self.left = statements

    def __call__(self, access: Access, dbname: str = MAINTENANCE, /) -> Connection:
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

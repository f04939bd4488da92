"""Questions to a source's catalogues: a statement's name comes in, its rows or why there are none go out."""

from collections.abc import Mapping
from typing import Any

import psycopg

from pgimport.worker.checks.check_results import NotChecked
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_source_error
from pgimport.worker.postgres.queries import read_query

ResultRows = list[tuple[Any, ...]]

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def run_statements(
    connection: Connection, *statements: bytes | str, values: Mapping[str, Any] | None = None
) -> ResultRows:
    """All of them in one message, the rows of the last that gives any. Raises psycopg.Error."""
    text = b"; ".join(part if isinstance(part, bytes) else part.encode() for part in statements)
    with psycopg.ClientCursor(connection) as cursor:  # binds here: the server sees one simple query
        cursor.execute(text, values)
        rows: ResultRows = []
        while True:
            if cursor.description is not None:
                rows = cursor.fetchall()
            if not cursor.nextset():
                return rows


class CatalogReader:
    """A connection within its read-only transaction; one question is one round trip."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, name: str, **values: Any) -> ResultRows | NotChecked:
        """Rows of `sql/<name>.sql`; what the server refuses is unknown. Raises Stopped where it went away."""
        try:
            return run_statements(
                self._connection,
                "SAVEPOINT question",
                read_query(name).rstrip().rstrip(b";"),
                "RELEASE question",
                values=values or None,
            )
        except psycopg.Error as error:
            if self._connection.closed or error.sqlstate is None:
                raise ImportStopped(translate_source_error(error, _doing(name))) from error
            self._connection.execute("ROLLBACK TO question")
            return NotChecked(f"{first_line(error)} (SQLSTATE {error.sqlstate})")

    def must(self, name: str) -> ResultRows:
        """Rows that nothing can be judged without. Raises Stopped."""
        try:
            return run_statements(self._connection, read_query(name))
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, _doing(name))) from error


def _doing(name: str) -> str:
    return f"it was asked for its {name.rpartition('/')[2].replace('_', ' ')}"

"""Runs the queries of a preflight in the read-only transaction of a live source."""

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
    """Sends all statements in one message and returns the rows of the last one that has any. Raises psycopg.Error."""
    text = b"; ".join(part if isinstance(part, bytes) else part.encode() for part in statements)
    with psycopg.ClientCursor(connection) as cursor:  # client-side binding, as several statements take no parameters
        cursor.execute(text, values)
        rows: ResultRows = []
        while True:
            if cursor.description is not None:
                rows = cursor.fetchall()
            if not cursor.nextset():
                return rows


class CatalogReader:
    """Runs queries on a connection that has begun its read-only transaction. Each query is one round trip."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, name: str, **values: Any) -> ResultRows | NotChecked:
        """Returns the rows of `sql/<name>.sql`, or the server's error if it refuses the query.

        The transaction stays usable. Raises ImportStopped if the connection is lost.
        """
        try:
            return run_statements(
                self._connection,
                "SAVEPOINT before_query",
                read_query(name).rstrip().rstrip(b";"),
                "RELEASE before_query",
                values=values or None,
            )
        except psycopg.Error as error:
            if self._connection.closed or error.sqlstate is None:
                raise ImportStopped(translate_source_error(error, _describe_action(name))) from error
            self._connection.execute("ROLLBACK TO before_query")
            return NotChecked(f"{first_line(error)} (SQLSTATE {error.sqlstate})")

    def read_required(self, name: str) -> ResultRows:
        """Returns the rows of a query without which no check is possible. Raises ImportStopped."""
        try:
            return run_statements(self._connection, read_query(name))
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, _describe_action(name))) from error


def _describe_action(name: str) -> str:
    return f"the query {name} ran"

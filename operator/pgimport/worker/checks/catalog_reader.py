"""Runs the queries of a preflight in the read-only transaction of a live source."""

from collections.abc import Iterable, Mapping
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
    """Runs queries on a connection that has begun its read-only transaction. Each query is one round trip.

    `read_ahead` runs several queries in one round trip; `read` and `read_required` then return their rows.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[str, ResultRows] = {}  # by the query's name

    def read_ahead(self, names: Iterable[str], **values: Any) -> None:
        """Runs the queries `sql/<name>.sql` together. If the server refuses one, each of them runs alone later.

        The transaction stays usable. Raises ImportStopped if the connection is lost.
        """
        queries = {name: _read_statement(name) for name in names}
        with psycopg.ClientCursor(self._connection) as cursor:
            texts = [cursor.mogrify(text, values).encode() if b"%(" in text else text for text in queries.values()]
            try:
                cursor.execute(b"; ".join([b"SAVEPOINT before_query", *texts, b"RELEASE before_query"]))
            except psycopg.Error as error:
                self._undo(error, "its catalogs were read")
                return
            results = [result.fetchall() for result in cursor.results() if result.description is not None]
        self._rows |= dict(zip(queries, results, strict=True))

    def _undo(self, error: psycopg.Error, action: str) -> None:
        """Makes the transaction usable after an error. Raises ImportStopped if the connection is lost."""
        if self._connection.closed or error.sqlstate is None:
            raise ImportStopped(translate_source_error(error, action)) from error
        self._connection.execute("ROLLBACK TO before_query")

    def read(self, name: str, **values: Any) -> ResultRows | NotChecked:
        """Returns the rows of `sql/<name>.sql`, or the server's error if it refuses the query.

        The transaction stays usable. Raises ImportStopped if the connection is lost.
        """
        if name in self._rows:
            return self._rows[name]
        try:
            return run_statements(
                self._connection,
                "SAVEPOINT before_query",
                _read_statement(name),
                "RELEASE before_query",
                values=values or None,
            )
        except psycopg.Error as error:
            self._undo(error, _describe_action(name))
            return NotChecked(f"{first_line(error)} (SQLSTATE {error.sqlstate})")

    def read_required(self, name: str) -> ResultRows:
        """Returns the rows of a query without which no check is possible. Raises ImportStopped."""
        if name in self._rows:
            return self._rows[name]
        try:
            return run_statements(self._connection, read_query(name))
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, _describe_action(name))) from error


def _read_statement(name: str) -> bytes:
    """Returns the query without its semicolon, so that it can be one of several statements."""
    return read_query(name).rstrip().rstrip(b";")


def _describe_action(name: str) -> str:
    return f"the query {name} ran"

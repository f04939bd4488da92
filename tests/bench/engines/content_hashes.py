"""Hashes the rows and the definitions of a database, so that a copy can be compared with its source."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"
# These settings give a value the same text on both servers.
_SETTINGS = "SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET search_path = ''"
CONNECTIONS = 2
# The largest tables get a statement each. Of the others, many share a statement and its round trip.
LARGEST_TABLES, TABLES_PER_STATEMENT = 12, 100

ContentHashes = dict[str, tuple[str, ...]]  # name of a table or of a kind of definition → hashes


def read_content(server: PostgresServer, dbname: str) -> ContentHashes:
    """Hash a database as superuser. The server computes the hashes, so a slow connection does not matter."""
    statements = [text for (text,) in _query(server, dbname, (_SQL / "row_hashes.sql").read_text())]
    largest, others = statements[:LARGEST_TABLES], statements[LARGEST_TABLES:]
    step = TABLES_PER_STATEMENT
    joined = (" UNION ALL ".join(others[start : start + step]) for start in range(0, len(others), step))
    every = [*largest, *joined, (_SQL / "objects.sql").read_text()]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        results = pool.map(lambda statement: _query(server, dbname, statement), every)
        return {name: tuple(map(str, values)) for rows in results for name, *values in rows}


def _query(server: PostgresServer, dbname: str, statement: str) -> list[tuple[Any, ...]]:
    with server.connect(dbname) as connection:
        connection.execute(_SETTINGS)
        return connection.execute(statement.encode()).fetchall()


def find_differences(source: ContentHashes, copy: ContentHashes) -> list[str]:
    """Return the sorted names whose hashes differ."""
    return sorted(name for name in source.keys() | copy.keys() if source.get(name) != copy.get(name))

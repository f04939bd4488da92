"""A database comes in; a hash of each table's rows and of its definitions goes out, so that copies can be compared."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.postgres import PostgresServer

_SQL = Path(__file__).parent / "sql"
# Values must mean the same text at both ends.
_SAME = "SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET search_path = ''"
AT_ONCE = 2
# The largest tables have a statement each; of the others, many share one, and its round trip.
ALONE, TOGETHER = 12, 100

Content = dict[str, tuple[str, ...]]


def read_content(server: PostgresServer, dbname: str) -> Content:
    """As the superuser; the server reckons, so that a slow line to it does not matter."""
    statements = [text for (text,) in _ask(server, dbname, (_SQL / "row_hashes.sql").read_text())]
    alone, others = statements[:ALONE], statements[ALONE:]
    joined = (" UNION ALL ".join(others[at : at + TOGETHER]) for at in range(0, len(others), TOGETHER))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda one: _ask(server, dbname, one), [*alone, *joined, (_SQL / "objects.sql").read_text()])
        return {name: tuple(map(str, values)) for answer in answers for name, *values in answer}


def _ask(server: PostgresServer, dbname: str, statement: str) -> list[tuple[Any, ...]]:
    with server.connect(dbname) as connection:
        connection.execute(_SAME)
        return connection.execute(statement.encode()).fetchall()


def find_differences(source: Content, copy: Content) -> list[str]:
    """The names of what is not the same."""
    return sorted(name for name in source.keys() | copy.keys() if source.get(name) != copy.get(name))

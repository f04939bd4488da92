"""Counts large objects."""

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query


def count_large_objects(connection: Connection) -> int:
    """Returns the number of large objects. Raises psycopg.Error."""
    row = connection.execute(read_query("verify/large_object_count")).fetchone()
    return int(row[0]) if row else 0

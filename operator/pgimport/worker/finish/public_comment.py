"""Removes the comment that every new database has on the schema public, if the source has none there.

With --quote-all-identifiers, pg_dump does not recognise the schema, so it does not write that the comment is missing.
"""

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query


def lacks_public_comment(source: Connection) -> bool:
    """Returns whether the schema public exists without a comment. Raises psycopg.Error."""
    return source.execute(read_query("finish/public_comment")).fetchone() == (None,)


def remove_public_comment(shadow: Connection) -> None:
    """Removes the comment on the shadow's schema public, if there is one. Raises psycopg.Error."""
    if shadow.execute(read_query("finish/public_comment")).fetchone() not in (None, (None,)):
        shadow.execute("COMMENT ON SCHEMA public IS NULL")

"""Dumps that tests write by hand, and what a comparison with psql reads of their results."""

from pgimport.model.result import SkippedObject, WorkerResult

# Query of the CHECKs and foreign keys of the user's tables.
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname::text, replace(pg_get_constraintdef(oid), ' NOT VALID', ''),
       conislocal, coninhcount, connoinherit
FROM pg_constraint WHERE contype IN ('c', 'f') AND conrelid > 16384 ORDER BY 1, 2
"""


def as_dump(statements: str) -> bytes:
    """Returns the statements between the first and the last line of a dump."""
    return f"--\n-- PostgreSQL database dump\n--\n\n{statements}\n-- PostgreSQL database dump complete\n".encode()


def list_skipped(result: WorkerResult) -> dict[str, SkippedObject]:
    return {item.object: item for item in result.skipped}

"""Copies large objects and their comments from the source into the shadow.

`lo_get` returns many objects in one round trip; pg_dump needs several round trips for each. A large object longer than
CHUNK_BYTES is copied in chunks.
"""

from collections.abc import Iterator

from psycopg import sql

from pgimport.worker.engines.relay.relay_plan import LargeObjectsStep
from pgimport.worker.engines.relay.step_errors import build_source_failure, build_target_failure, converting_errors
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

CHUNK_BYTES = 1024 * 1024
OBJECTS_PER_TRANSACTION = 200
BYTES_PER_TRANSACTION = 8 * CHUNK_BYTES
OID_END = 1 << 32  # an oid has 32 bits
_READ, _WRITTEN = "large objects were read", "large objects were written"

FirstChunks = list[tuple[int, bytes]]  # oid of a large object, its first CHUNK_BYTES


def copy_large_objects(source: Connection, shadow: Connection, step: LargeObjectsStep) -> None:
    """Copies the step's objects, and replaces those that an earlier run of the step has left. Raises StepFailed."""
    long_oids: list[int] = []
    for first_chunks in _read_first_chunks(source, step):
        with converting_errors(build_target_failure, _WRITTEN):
            _create_objects(shadow, first_chunks)
        long_oids += [oid for oid, chunk in first_chunks if len(chunk) == CHUNK_BYTES]
    for oid in long_oids:
        _copy_further_chunks(source, shadow, oid)
    with converting_errors(build_source_failure, _READ):
        comments = source.execute(read_query("relay/large_object_comments"), _build_range(step)).fetchall()
    with converting_errors(build_target_failure, _WRITTEN):
        for oid, text in comments:
            statement = sql.SQL("COMMENT ON LARGE OBJECT {} IS {}")
            shadow.execute(statement.format(sql.Literal(oid), sql.Literal(text)))


def _build_range(step: LargeObjectsStep) -> dict[str, int]:
    return {"first": step.first, "end": OID_END if step.end is None else step.end}


def _read_first_chunks(source: Connection, step: LargeObjectsStep) -> Iterator[FirstChunks]:
    """Yields the first chunk of every object, in lists that fit into one transaction and into memory."""
    first_chunks, size = FirstChunks(), 0
    parameters = {**_build_range(step), "chunk_bytes": CHUNK_BYTES}
    with converting_errors(build_source_failure, _READ), source.cursor(binary=True) as cursor:
        for oid, chunk in cursor.stream(read_query("relay/large_object_contents"), parameters):
            first_chunks.append((oid, chunk))
            size += len(chunk)
            if len(first_chunks) == OBJECTS_PER_TRANSACTION or size >= BYTES_PER_TRANSACTION:
                yield first_chunks
                first_chunks, size = [], 0
    yield first_chunks


def _create_objects(shadow: Connection, first_chunks: FirstChunks) -> None:
    with shadow.transaction(), shadow.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"
            " WHERE oid = ANY (%s::bigint[]::pg_catalog.oid[])",
            [[oid for oid, _ in first_chunks]],
        )
        cursor.executemany("SELECT pg_catalog.lo_from_bytea(%s::bigint::pg_catalog.oid, %s)", first_chunks)


def _copy_further_chunks(source: Connection, shadow: Connection, oid: int) -> None:
    """Copies an object from its second chunk to its end."""
    offset = CHUNK_BYTES
    while True:
        with converting_errors(build_source_failure, _READ):
            row = source.execute(
                "SELECT pg_catalog.lo_get(%s::bigint::pg_catalog.oid, %s, %s)", [oid, offset, CHUNK_BYTES], binary=True
            ).fetchone()
        chunk = row[0] if row else b""
        with converting_errors(build_target_failure, _WRITTEN):
            shadow.execute("SELECT pg_catalog.lo_put(%s::bigint::pg_catalog.oid, %s, %s)", [oid, offset, chunk])
        if len(chunk) < CHUNK_BYTES:
            return
        offset += CHUNK_BYTES

"""Large objects: a range of their numbers comes in; the same objects, with their comments, are in the copy.

`lo_get` gives many in one round trip, where the clients need several for each. A large one comes in pieces.
"""

from collections.abc import Iterator

from psycopg import sql

from pgimport.worker.engines.relay.relay_plan import LargeObjectsStep
from pgimport.worker.engines.relay.step_errors import build_source_failure, build_target_failure, converting_errors
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

CHUNK_BYTES = 1024 * 1024  # bytes of one object that travel at once
OBJECTS_PER_TRANSACTION = 200  # objects that are made in one transaction
BYTES_PER_TRANSACTION = 8 * CHUNK_BYTES
_READ, _MADE = "large objects were read", "large objects were made"

Objects = list[tuple[int, bytes]]


def copy_large_objects(source: Connection, copy: Connection, step: LargeObjectsStep) -> None:
    """Each object as it is at the source, whatever of it is in the copy already. Raises StepFailed."""
    long: list[int] = []
    for group in _read_groups(source, step):
        with converting_errors(build_target_failure, _MADE):
            _make(copy, group)
        long += [oid for oid, begin in group if len(begin) == CHUNK_BYTES]
    for oid in long:
        _copy_rest(source, copy, oid)
    with converting_errors(build_source_failure, _READ):
        comments = source.execute(read_query("relay/large_object_comments"), _range(step)).fetchall()
    with converting_errors(build_target_failure, _MADE):
        for oid, text in comments:
            statement = sql.SQL("COMMENT ON LARGE OBJECT {} IS {}")
            copy.execute(statement.format(sql.Literal(oid), sql.Literal(text)))


def _range(step: LargeObjectsStep) -> dict[str, int]:
    return {"first": step.first, "end": 1 << 32 if step.end is None else step.end}


def _read_groups(source: Connection, step: LargeObjectsStep) -> Iterator[Objects]:
    """The first piece of every object, some at a time: nothing more than a group is held."""
    group, size = Objects(), 0
    with converting_errors(build_source_failure, _READ), source.cursor(binary=True) as cursor:
        for oid, begin in cursor.stream(
            read_query("relay/large_object_contents"), {**_range(step), "chunk_bytes": CHUNK_BYTES}
        ):
            group.append((oid, begin))
            size += len(begin)
            if len(group) == OBJECTS_PER_TRANSACTION or size >= BYTES_PER_TRANSACTION:
                yield group
                group, size = [], 0
    yield group


def _make(copy: Connection, group: Objects) -> None:
    with copy.transaction(), copy.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"
            " WHERE oid = ANY (%s::bigint[]::pg_catalog.oid[])",
            [[oid for oid, _ in group]],
        )
        cursor.executemany("SELECT pg_catalog.lo_from_bytea(%s::bigint::pg_catalog.oid, %s)", group)


def _copy_rest(source: Connection, copy: Connection, oid: int) -> None:
    at = CHUNK_BYTES
    while True:
        with converting_errors(build_source_failure, _READ):
            row = source.execute(
                "SELECT pg_catalog.lo_get(%s::bigint::pg_catalog.oid, %s, %s)", [oid, at, CHUNK_BYTES], binary=True
            ).fetchone()
        piece = row[0] if row else b""
        with converting_errors(build_target_failure, _MADE):
            copy.execute("SELECT pg_catalog.lo_put(%s::bigint::pg_catalog.oid, %s, %s)", [oid, at, piece])
        if len(piece) < CHUNK_BYTES:
            return
        at += CHUNK_BYTES

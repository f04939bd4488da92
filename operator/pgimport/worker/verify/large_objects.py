"""Counts large objects, and compares their contents by digests that each server computes."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.text import count_of, some_of

CHUNK_BYTES = 1024 * 1024
REPORT_EVERY = 100  # objects
CONTENTS_ADVICE = "only `verify: checksums` compares them"


@dataclass(frozen=True, slots=True)
class LargeObjectDigests:
    """Oids in ascending order, and 64 bits of a digest for each: 12 bytes of memory for each object."""

    oids: "array[int]" = field(default_factory=lambda: array("I"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))


def count_large_objects(connection: Connection) -> int:
    """Returns the number of large objects. Raises psycopg.Error."""
    row = connection.execute(read_query("verify/large_object_count")).fetchone()
    return int(row[0]) if row else 0


def read_large_object_digests(connection: Connection, report: Callable[[int], None]) -> LargeObjectDigests:
    """Reads all large objects at the server. `report` gets their number now and then. Raises psycopg.Error."""
    result = LargeObjectDigests()
    with connection.cursor(binary=True) as cursor:
        for oid, digest in cursor.stream(read_query("verify/large_object_digests"), {"chunk_bytes": CHUNK_BYTES}):
            result.oids.append(oid)
            result.digests.append(int.from_bytes(digest))
            if len(result.oids) % REPORT_EVERY == 0:
                report(len(result.oids))
    return result


def compare_large_objects(source: LargeObjectDigests, shadow: LargeObjectDigests) -> list[str]:
    """Returns a sentence for the objects that are missing, and one for those whose contents differ. Pure."""
    present = set(shadow.oids) if source.oids != shadow.oids else None
    missing = [str(oid) for oid in source.oids if present is not None and oid not in present]
    copied = shadow.digests if present is None else dict(zip(shadow.oids, shadow.digests, strict=True))
    different = [
        str(oid)
        for index, (oid, digest) in enumerate(zip(source.oids, source.digests, strict=True))
        if present is None or oid in present
        if copied[index if present is None else oid] != digest
    ]
    differences = [f"missing in the copy: {_name(missing)}"] if missing else []
    if different:
        differences.append(f"the content differs at the source and in the copy: {_name(different)}")
    return differences


def _name(oids: list[str]) -> str:
    return f"{count_of(len(oids), 'large object')} (OID {some_of(oids)})"

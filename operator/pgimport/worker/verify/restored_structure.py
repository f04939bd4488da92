"""Compares the structure of a copy with the objects of the dump file that it was restored from."""

from collections.abc import Collection

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.verify.file_objects import FileObject, count_by_kind, find_invalid_indexes, list_expected
from pgimport.worker.verify.findings import Findings
from pgimport.worker.verify.structure import compare_structures, read_structure


def compare_file_objects(
    shadow: Connection,
    objects: Collection[FileObject],
    findings: Findings,
    *,
    not_valid: Collection[str] = (),
    from_archive: bool = True,
) -> None:
    """Compares existence, validity and states of all objects. Raises psycopg.Error.

    `not_valid`: schema and tag of constraints that rows of the source violate, as in `public.orders positive`. Of
    plain SQL, an object may be missing because a later statement renamed it.
    """
    structure = read_structure(shadow)
    expected = [
        item._replace(state="not valid") if f"{item.schema}.{item.relation} {item.name}" in not_valid else item
        for item in list_expected(objects, structure)
    ]
    differences = compare_structures(expected, structure).differences
    attached = {(schema, name): count for schema, name, count in shadow.execute(read_query("verify/attached_indexes"))}
    invalid, notes = find_invalid_indexes(structure, objects, attached)
    findings.other_differences += invalid
    findings.notes += notes
    if from_archive:
        findings.other_differences += differences
    else:
        findings.not_compared += [
            f"{text}: the dump creates it, and another statement may have renamed or dropped it" for text in differences
        ]
    findings.compared = count_by_kind(expected)
    findings.not_compared.append("meaning of definitions: only a live source can print its own")

"""Is the copy what its source was? Both ends come in, a `Verification` goes out; "could not" is never "is"."""

from collections.abc import Collection
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import ComparedObjects, TableDifference, Verification
from pgimport.model.spec import Verify
from pgimport.worker.archive.selection import PG_CLASS
from pgimport.worker.engines.pg_restore import CopyResult, LiveImportRun
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import shadow_connection
from pgimport.worker.report.progress import Stage
from pgimport.worker.scope.snapshot import Sequence, Snapshot, Table
from pgimport.worker.verify.row_counts import ROWS, ROWS_AND_DIGEST, count_rows, plan_counts
from pgimport.worker.verify.structure import StructureComparison, compare_structures, read_structure

NAMES_IN_A_MESSAGE = 3


@dataclass
class Findings:
    """What the steps of a verification add up to."""

    mode: Verify = Verify.COUNTS
    tables: int = 0
    rows: int = 0
    large_objects: int = 0
    sequences: int = 0
    unequal: list[TableDifference] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # whatever differs and is no table's rows
    notes: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)  # kind → how many
    not_compared: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.unequal and not self.faults

    def to_verification(self) -> Verification:
        return Verification(
            mode=self.mode.value,
            tables=self.tables,
            rows=self.rows,
            large_objects=self.large_objects,
            sequences=self.sequences,
            differences=self.unequal,
            notes=[*self.faults, *self.notes],
            verified=self.good,
            compared=[ComparedObjects(kind=kind, count=count) for kind, count in sorted(self.compared.items())],
            not_compared=self.not_compared,
        )

    def to_failure(self) -> Failure:
        said = [_in_words(item) for item in self.unequal] + self.faults
        more = f"; and {len(said) - NAMES_IN_A_MESSAGE} more" if len(said) > NAMES_IN_A_MESSAGE else ""
        return Failure(
            Reason.VERIFICATION_FAILED,
            f"the copy differs from its source: {'; '.join(said[:NAMES_IN_A_MESSAGE])}{more}",
        )


def _in_words(item: TableDifference) -> str:
    if item.source_rows == item.target_rows:
        return f"{item.table} has {_rows(item.source_rows)} on both sides, but not the same ones"
    return f"{item.table} has {_rows(item.source_rows)} at the source and {_rows(item.target_rows)} in the copy"


def _rows(count: int | None) -> str:
    return "no such table" if count is None else f"{count} rows"


def build_unverified() -> Verification:
    """For `verify: none`."""
    said = "spec.verify is none"
    return Verification(
        mode=Verify.NONE.value, notes=[f"not verified: {said}"], not_compared=[f"anything: {said}"], verified=False
    )


def verify_rows(run: LiveImportRun, snapshot: Snapshot, brought: CopyResult, findings: Findings) -> None:
    """Counts, or digests too, of all tables; large objects and sequences. Before row level security hides rows.

    Raises Stopped.
    """
    tables = counted_tables(snapshot, brought.contents.skipped_keys)
    run.meter.begin(Stage.VERIFY, len(plan_counts(tables)))
    findings.mode = run.order.verify
    count = ROWS_AND_DIGEST if run.order.verify is Verify.CHECKSUMS else ROWS
    counted = count_rows(tables, snapshot.id, (run.source, run.shadow), run.jobs, count, run.meter.step, brought.counts)
    findings.tables = len(counted)
    findings.rows = sum(item.target_rows or 0 for item in counted)
    findings.unequal += [item for item in counted if not item.is_equal]
    try:
        wanted = _one_number(snapshot.connection, "verify/large_object_count")
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "its large objects were counted")) from error
    with shadow_connection(run.shadow, "large objects and sequences were compared") as shadow:
        findings.large_objects = _one_number(shadow, "verify/large_object_count")
        if findings.large_objects != wanted:
            findings.faults.append(f"{wanted} large objects at the source, {findings.large_objects} in the copy")
        findings.faults += compare_sequences(snapshot.sequences, read_positions(shadow, snapshot.sequences))
    findings.sequences = len(snapshot.sequences)


def counted_tables(snapshot: Snapshot, left: Collection[tuple[int, int]]) -> tuple[Table, ...]:
    """All but those that come without their rows, or not at all."""
    return tuple(
        table
        for table in snapshot.tables
        if table.oid not in snapshot.scope.rowless and (PG_CLASS, table.oid) not in left
    )


def _one_number(connection: Connection, query: str) -> int:
    row = connection.execute(read_query(query)).fetchone()
    return int(row[0]) if row else 0


def read_positions(shadow: Connection, wanted: tuple[Sequence, ...]) -> dict[tuple[str, str], tuple[int, bool]]:
    """Where the copy's sequences stand: those that are there. Raises psycopg.Error."""
    present = {(schema, name) for schema, name, *_ in shadow.execute(read_query("scope/sequences"))}
    names = [(item.schema, item.name) for item in wanted if (item.schema, item.name) in present]
    found: dict[tuple[str, str], tuple[int, bool]] = {}
    with shadow.pipeline():
        cursors = [
            (key, shadow.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(*key))))
            for key in names
        ]
        for key, cursor in cursors:
            if (row := cursor.fetchone()) is not None:
                found[key] = (row[0], row[1])
    return found


def compare_sequences(wanted: tuple[Sequence, ...], found: dict[tuple[str, str], tuple[int, bool]]) -> list[str]:
    """Sequences that stand elsewhere, or are not there; pure."""
    faults = []
    for item in wanted:
        position = found.get((item.schema, item.name))
        if position is None:
            faults.append(f"missing in the copy: sequence {item.schema}.{item.name}")
        elif position != (item.last_value, item.is_called):
            faults.append(
                f"sequence {item.schema}.{item.name} stands at {position[0]} in the copy, at {item.last_value}"
                " at the source"
            )
    return faults


def verify_structure(
    run: LiveImportRun,
    snapshot: Snapshot,
    left: Collection[tuple[int, int]],
    checks: Collection[tuple[str, str, str]],
    findings: Findings,
) -> None:
    """Indexes, constraints, views, functions, types, policies: all there, as valid as they were. Raises Stopped."""
    try:
        source = read_structure(snapshot.connection)
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "its structure was listed")) from error
    with shadow_connection(run.shadow, "its structure was listed") as connection:
        compared: StructureComparison = compare_structures(source, read_structure(connection), left, checks)
    findings.faults += compared.differences
    findings.notes += compared.notes
    findings.compared = compared.counts
    findings.not_compared += [f"rows of {s}.{n}: spec.filter leaves them out" for s, n in snapshot.scope.rowless_names]
    if views := compared.counts.get("materialized view"):
        findings.not_compared.append(f"rows of {views} materialised views: the copy makes them anew")

"""Reads at the source, before its release, what later steps compare the copy with."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from pgimport.model.import_choices import Verify
from pgimport.worker.finish.materialized_views import ViewName, read_populated_views
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.text_settings import read_money_decimals
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.snapshot import Snapshot, Table
from pgimport.worker.verify.extension_members import MemberRows, Members, read_member_rows, read_members
from pgimport.worker.verify.large_objects import LargeObjectDigests, count_large_objects, read_large_object_digests
from pgimport.worker.verify.row_counts import RowsByOid, read_source_digests
from pgimport.worker.verify.structure import StructureItem, read_structure

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What was read at the source after its last row, in the snapshot of the rows."""

    populated_views: Collection[ViewName] = ()
    money_decimals: int = 0  # known only if there are columns of type money
    structure: list[StructureItem] = field(default_factory=list)
    large_objects: int = 0
    large_object_digests: LargeObjectDigests = field(default_factory=LargeObjectDigests)  # with verify: checksums
    digests: RowsByOid = field(default_factory=dict)  # with verify: checksums
    members: Members = field(default_factory=dict)  # of extensions
    member_rows: MemberRows = field(default_factory=dict)


def read_source_record(
    run: ImportRun,
    source: Endpoint,
    snapshot: Snapshot,
    tables: tuple[Table, ...],
    *,
    copy_members: Collection[str],
    with_money: bool,
) -> SourceRecord:
    """Reads only what `spec.verify` needs. `tables` are those to digest. Raises ImportStopped.

    `copy_members`: titles of the members of the shadow's extensions.
    """
    read = _Reader(snapshot.connection).read
    members = read(read_members, "the members of its extensions were listed")
    skipped_schemas = snapshot.scope.schemas
    member_rows = read(
        lambda connection: read_member_rows(connection, members, copy_members, skipped_schemas),
        "the rows in tables of its extensions were counted",
    )
    populated_views = read(read_populated_views, "its materialised views were listed")
    money_decimals = read(read_money_decimals, "its lc_monetary was read") if with_money else 0
    if run.order.verify is Verify.NONE:
        return SourceRecord(
            populated_views=populated_views, money_decimals=money_decimals, members=members, member_rows=member_rows
        )
    structure = read(read_structure, "its structure was listed")
    large_objects = read(count_large_objects, "its large objects were counted")
    large_object_digests = LargeObjectDigests()
    digests: RowsByOid = {}
    if run.order.verify is Verify.CHECKSUMS:
        run.meter.explain_hold("digests of its rows, because of verify: checksums")
        digests = read_source_digests(tables, snapshot.id, source, run.jobs, run.meter.report_work)
        if large_objects:
            large_object_digests = read(
                lambda connection: read_large_object_digests(connection, lambda _: run.meter.report_work()),
                "its large objects were digested",
            )
    return SourceRecord(
        populated_views=populated_views,
        money_decimals=money_decimals,
        structure=structure,
        large_objects=large_objects,
        large_object_digests=large_object_digests,
        digests=digests,
        members=members,
        member_rows=member_rows,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: Connection

    def read(self, read: Callable[[Connection], T], action: str) -> T:
        """Calls `read` with the session that holds the snapshot. `action` describes the call in error messages."""
        try:
            return read(self.connection)
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, action)) from error

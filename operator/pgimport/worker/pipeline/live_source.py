"""A running server as the source of an import."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

import psycopg

from pgimport.model.import_choices import Engine, Verify
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.selection import PG_CLASS, Exclusions
from pgimport.worker.engines.copy_result import CopyResult, SourceSteps
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.engines.relay.relay_inputs import read_relay_inputs
from pgimport.worker.engines.relay.relay_plan import RelayInputs, choose_engine
from pgimport.worker.finish.public_comment import lacks_public_comment, remove_public_comment
from pgimport.worker.pipeline.source import Copied
from pgimport.worker.pipeline.source_record import SourceRecord, read_source_record
from pgimport.worker.postgres.clients import PgDump
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.text_settings import (
    NAMES_IN_A_NOTE,
    SourceTextSettings,
    accepts_monetary_locale,
    accepts_settings,
    describe_money,
    read_money_decimals,
    read_text_settings,
)
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.live_scope import ObjectKey, read_excluded_objects, read_exclusions, read_undumped_objects
from pgimport.worker.scope.patterns import EXCLUDED_ROWS
from pgimport.worker.scope.snapshot import Snapshot, Table
from pgimport.worker.scope.source_watch import SourceWatch, WatchReports
from pgimport.worker.text import count_of
from pgimport.worker.verify.definition_repair import Settlement, settle_definitions
from pgimport.worker.verify.definition_report import RECREATED, report_differences
from pgimport.worker.verify.definitions import KINDS, DefinitionList, read_source_definitions, select_expected
from pgimport.worker.verify.extension_members import (
    MemberComparison,
    Members,
    compare_members,
    read_member_rows,
    read_members,
)
from pgimport.worker.verify.findings import Findings
from pgimport.worker.verify.large_objects import (
    CONTENTS_ADVICE,
    compare_large_objects,
    count_large_objects,
    read_large_object_digests,
)
from pgimport.worker.verify.row_counts import ROWS, ROWS_AND_DIGEST, add_up_partitions, compare_rows, plan_counts
from pgimport.worker.verify.sequences import compare_sequences, read_sequence_values
from pgimport.worker.verify.structure import SkippedItems, compare_structures, read_structure

KINDS_BEFORE_ROW_SECURITY = frozenset(KINDS) - {"policy"}
T = TypeVar("T")


class LiveSource:
    """Implements `Source` over a session that holds a snapshot and locks."""

    def __init__(self, run: ImportRun, pg_restore: PgRestore, source: Endpoint, snapshot: Snapshot) -> None:
        """Raises ImportStopped if no pg_dump for the source's version is installed."""
        self._run, self._pg_restore, self._source, self._snapshot = run, pg_restore, source, snapshot
        self._pg_dump: PgDump = run.clients.find_dump(snapshot.server_version_num // 10000, run.target_major)
        self._result = CopyResult(plan=RestorePlan())
        self._record = SourceRecord()
        meter = run.meter
        reports = WatchReports(
            on_wait=meter.show_waiting, on_work=meter.report_work, on_failure=run.interruption.request
        )
        self._watch = SourceWatch(snapshot.connection, reports)
        self._skipped: list[SkippedObject] = []
        self._text_settings = SourceTextSettings()
        self._copy_members: Members = {}  # of the shadow's extensions
        self._member_comparison = MemberComparison()
        # Read beside pg_dump:
        self._definitions = DefinitionList()
        self._undumped: list[SkippedObject] = []
        self._excluded: dict[ObjectKey, SkippedObject] = {}
        self._lacks_public_comment = False

    def copy(self) -> Copied:
        run, snapshot = self._run, self._snapshot
        run.meter.plan({table.oid: table.bytes for table in snapshot.copied})
        run.meter.begin(Stage.SNAPSHOT)
        with run.shadow_sessions.session("its schemas and roles were listed") as shadow:
            exclusions = read_exclusions(shadow, snapshot.scope)
            self._copy_members = read_members(shadow)
        inputs = read_relay_inputs(snapshot, self._source, run.shadow.host)
        engine, dump_cause = choose_engine(run.order.engine, inputs)
        if engine is not run.order.engine and run.order.engine is not Engine.AUTO:
            message = f"spec.engine: relay cannot bring this source: {dump_cause}"
            raise ImportStopped(Failure(Reason.NOT_SUPPORTED, message))
        run.reporter.log(
            f"copying {len(snapshot.copied)} tables from {self._source.address} by {engine.value}, with"
            f" {self._pg_dump.path} and {self._pg_restore.program}",
            tables=len(snapshot.copied),
        )
        client_source = self._choose_client_source(engine)
        with self._watch.running():
            self._result = self._run_engine(engine, dump_cause, client_source, exclusions, inputs)
        if self._lacks_public_comment:
            with run.shadow_sessions.session("its comment on the schema public was removed") as shadow:
                remove_public_comment(shadow)
        self._member_comparison = self._compare_members()
        self._skipped += [
            *self._undumped,
            *snapshot.scope.skipped,
            *self._result.plan.skipped,
            *self._list_excluded(exclusions.present_schemas),
            *self._member_comparison.skipped,
        ]
        return Copied(
            skipped=self._skipped,
            notes=[*self._result.notes, *self._member_comparison.notes, *self._describe_choices()],
            analyzed=self._result.analyzed,
            data_as_of=snapshot.taken_at,
            populated_views=self._record.populated_views,
        )

    def _run_engine(
        self,
        engine: Engine,
        dump_cause: str | None,
        client_source: Endpoint,
        exclusions: Exclusions,
        inputs: RelayInputs,
    ) -> CopyResult:
        """Copies structure and rows. Raises ImportStopped.

        `dump_cause`: why the dump engine is used instead of the relay.
        """
        run, snapshot, pg_dump = self._run, self._snapshot, self._pg_dump.path
        steps = SourceSteps(read_definitions=self._read_beside_dump, release=self._release)
        # Import only the libraries of this engine, which saves 0.05 s.
        if engine is Engine.RELAY:
            from pgimport.worker.engines.relay.relay_engine import copy_by_relay

            return copy_by_relay(run, client_source, snapshot, pg_dump, exclusions, inputs, steps)
        from pgimport.worker.engines.dump.dump_engine import copy_by_dump

        result = copy_by_dump(run, client_source, snapshot, pg_dump, self._pg_restore, exclusions, steps)
        notes = [f"the rows came by a dump: {dump_cause}"] if dump_cause else []
        return replace(result, notes=[*result.notes, *notes])

    def _release(self) -> None:
        """Reads what the later steps need, then closes the source's session, which releases its locks and snapshot.

        The engines call it as soon as they have read the last row. Raises ImportStopped.
        """
        run, snapshot = self._run, self._snapshot
        tables = find_compared_tables(snapshot, ())
        with_money = bool(self._text_settings.money_columns)
        self._record = read_source_record(
            run, self._source, snapshot, tables, copy_members=self._copy_members, with_money=with_money
        )
        self._watch.end()
        snapshot.connection.close()
        run.meter.end_hold()

    def _read_beside_dump(self) -> None:
        """Reads what the copy is compared with, and what is reported as skipped. Raises ImportStopped."""
        scope = self._snapshot.scope
        with self._watch.pausing():
            if self._run.order.verify is not Verify.NONE:
                self._definitions = self._read_source(_read_definitions, "its definitions were read")
            self._undumped = self._read_source(read_undumped_objects, "what cannot come along was listed")
            self._excluded = self._read_source(
                lambda connection: read_excluded_objects(connection, scope), "what the filter excludes was listed"
            )
            self._lacks_public_comment = "public" not in scope.schemas and self._read_source(
                lacks_public_comment, "its comment on the schema public was read"
            )

    def _compare_members(self) -> MemberComparison:
        """Compares the members of extensions, which no dump contains, and their rows. Raises ImportStopped."""
        source, source_rows, copy = self._record.members, self._record.member_rows, self._copy_members
        with self._run.shadow_sessions.session("the rows in tables of its extensions were counted") as shadow:
            copy_rows = read_member_rows(shadow, copy, source)
        unavailable = self._snapshot.scope.unavailable_extensions
        comparison = compare_members(source, source_rows, copy, copy_rows, unavailable)
        listed = {item.object for item in self._result.plan.skipped}
        comparison.skipped = [item for item in comparison.skipped if item.object not in listed]
        return comparison

    def _list_excluded(self, present_schemas: Collection[str]) -> list[SkippedObject]:
        """Returns the excluded objects that a dump could list.

        Leaves out those that the copy has, or that pg_dump is told to leave out (see `read_undumped_objects`).
        """
        titles = {item.object for item in self._undumped} | {f"SCHEMA {name}" for name in present_schemas}
        listed = self._result.plan.skipped_keys
        return [item for key, item in self._excluded.items() if key not in listed and item.object not in titles]

    def compare_rows(self, findings: Findings) -> None:
        run, snapshot = self._run, self._snapshot
        self._settle_definitions(findings, KINDS_BEFORE_ROW_SECURITY)
        tables = find_compared_tables(snapshot, self._result.plan.skipped_keys)
        run.meter.begin(Stage.VERIFY, len(plan_counts(tables)))
        findings.mode = run.order.verify
        if run.order.verify is Verify.CHECKSUMS:
            source_rows, query = self._record.digests, ROWS_AND_DIGEST
        else:
            source_rows, query = add_up_partitions(tables, self._result.row_counts), ROWS
        counts = compare_rows(tables, source_rows, run.shadow_sessions, run.jobs, query, run.meter.step)
        findings.tables = len(counts)
        findings.rows = sum(count.target_rows or 0 for count in counts)
        findings.unequal_tables += [count for count in counts if not count.is_equal]
        large_objects = self._record.large_objects
        with run.shadow_sessions.session("large objects and sequences were compared") as shadow:
            findings.large_objects = count_large_objects(shadow)
            sequence_values = read_sequence_values(shadow, snapshot.sequences)
        if findings.large_objects != large_objects:
            findings.other_differences.append(
                f"{large_objects} large objects at the source, {findings.large_objects} in the copy"
            )
        elif large_objects and run.order.verify is Verify.CHECKSUMS:
            findings.other_differences += self._compare_large_objects()
        elif large_objects:
            findings.not_compared.append(f"contents of {count_of(large_objects, 'large object')}: {CONTENTS_ADVICE}")
        skipped_sequences = self._result.plan.skipped_sequences
        sequences = [item for item in snapshot.sequences if (item.schema, item.name) not in skipped_sequences]
        findings.other_differences += compare_sequences(sequences, sequence_values)
        findings.sequences = len(sequences)

    def _compare_large_objects(self) -> list[str]:
        """Returns the differences between the contents at both ends, which each server digests."""
        report = self._run.meter.report_work
        with self._run.shadow_sessions.session("its large objects were digested") as shadow:
            digests = read_large_object_digests(shadow, lambda _: report())
        return compare_large_objects(self._record.large_object_digests, digests)

    def restore_row_security(self) -> None:
        if self._result.restore is not None:
            self._skipped += self._result.restore.create_row_security()

    def compare_definitions(self, findings: Findings) -> None:
        scope = self._snapshot.scope
        plan = self._result.plan
        skipped = SkippedItems(
            plan.skipped_keys | scope.excluded.keys(), plan.skipped_checks, plan.skipped_indexes, plan.not_valid
        )
        with self._run.shadow_sessions.session("its structure was listed") as shadow:
            structure = read_structure(shadow)
        comparison = compare_structures(self._record.structure, structure, skipped)
        findings.other_differences += comparison.differences
        findings.notes += comparison.notes
        settlement = self._settle_definitions(findings, KINDS)
        findings.compared = {**Counter(item.kind for item in settlement.compared), **comparison.counts}
        report_differences(settlement, self._definitions, findings, self._run.order.on_object_error)
        findings.not_compared += [f"rows of {s}.{n}: {EXCLUDED_ROWS}" for s, n in scope.rowless_names]
        findings.not_compared += self._member_comparison.not_compared
        if views := comparison.counts.get("materialized view"):
            findings.not_compared.append(f"rows of {views} materialised views: the copy makes them anew")

    def _settle_definitions(self, findings: Findings, kinds: Collection[str]) -> Settlement:
        """Creates definitions again that mean something else in the copy. Raises ImportStopped."""
        skipped = self._result.plan.skipped_keys | self._snapshot.scope.excluded.keys()
        titles = {item.object for item in findings.skipped}
        expected = select_expected(self._definitions.definitions, skipped, titles)
        with self._run.shadow_sessions.session("its definitions were compared") as shadow:
            settlement = settle_definitions(shadow, self._definitions, expected, kinds=kinds)
        findings.notes += [f"{RECREATED}: {title}" for title in settlement.recreated]
        return settlement

    def _choose_client_source(self, engine: Engine) -> Endpoint:
        """Returns the source's endpoint with the settings that pg_dump needs. Raises ImportStopped."""
        settings = self._text_settings = self._read_source(read_text_settings, "its settings were read")
        options = settings.choose_options()
        if not options or accepts_settings(self._source, options):
            return self._source.with_settings(options) if options else self._source
        if settings.money_changes and engine is Engine.DUMP:
            columns = ", ".join(settings.money_columns[:NAMES_IN_A_NOTE])
            message = (
                f"pg_dump would write money in the locale {settings.lc_monetary} ({columns}), because"
                f" {self._source.address} refuses the connection parameter `options`: connect without a"
                " pooler, or use engine: relay"
            )
            raise ImportStopped(Failure(Reason.NOT_SUPPORTED, message))
        self._run.reporter.log(f"{self._source.address} refuses the connection parameter options", "warning")
        return self._source

    def _describe_money(self) -> list[str]:
        if not self._text_settings.money_columns:
            return []
        source_decimals = self._record.money_decimals
        with self._run.shadow_sessions.session("its lc_monetary was read") as shadow:
            if accepts_monetary_locale(shadow, self._text_settings.lc_monetary):
                return []  # the operator gives it to the copy
            return describe_money(self._text_settings, source_decimals, read_money_decimals(shadow))

    def _describe_choices(self) -> list[str]:
        notes = [*([self._pg_dump.note] if self._pg_dump.note else []), *self._describe_money()]
        return notes + [
            f"without its rows, as spec.filter.excludeTableData says: {s}.{n}"
            for s, n in self._snapshot.scope.rowless_names
        ]

    def _read_source(self, read: Callable[[Connection], T], action: str) -> T:
        """Calls `read` with the session that holds the snapshot. `action` describes the call in error messages."""
        try:
            return read(self._snapshot.connection)
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, action)) from error


def _read_definitions(connection: Connection) -> DefinitionList:
    """Reads definitions in a savepoint.

    pg_get_viewdef and similar functions lock objects; rolling back releases these locks.
    """
    with connection.transaction(force_rollback=True):
        return read_source_definitions(connection)


def find_compared_tables(snapshot: Snapshot, skipped_keys: Collection[tuple[int, int]]) -> tuple[Table, ...]:
    """Returns all tables except those that were skipped or copied without rows. Pure."""
    return tuple(
        table
        for table in snapshot.tables
        if table.oid not in snapshot.scope.rowless and (PG_CLASS, table.oid) not in skipped_keys
    )

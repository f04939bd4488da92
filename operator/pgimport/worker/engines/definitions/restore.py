"""Creates all objects of an archive, in the phases of a restore, over the worker's own sessions."""

import threading
from collections.abc import Callable, Collection, Iterable

from pgimport.model.result import SkippedObject
from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import TABLE
from pgimport.worker.engines.definitions.attached_indexes import drop_incomplete_indexes
from pgimport.worker.engines.definitions.constraints import add_checks
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.domain_checks import drop_violated_check
from pgimport.worker.engines.definitions.executor import DefinitionExecutor
from pgimport.worker.engines.definitions.extension_rows import find_rows_without_table, skip_rows_of_missing_tables
from pgimport.worker.engines.definitions.parallel import Job, run_jobs
from pgimport.worker.engines.definitions.phases import (
    PostDataPhase,
    find_constraint_comments,
    find_locked_tables,
    find_pre_data,
    find_row_entries,
    find_sequence_values,
    find_undumped_schemas,
    plan_post_data,
)
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.definitions.statements import find_path_change, read_archive_settings
from pgimport.worker.postgres.domain_violations import DomainViolation
from pgimport.worker.run import ImportRun
from pgimport.worker.text import quote_name

OnEntry = Callable[[], None]  # called after each entry, for the progress


class DefinitionRestore:
    """Creates the objects of one archive. What the target refuses is added to the plan's skipped objects."""

    def __init__(self, run: ImportRun, plan: RestorePlan) -> None:
        self._run = run
        self.plan = plan
        settings = read_archive_settings(plan.entries_by_id.values())
        self.context = DefinitionContext(
            plan, settings, run.reporter, run.order.on_object_error, run.order.shows_row_values
        )
        self.executor = DefinitionExecutor(self.context)
        self._lock = threading.Lock()  # of drop_violated_check

    def open_session(self, sessions: int = 1) -> DefinitionSession:
        """Opens one of `sessions` parallel sessions. Raises ImportStopped."""
        return DefinitionSession(self._run.shadow, self.context.settings, sessions, self._run.shadow_state.search_path)

    def create_structure(self, on_entry: OnEntry) -> None:
        """Creates what comes before the rows. Raises ImportStopped."""
        for skipped in self.plan.skipped:  # what needs an extension that the target does not have
            self.context.stop_at(skipped)
        entries = find_pre_data(self.plan.main_entries)
        with self.open_session() as session:
            # A dump of some tables or schemas does not contain the schemas.
            for schema in find_undumped_schemas(self.plan.entries_by_id.values(), entries):
                session.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_name(schema)};", f"SCHEMA {schema}")
        self._create_in_order(entries, on_entry)

    def find_path_change(self) -> dict[int, str]:
        """Returns the entry of the archive that sets the search_path of pg_restore: dump id → definition."""
        return find_path_change(self.plan.entries_by_id.values(), self._run.shadow_state.search_path_of_rows)

    def drop_violated_check(self, violation: DomainViolation) -> bool:
        """Drops the CHECK of a domain that a row violates. Returns whether the row can come then. Raises ImportStopped.

        Several streams may call this at once.
        """
        with self._lock, self.open_session() as session:
            return drop_violated_check(session, self.context, violation)

    def find_row_entries(self) -> list[TocEntry]:
        """Returns the rows and large objects of what exists, for pg_restore."""
        entries = [entry for entry in find_row_entries(self.plan.main_entries) if self.plan.admit(entry)]
        if without_table := find_rows_without_table(self.plan, entries):
            with self.open_session() as session:
                skip_rows_of_missing_tables(session, self.plan, without_table)
        return [entry for entry in entries if not self.plan.is_skipped(entry)]

    def set_sequences(self) -> None:
        """Sets sequences to the values of the archive, if the plan contains them. Raises ImportStopped."""
        self._create_in_order(find_sequence_values(self.plan.main_entries), lambda: None)

    def create_post_data(self, on_entry: OnEntry, built: Collection[int] = ()) -> None:
        """Creates indexes and keys in parallel, then CHECKs, objects of the catalogs, and foreign keys in parallel.

        `built`: dump ids of entries that exist already. Raises ImportStopped.

        `ALTER INDEX … ATTACH PARTITION` must not run in parallel: two of them on one partitioned table can deadlock
        (SQLSTATE 40P01).
        """
        phases = plan_post_data(self.plan.main_entries, built)
        self._create_in_parallel(phases[PostDataPhase.INDEXES], on_entry)
        with self.open_session() as session:
            drop_incomplete_indexes(session, self.plan)
        self._add_checks()
        self._create_in_order(find_constraint_comments(self.plan.main_entries), lambda: None)
        self._create_in_order(phases[PostDataPhase.CATALOGUE], on_entry)
        self._create_in_parallel(phases[PostDataPhase.FOREIGN_KEYS], on_entry)

    def create_row_security(self) -> list[SkippedObject]:
        """Creates policies and enables row security. Returns what the target refused. Raises ImportStopped."""
        listed = len(self.plan.skipped)
        self._create_in_order(self.plan.row_security_entries, lambda: None)
        return self.plan.skipped[listed:]

    def _create_in_order(self, entries: list[TocEntry], on_entry: OnEntry) -> None:
        if not entries:
            return
        with self.open_session() as session:
            self.executor.create_all(session, entries, on_entry)
            session.flush()

    def _create_in_parallel(self, entries: Iterable[TocEntry], on_entry: OnEntry) -> None:
        def build_job(entry: TocEntry) -> Job:
            tables, exclusive = find_locked_tables(self.plan, entry)

            def run(session: DefinitionSession) -> None:
                self.executor.create(session, entry)
                on_entry()

            return Job(
                job_id=entry.dump_id,
                run=run,
                after_ids=frozenset(entry.dependencies),
                tables=tables,
                exclusive=exclusive,
            )

        run_jobs([build_job(entry) for entry in entries], self._run.jobs, self.open_session)

    def _add_checks(self) -> None:
        """Adds the CHECK constraints that were removed from tables and domains.

        Those of partitions and children come before their parent's, whose statement then merges them.
        """
        entries = [entry for entry in self.plan.restored_entries if self.plan.later_checks.get(entry.dump_id)]
        parents = {dump_id for entry in self.plan.main_entries if entry.kind == TABLE for dump_id in entry.dependencies}
        run_jobs(
            [self._build_check_job(entry) for entry in entries if entry.dump_id not in parents],
            self._run.jobs,
            self.open_session,
        )
        # The parents run one after the other, because each locks its children too.
        run_jobs(
            [self._build_check_job(entry) for entry in reversed(entries) if entry.dump_id in parents],
            1,
            self.open_session,
        )

    def _build_check_job(self, entry: TocEntry) -> Job:
        def run(session: DefinitionSession) -> None:
            add_checks(session, self.context, entry)

        return Job(job_id=entry.dump_id, run=run, tables=frozenset({entry.dump_id}))

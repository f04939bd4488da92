"""Copies a live source by relay: pg_dump reads the structure, COPY copies the rows from server to server."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg import sql

from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.selection import PG_CLASS, Exclusions, plan_restore
from pgimport.worker.engines.copy_result import CopyResult, SourceSteps
from pgimport.worker.engines.definitions.phases import KINDS_AFTER_ROWS
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.detached_partitions import naming_detached_partitions
from pgimport.worker.engines.pg_dump import read_archive_entries, run_pg_dump
from pgimport.worker.engines.relay.copy_scheduler import CopyScheduler
from pgimport.worker.engines.relay.copy_stream import StreamEndpoints
from pgimport.worker.engines.relay.index_builds import plan_index_builds
from pgimport.worker.engines.relay.pg_dump_proxy import MANY_SEQUENCES, run_pg_dump_proxy
from pgimport.worker.engines.relay.relay_inputs import keep_tables
from pgimport.worker.engines.relay.relay_plan import RelayInputs, plan_relay
from pgimport.worker.finish.sequence_values import set_sequences
from pgimport.worker.postgres.client_probe import DumpSource
from pgimport.worker.postgres.clients import read_version
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.snapshot import Snapshot

ALL_SEQUENCES_VERSION = 18  # the first pg_dump that reads all sequences with one query


def copy_by_relay(
    run: ImportRun,
    source: Endpoint,
    snapshot: Snapshot,
    pg_dump: Path,
    exclusions: Exclusions,
    inputs: RelayInputs,
    steps: SourceSteps,
) -> CopyResult:
    """Copies the structure, then rows and indexes at the same time, then objects that need all rows.

    Raises ImportStopped.
    """
    _dump_structure(run, source, snapshot, pg_dump, steps.read_definitions)
    plan = plan_restore(read_archive_entries(run.archive_folder), exclusions)
    restore = DefinitionRestore(run, plan)
    inputs = keep_tables(inputs, _create_structure(run, restore))
    relay_plan = plan_relay(inputs, run.jobs)
    for note in relay_plan.notes:
        run.reporter.log(note)
    builds = plan_index_builds(plan.restored_entries, inputs.tables, inputs.standalone)
    # Functions of generated columns and domains may need the search_path of the source's sessions for each row.
    shadow = replace(run.shadow, sends_rows=True, search_path=run.shadow_state.search_path_of_rows)
    endpoints = StreamEndpoints(
        source=source,
        shadow=shadow,
        snapshot=snapshot.id,
        encoding=inputs.encoding,
        drop_check=restore.drop_violated_check,
    )

    def finish_reading() -> None:
        _count_refused_rows(snapshot, plan)
        steps.release()

    scheduler = CopyScheduler(run, endpoints, relay_plan, builds, restore)
    with naming_detached_partitions(lambda: plan.skipped):
        row_counts = scheduler.copy_rows(finish_reading)

    set_sequences(run.shadow_sessions, snapshot.sequences)
    with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
        restore.create_post_data(run.meter.step, built={build.build_id for build in builds})
    analyzed_oids = {build.table_oid for build in builds if build.runs_last} - scheduler.unanalyzed_oids
    return CopyResult(
        plan=plan,
        restore=restore,
        notes=list(relay_plan.notes),
        row_counts=row_counts,
        analyzed=frozenset((table.schema, table.name) for table in inputs.tables if table.oid in analyzed_oids),
    )


def _dump_structure(
    run: ImportRun, source: Endpoint, snapshot: Snapshot, pg_dump: Path, beside: Callable[[], None]
) -> None:
    """Dumps the structure, through a proxy if pg_dump would send a query for each of many sequences."""
    client = source
    with ExitStack() as stack:
        if len(snapshot.sequences) >= MANY_SEQUENCES and read_version(pg_dump)[0] < ALL_SEQUENCES_VERSION:
            try:
                client = stack.enter_context(run_pg_dump_proxy(source, run.environment.private))
            except OSError as error:
                count = len(snapshot.sequences)
                effect = f"pg_dump sends one query for each of {count} sequences"
                run.reporter.log(f"the pg_dump proxy cannot start: {error}; {effect}", "warning")
        options = [*snapshot.scope.dump_options(), "--schema-only"]
        dump_source = DumpSource(source=source, client=client, snapshot_id=snapshot.id)
        run_pg_dump(run, pg_dump, dump_source, options, lambda _: None, beside)


def _count_refused_rows(snapshot: Snapshot, plan: RestorePlan) -> None:
    """Counts the rows of the tables that the target refused. Raises ImportStopped."""
    tables = {table.oid: table for table in snapshot.tables if not table.partitioned}
    for skipped in plan.skipped_tables:
        if (table := tables.get(skipped.entry.oid)) is not None:
            statement = sql.SQL("SELECT pg_catalog.count(*) FROM ONLY {}").format(table.identifier)
            try:
                row = snapshot.connection.execute(statement).fetchone()
            except psycopg.Error as error:
                action = f"the rows of {table.title} were counted"
                raise ImportStopped(translate_source_error(error, action)) from error
            plan.set_row_count(skipped.entry, row[0] if row else 0)


def _create_structure(run: ImportRun, restore: DefinitionRestore) -> frozenset[int]:
    """Creates what comes before the rows, and returns the oids that the relations have at the source."""
    run.meter.begin(Stage.SCHEMA, sum(entry.kind not in KINDS_AFTER_ROWS for entry in restore.plan.main_entries))
    restore.create_structure(run.meter.step)
    return frozenset(entry.oid for entry in restore.plan.restored_entries if entry.catalog == PG_CLASS)

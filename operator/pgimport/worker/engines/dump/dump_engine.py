"""Copies a live source through an archive of pg_dump in the scratch volume."""

from collections.abc import Callable
from pathlib import Path

from pgimport.worker.archive.partition_roots import find_detached_copies
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.toc import TOC_FILE, TocEntry
from pgimport.worker.archive.toc_rewrite import rewrite_entries
from pgimport.worker.archive.trim import TABLE
from pgimport.worker.engines.archive_rows import count_archive_rows
from pgimport.worker.engines.client_progress import PgDumpProgress, PgRestoreProgress
from pgimport.worker.engines.configuration_rows import (
    ConfigurationRows,
    describe_kept_rows,
    finish_rows,
    list_refused_rows,
    move_rows,
    open_staging,
)
from pgimport.worker.engines.copy_result import CopyResult, SourceSteps
from pgimport.worker.engines.definitions.phases import KINDS_AFTER_ROWS
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.detached_partitions import naming_detached_partitions
from pgimport.worker.engines.pg_dump import read_archive_entries, run_pg_dump
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.finish.sequence_values import set_sequences
from pgimport.worker.postgres.client_probe import DumpSource
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.server_progress import COPY_PROGRESS, INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.snapshot import Snapshot


def copy_by_dump(
    run: ImportRun,
    source: Endpoint,
    snapshot: Snapshot,
    pg_dump: Path,
    pg_restore: PgRestore,
    exclusions: Exclusions,
    steps: SourceSteps,
) -> CopyResult:
    """Copies structure, rows, sequences and indexes, and reports progress in stages. Raises ImportStopped."""
    _dump(run, source, snapshot, pg_dump, steps.read_definitions)
    steps.release()
    entries = read_archive_entries(run.archive_folder)
    row_counts = _count_rows(run, entries)
    plan = plan_restore(entries, exclusions)
    restore = DefinitionRestore(run, plan)
    configuration_rows = _restore(run, snapshot, pg_restore, restore)
    plan.skipped.extend(list_refused_rows(configuration_rows))
    for skipped in plan.skipped_entries.values():
        if skipped.entry.kind in (TABLE, "TABLE DATA") and skipped.entry.oid in row_counts:
            plan.set_row_count(skipped.entry, row_counts[skipped.entry.oid])
    notes = describe_kept_rows(configuration_rows)
    return CopyResult(plan=plan, restore=restore, notes=notes, row_counts=row_counts)


def _count_rows(run: ImportRun, entries: list[TocEntry]) -> dict[int, int]:
    """Counts the rows of each COPY in the archive, by the oid of its table at the source. Raises ImportStopped.

    pg_dump reports no numbers, and the source is released already.
    """
    counts = count_archive_rows(run.archive_folder, entries, run.meter.report_work)
    return {entry.oid: counts[entry.dump_id] for entry in entries if entry.dump_id in counts}


def _dump(run: ImportRun, source: Endpoint, snapshot: Snapshot, pg_dump: Path, beside: Callable[[], None]) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    progress = PgDumpProgress(run.meter, names, serial=run.jobs == 1)
    run.meter.begin(Stage.DUMP)
    # Rows of such partitions can belong into another partition of the copy.
    by_root = ["--load-via-partition-root"] if any(table.counted_as for table in snapshot.copied) else []
    options = [*by_root, *snapshot.scope.dump_options(), run.clients.compress_option(pg_dump), f"--jobs={run.jobs}"]
    with reporting_server_progress(run.meter, source, COPY_PROGRESS):
        dump_source = DumpSource(source=source, client=source, snapshot_id=snapshot.id)
        run_pg_dump(run, pg_dump, dump_source, options, progress.read_line, beside)


def _restore(
    run: ImportRun, snapshot: Snapshot, pg_restore: PgRestore, restore: DefinitionRestore
) -> list[ConfigurationRows]:
    """Returns what was restored into tables of extensions."""
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    plan, staging = restore.plan, open_staging(run)
    run.meter.begin(Stage.STRUCTURE, sum(entry.kind not in KINDS_AFTER_ROWS for entry in plan.main_entries))
    restore.create_structure(run.meter.step)
    copies = {**find_detached_copies(plan.restored_entries), **staging.redirect_entries(plan.main_entries)}
    rewrite_entries(run.archive_folder / TOC_FILE, {**restore.find_path_change(), **copies})
    run.meter.begin(Stage.ROWS)
    naming_detached = naming_detached_partitions(lambda: plan.skipped)
    with naming_detached, reporting_server_progress(run.meter, run.shadow, COPY_PROGRESS):
        row_progress = PgRestoreProgress(run.meter, plan.table_oids, names, serial=run.jobs == 1)
        pg_restore.restore_rows(restore.find_row_entries(), row_progress.read_line)
    configuration_rows = move_rows(run, staging)
    set_sequences(run.shadow_sessions, snapshot.sequences)
    run.meter.begin(Stage.INDEXES, sum(entry.kind in KINDS_AFTER_ROWS for entry in plan.main_entries))
    with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
        restore.create_post_data(run.meter.step)
    return [*configuration_rows, *finish_rows(run, staging)]

"""By a dump: a held snapshot comes in; pg_dump's archive lies in scratch for a while, then the shadow holds it."""

from pathlib import Path

from pgimport.worker.archive.selection import Exclusions, RestorePlan, plan_restore
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.engines.pg_restore import (
    AFTER_ROWS,
    LATER,
    CopyResult,
    LiveImportRun,
    read_archive_entries,
    run_dump,
    run_post_data,
    run_restore,
)
from pgimport.worker.finish.finishing import set_sequences
from pgimport.worker.postgres.server_progress import reporting_server_progress
from pgimport.worker.report.progress import PgDumpProgress, PgRestoreProgress, Stage
from pgimport.worker.scope.snapshot import Snapshot


def copy_by_dump(run: LiveImportRun, snapshot: Snapshot, program: Path, exclusions: Exclusions) -> CopyResult:
    """Structure, rows, sequences, indexes; each stage with its own progress. Raises Stopped."""
    _dump(run, snapshot, program)
    plan = plan_restore(read_archive_entries(run), exclusions)
    _restore(run, snapshot, plan)
    return CopyResult(contents=plan)


def _dump(run: LiveImportRun, snapshot: Snapshot, program: Path) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    ear = PgDumpProgress(run.meter, names, serial=run.jobs == 1)
    run.meter.begin(Stage.DUMP)
    with reporting_server_progress(run, run.source, "postgres/copy_progress"):
        options = [*snapshot.scope.dump_options(), run.clients.compress_option(program), f"--jobs={run.jobs}"]
        run_dump(run, program, snapshot.id, options, ear.read_line)


def _restore(run: LiveImportRun, snapshot: Snapshot, plan: RestorePlan) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    serial = run.jobs == 1
    rewrite_definitions(run.archive / "toc.dat", plan.changes)
    run.meter.begin(Stage.STRUCTURE, sum(entry.kind not in LATER for entry in plan.main))
    run_restore(run, "pre-data", plan.main, PgRestoreProgress(run.meter, {}, {}, serial=True).read_line, parallel=False)
    run.meter.begin(Stage.ROWS)
    with reporting_server_progress(run, run.shadow, "postgres/copy_progress"):
        run_restore(run, "data", plan.main, PgRestoreProgress(run.meter, plan.table_oids, names, serial).read_line)
    set_sequences(run, snapshot.sequences)
    run.meter.begin(Stage.INDEXES, sum(entry.kind in AFTER_ROWS for entry in plan.main))
    with reporting_server_progress(run, run.shadow, "postgres/index_progress"):
        run_post_data(run, plan.main, PgRestoreProgress(run.meter, {}, {}, serial).read_line)

"""By a dump: a held snapshot comes in; pg_dump's archive lies in scratch for a while, then the shadow holds it."""

from pathlib import Path

from pgimport.worker.archive.selection import Leave, Plan, plan_contents
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.engines.pg_restore import (
    AFTER_ROWS,
    LATER,
    Brought,
    LiveRun,
    read_contents,
    run_dump,
    run_post_data,
    run_restore,
)
from pgimport.worker.finish.finishing import set_sequences
from pgimport.worker.postgres.server_progress import watching
from pgimport.worker.report.progress import DumpEar, RestoreEar, Stage
from pgimport.worker.scope.snapshot import Snapshot


def bring_by_dump(run: LiveRun, snapshot: Snapshot, program: Path, leave: Leave) -> Brought:
    """Structure, rows, sequences, indexes; each stage with its own progress. Raises Stopped."""
    _dump(run, snapshot, program)
    plan = plan_contents(read_contents(run), leave)
    _restore(run, snapshot, plan)
    return Brought(contents=plan)


def _dump(run: LiveRun, snapshot: Snapshot, program: Path) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    ear = DumpEar(run.meter, names, serial=run.jobs == 1)
    run.meter.begin(Stage.DUMP)
    with watching(run, run.source, "copy_progress"):
        options = [*snapshot.scope.dump_options(), run.clients.compress_option(program), f"--jobs={run.jobs}"]
        run_dump(run, program, snapshot.id, options, ear.hear)


def _restore(run: LiveRun, snapshot: Snapshot, plan: Plan) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    serial = run.jobs == 1
    rewrite_definitions(run.archive / "toc.dat", plan.changes)
    run.meter.begin(Stage.STRUCTURE, sum(entry.kind not in LATER for entry in plan.main))
    run_restore(run, "pre-data", plan.main, RestoreEar(run.meter, {}, {}, serial=True).hear, parallel=False)
    run.meter.begin(Stage.ROWS)
    with watching(run, run.shadow, "copy_progress"):
        run_restore(run, "data", plan.main, RestoreEar(run.meter, plan.table_oids, names, serial).hear)
    set_sequences(run, snapshot.sequences)
    run.meter.begin(Stage.INDEXES, sum(entry.kind in AFTER_ROWS for entry in plan.main))
    with watching(run, run.shadow, "index_progress"):
        run_post_data(run, plan.main, RestoreEar(run.meter, {}, {}, serial).hear)

"""By the relay: a held snapshot comes in; its structure, by pg_dump, and its rows, by streams, are in the shadow."""

from contextlib import ExitStack
from pathlib import Path

from pgimport.worker.archive.selection import PG_CLASS, Exclusions, plan_restore
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.engines.pg_restore import (
    AFTER_ROWS,
    CopyResult,
    LiveImportRun,
    read_archive_entries,
    run_dump,
    run_post_data,
    run_restore,
)
from pgimport.worker.engines.relay.copy_scheduler import CopyScheduler
from pgimport.worker.engines.relay.copy_stream import StreamEndpoints
from pgimport.worker.engines.relay.index_builds import plan_index_builds
from pgimport.worker.engines.relay.pg_dump_proxy import MANY_SEQUENCES, run_pg_dump_proxy
from pgimport.worker.engines.relay.relay_inputs import keep_tables
from pgimport.worker.engines.relay.relay_plan import RelayInputs, plan_relay
from pgimport.worker.finish.finishing import set_sequences
from pgimport.worker.postgres.clients import read_version
from pgimport.worker.report.progress import PgRestoreProgress, Stage
from pgimport.worker.scope.snapshot import Snapshot

ASKS_AT_ONCE = 18  # the first pg_dump that asks for all sequences with one query


def copy_by_relay(
    run: LiveImportRun, snapshot: Snapshot, program: Path, exclusions: Exclusions, facts: RelayInputs
) -> CopyResult:
    """Structure; then rows and, as soon as a table's are in, its indexes; then what needs all rows. Raises Stopped."""
    _dump_structure(run, snapshot, program)
    contents = plan_restore(read_archive_entries(run), exclusions)
    rewrite_definitions(run.archive / "toc.dat", contents.changes)
    made = [entry for entry in contents.main if entry.kind not in AFTER_ROWS]
    run.meter.begin(Stage.SCHEMA, len(made))
    run_restore(
        run, "pre-data", contents.main, PgRestoreProgress(run.meter, {}, {}, serial=True).read_line, parallel=False
    )
    facts = keep_tables(facts, frozenset(one.oid for one in made if one.catalog == PG_CLASS))
    plan = plan_relay(facts, run.jobs)
    for note in plan.notes:
        run.reporter.log(note)
    builds = plan_index_builds(contents.main, facts.tables, facts.alone)
    built = {build.number for build in builds}
    later = sum(entry.kind in AFTER_ROWS and entry.dump_id not in built for entry in contents.main)
    ends = StreamEndpoints(source=run.source, shadow=run.shadow, snapshot=snapshot.id, encoding=facts.encoding)
    counts = CopyScheduler(run, ends, plan, builds, later).copy_rows()
    set_sequences(run, snapshot.sequences)
    run_post_data(run, contents.main, PgRestoreProgress(run.meter, {}, {}, run.jobs == 1).read_line, built=built)
    analyzed = frozenset((one.schema, one.name) for one in facts.tables if -one.oid in built)
    return CopyResult(contents=contents, notes=list(plan.notes), counts=counts, analyzed=analyzed)


def _dump_structure(run: LiveImportRun, snapshot: Snapshot, program: Path) -> None:
    options = [*snapshot.scope.dump_options(), "--schema-only"]
    with ExitStack() as stack:
        source = None
        if len(snapshot.sequences) >= MANY_SEQUENCES and read_version(program)[0] < ASKS_AT_ONCE:
            try:
                source = stack.enter_context(run_pg_dump_proxy(run.source, run.environment.private))
            except OSError as error:
                run.reporter.log(f"pg_dump asks for each of {len(snapshot.sequences)} sequences: {error}", "warning")
        run_dump(run, program, snapshot.id, options, lambda _: None, source)

"""By the relay: a held snapshot comes in; its structure, by pg_dump, and its rows, by streams, are in the shadow."""

from contextlib import ExitStack
from pathlib import Path

from pgimport.worker.archive.selection import PG_CLASS, Leave, plan_contents
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.engines.pg_restore import (
    AFTER_ROWS,
    Brought,
    LiveRun,
    read_contents,
    run_dump,
    run_post_data,
    run_restore,
)
from pgimport.worker.engines.relay.copy_scheduler import Relay
from pgimport.worker.engines.relay.copy_stream import Ends
from pgimport.worker.engines.relay.index_builds import plan_builds
from pgimport.worker.engines.relay.pg_dump_proxy import MANY, open_gateway
from pgimport.worker.engines.relay.relay_inputs import keep_tables
from pgimport.worker.engines.relay.relay_plan import Facts, plan_relay
from pgimport.worker.finish.finishing import set_sequences
from pgimport.worker.postgres.clients import read_version
from pgimport.worker.report.progress import RestoreEar, Stage
from pgimport.worker.scope.snapshot import Snapshot

ASKS_AT_ONCE = 18  # the first pg_dump that asks for all sequences with one query


def bring_by_relay(run: LiveRun, snapshot: Snapshot, program: Path, leave: Leave, facts: Facts) -> Brought:
    """Structure; then rows and, as soon as a table's are in, its indexes; then what needs all rows. Raises Stopped."""
    _dump_structure(run, snapshot, program)
    contents = plan_contents(read_contents(run), leave)
    rewrite_definitions(run.archive / "toc.dat", contents.changes)
    made = [entry for entry in contents.main if entry.kind not in AFTER_ROWS]
    run.meter.begin(Stage.SCHEMA, len(made))
    run_restore(run, "pre-data", contents.main, RestoreEar(run.meter, {}, {}, serial=True).hear, parallel=False)
    facts = keep_tables(facts, frozenset(one.oid for one in made if one.catalog == PG_CLASS))
    plan = plan_relay(facts, run.jobs)
    for note in plan.notes:
        run.reporter.log(note)
    builds = plan_builds(contents.main, facts.tables, facts.alone)
    built = {build.number for build in builds}
    later = sum(entry.kind in AFTER_ROWS and entry.dump_id not in built for entry in contents.main)
    ends = Ends(source=run.source, shadow=run.shadow, snapshot=snapshot.id, encoding=facts.encoding)
    counts = Relay(run, ends, plan, builds, later).bring()
    set_sequences(run, snapshot.sequences)
    run_post_data(run, contents.main, RestoreEar(run.meter, {}, {}, run.jobs == 1).hear, built=built)
    analyzed = frozenset((one.schema, one.name) for one in facts.tables if -one.oid in built)
    return Brought(contents=contents, notes=list(plan.notes), counts=counts, analyzed=analyzed)


def _dump_structure(run: LiveRun, snapshot: Snapshot, program: Path) -> None:
    options = [*snapshot.scope.dump_options(), "--schema-only"]
    with ExitStack() as stack:
        source = None
        if len(snapshot.sequences) >= MANY and read_version(program)[0] < ASKS_AT_ONCE:
            try:
                source = stack.enter_context(open_gateway(run.source, run.places.private))
            except OSError as error:
                run.reporter.log(f"pg_dump asks for each of {len(snapshot.sequences)} sequences: {error}", "warning")
        run_dump(run, program, snapshot.id, options, lambda _: None, source)

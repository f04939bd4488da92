"""The import: an order and a source come in, a verified copy in the shadow goes out.

gate → snapshot with locks → pg_dump → pre-data → rows → sequences → post-data → ANALYZE → counts
→ materialised views → policies and row security → structure. Only then is a copy verified.
"""

from dataclasses import fields
from pathlib import Path

import psycopg

from pgimport.model.addresses import Resolve
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import FailureReport, LeftObject, Verification, WorkerResult
from pgimport.model.spec import Verify
from pgimport.worker.clients import Children, Clients
from pgimport.worker.contents import Leave, Plan, plan_contents
from pgimport.worker.endpoints import Endpoint, resolve_host, shadow_endpoint
from pgimport.worker.failures import Stopped, translate_source_error
from pgimport.worker.file.importing import import_file
from pgimport.worker.finishing import analyze_tables, read_filled, refresh_materialized_views, set_sequences
from pgimport.worker.leaving import read_leave, read_unsaid
from pgimport.worker.lines import Reporter
from pgimport.worker.places import Places
from pgimport.worker.post_import import run_post_import
from pgimport.worker.progress import DumpEar, Meter, RestoreEar, Stage
from pgimport.worker.restore import LiveRun, Run, read_contents, run_dump, run_post_data, run_restore
from pgimport.worker.shadow import at_shadow, wait_for_gate
from pgimport.worker.snapshot import Snapshot, hold_snapshot
from pgimport.worker.source import FileSource, read_source
from pgimport.worker.trimming import rewrite_definitions
from pgimport.worker.verify import Findings, build_unverified, verify_rows, verify_structure
from pgimport.worker.watching import watching


def run_import(
    order: Order, places: Places, reporter: Reporter, clients: Clients, children: Children,
    resolve: Resolve = resolve_host,
) -> WorkerResult:  # fmt: skip
    """Copy and verify; every expected failure is in the result."""
    try:
        run = _prepare(order, places, reporter, clients, children)
        source = read_source(places, order, resolve, reporter)
        wait_for_gate(run.shadow, reporter)
        verification, failure = _import_from(run, source)
    except Stopped as stopped:
        verification, failure = None, stopped.failure
    report = FailureReport(reason=failure.reason, message=failure.message) if failure else None
    return WorkerResult(step="import", ok=failure is None, failure=report, verification=verification)


def _import_from(run: Run, source: Endpoint | FileSource) -> tuple[Verification, Failure | None]:
    if isinstance(source, FileSource):
        return import_file(run, source)
    with hold_snapshot(source, run.order) as snapshot:
        return _copy(LiveRun(**{one.name: getattr(run, one.name) for one in fields(run)}, source=source), snapshot)


def _prepare(order: Order, places: Places, reporter: Reporter, clients: Clients, children: Children) -> Run:
    """Read what this attempt was given. Raises Stopped."""
    if places.seed is None:
        raise Stopped(Failure(Reason.ORDER_UNREADABLE, "the import was started without its seed file"))
    try:
        seed = places.seed.read_bytes()
    except OSError as error:
        raise Stopped(Failure(Reason.ORDER_UNREADABLE, f"the seed file is unreadable: {error.strerror}")) from None
    shadow = shadow_endpoint(order.target, places.pod_uid, seed)
    reporter.hide(shadow.password, seed.hex())
    return Run(
        order=order,
        places=places,
        clients=clients,
        children=children,
        reporter=reporter,
        meter=Meter(reporter),
        shadow=shadow,
        restore=clients.find_restore(order.target.server_version_num // 10000),
    )


def _copy(run: LiveRun, snapshot: Snapshot) -> tuple[Verification, Failure | None]:
    run.meter.plan({table.oid: table.bytes for table in snapshot.copied})
    run.meter.begin(Stage.SNAPSHOT)
    dump = run.clients.find_dump(snapshot.server_version_num // 10000, run.order.target.server_version_num // 10000)
    run.reporter.log(
        f"copying {len(snapshot.copied)} tables from {run.source.place} with {dump.path} and {run.restore}",
        tables=len(snapshot.copied),
    )
    leave, unsaid = _read_leaving(run, snapshot)
    _dump(run, snapshot, dump.path)
    plan = plan_contents(read_contents(run), leave)
    _restore(run, snapshot, plan)
    analyze_tables(run)
    findings = Findings(notes=[f"left behind: {one.object}: {one.why}" for one in (*unsaid, *plan.left)])
    findings.notes += [dump.note] if dump.note else []
    findings.notes += [f"without its rows, as spec.filter says: {s}.{n}" for s, n in snapshot.scope.rowless_names]
    checked = run.order.verify is not Verify.NONE
    if checked:
        verify_rows(run, snapshot, findings)
    findings.notes += refresh_materialized_views(run, read_filled(snapshot))
    run_restore(run, "post-data", plan.last, lambda _: None, parallel=False)
    if not checked:
        findings.notes += run_post_import(run)
        unverified = build_unverified()
        return unverified.model_copy(update={"notes": [*unverified.notes, *findings.notes]}), None
    verify_structure(run, snapshot, plan.left_keys | leave.objects.keys(), plan.left_checks, findings)
    if findings.good:
        findings.notes += run_post_import(run)
    return findings.to_verification(), None if findings.good else findings.to_failure()


def _read_leaving(run: LiveRun, snapshot: Snapshot) -> tuple[Leave, list[LeftObject]]:
    with at_shadow(run.shadow, "its schemas and roles were listed") as shadow:
        leave = read_leave(shadow, snapshot.scope)
    try:
        return leave, read_unsaid(snapshot.connection)
    except psycopg.Error as error:
        raise Stopped(translate_source_error(error, "what cannot come along was listed")) from error


def _dump(run: LiveRun, snapshot: Snapshot, program: Path) -> None:
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    ear = DumpEar(run.meter, names, serial=run.jobs == 1)
    run.meter.begin(Stage.DUMP)
    with watching(run, run.source, "copy_progress"):
        run_dump(run, program, snapshot.id, snapshot.scope.dump_options(), ear.hear)


def _restore(run: LiveRun, snapshot: Snapshot, plan: Plan) -> None:
    """Structure, rows, sequences, indexes; each stage with its own progress."""
    names = {table.oid: (table.schema, table.name) for table in snapshot.copied}
    serial = run.jobs == 1
    rewrite_definitions(run.archive / "toc.dat", plan.changes)
    run.meter.begin(Stage.STRUCTURE, sum(entry.kind not in _LATER for entry in plan.main))
    run_restore(run, "pre-data", plan.main, RestoreEar(run.meter, {}, {}, serial=True).hear, parallel=False)
    run.meter.begin(Stage.ROWS)
    with watching(run, run.shadow, "copy_progress"):
        run_restore(run, "data", plan.main, RestoreEar(run.meter, plan.table_oids, names, serial).hear)
    set_sequences(run, snapshot.sequences)
    run.meter.begin(Stage.INDEXES, sum(entry.kind in _AFTER_ROWS for entry in plan.main))
    with watching(run, run.shadow, "index_progress"):
        run_post_data(run, plan.main, RestoreEar(run.meter, {}, {}, serial).hear)


# Kinds that pg_restore makes after the rows; only their number matters, for the percentage.
_AFTER_ROWS = frozenset({"INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "STATISTICS"})
_LATER = _AFTER_ROWS | {"TABLE DATA", "BLOBS"}

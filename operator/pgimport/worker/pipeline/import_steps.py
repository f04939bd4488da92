"""The import: an order and a source come in, a verified copy in the shadow goes out.

gate → snapshot with locks → structure, rows, sequences, indexes (by the relay, or by a dump) → ANALYZE → counts
→ materialised views → policies and row security → structure compared. Only then is a copy verified.
"""

from dataclasses import fields, replace
from pathlib import Path

import psycopg

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import FailureReport, SkippedObject, Verification, WorkerResult
from pgimport.model.source_addresses import Resolve
from pgimport.model.spec import Engine, Verify
from pgimport.worker.archive.selection import Leave
from pgimport.worker.engines.dump.dump_engine import bring_by_dump
from pgimport.worker.engines.pg_restore import Brought, LiveRun, Run, run_restore
from pgimport.worker.engines.relay.relay_engine import bring_by_relay
from pgimport.worker.engines.relay.relay_inputs import read_facts
from pgimport.worker.engines.relay.relay_plan import choose_engine
from pgimport.worker.environment import Places
from pgimport.worker.finish.finishing import analyze_tables, read_filled, refresh_materialized_views
from pgimport.worker.finish.post_import import run_post_import
from pgimport.worker.memory import keep_freed_memory
from pgimport.worker.pipeline.file_import import import_file
from pgimport.worker.postgres.clients import Children, Clients
from pgimport.worker.postgres.endpoints import Connection, Endpoint, resolve_host, shadow_endpoint
from pgimport.worker.postgres.errors import Stopped, translate_source_error
from pgimport.worker.postgres.shadow import at_shadow, wait_for_gate
from pgimport.worker.postgres.source import FileSource, read_source
from pgimport.worker.report.progress import Meter, Pulse, Stage
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.scope.live_scope import read_leave, read_unsaid
from pgimport.worker.scope.snapshot import Snapshot, hold_snapshot
from pgimport.worker.verify.verification import Findings, build_unverified, verify_rows, verify_structure

HOLD_SECONDS = 30.0  # between two words to the snapshot's connection: some proxies end one that is silent


def run_import(
    order: Order, places: Places, reporter: Reporter, clients: Clients, children: Children,
    resolve: Resolve = resolve_host,
) -> WorkerResult:  # fmt: skip
    """Copy and verify; every expected failure is in the result."""
    keep_freed_memory()
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
    leave, unsaid = _read_leaving(run, snapshot)
    brought = _bring(run, snapshot, dump.path, leave)
    analyze_tables(run, brought.analyzed)
    plan = brought.contents
    findings = Findings(notes=[f"left behind: {one.object}: {one.why}" for one in (*unsaid, *plan.left)])
    findings.notes += [*brought.notes, *([dump.note] if dump.note else [])]
    findings.notes += [f"without its rows, as spec.filter says: {s}.{n}" for s, n in snapshot.scope.rowless_names]
    checked = run.order.verify is not Verify.NONE
    if checked:
        verify_rows(run, snapshot, brought, findings)
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


def _bring(run: LiveRun, snapshot: Snapshot, program: Path, leave: Leave) -> Brought:
    """By the relay, unless the user or the source wants a dump."""
    facts = read_facts(snapshot, run.source, run.shadow.host)
    engine, why = choose_engine(run.order.engine, facts)
    if engine is not run.order.engine and run.order.engine is not Engine.AUTO:
        raise Stopped(Failure(Reason.NOT_SUPPORTED, f"spec.engine: relay cannot bring this source: {why}"))
    run.reporter.log(
        f"copying {len(snapshot.copied)} tables from {run.source.place} by {engine.value}, with {program} and"
        f" {run.restore}",
        tables=len(snapshot.copied),
    )
    with Pulse(lambda: _say_something(snapshot.connection), HOLD_SECONDS):
        if engine is Engine.RELAY:
            return bring_by_relay(run, snapshot, program, leave, facts)
        brought = bring_by_dump(run, snapshot, program, leave)
    return replace(brought, notes=[f"the rows came by a dump: {why}"] if why else [])


def _say_something(connection: Connection) -> None:
    connection.execute("SELECT")


def _read_leaving(run: LiveRun, snapshot: Snapshot) -> tuple[Leave, list[SkippedObject]]:
    with at_shadow(run.shadow, "its schemas and roles were listed") as shadow:
        leave = read_leave(shadow, snapshot.scope)
    try:
        return leave, read_unsaid(snapshot.connection)
    except psycopg.Error as error:
        raise Stopped(translate_source_error(error, "what cannot come along was listed")) from error

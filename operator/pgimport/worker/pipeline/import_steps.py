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
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.engines.dump.dump_engine import copy_by_dump
from pgimport.worker.engines.pg_restore import CopyResult, ImportRun, LiveImportRun, run_restore
from pgimport.worker.engines.relay.relay_engine import copy_by_relay
from pgimport.worker.engines.relay.relay_inputs import read_relay_inputs
from pgimport.worker.engines.relay.relay_plan import choose_engine
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.finish.finishing import analyze_tables, read_filled, refresh_materialized_views
from pgimport.worker.finish.post_import import run_post_import
from pgimport.worker.memory import keep_freed_memory
from pgimport.worker.pipeline.file_import import import_file
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.endpoints import Connection, Endpoint, build_shadow_endpoint, resolve_host
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.shadow import shadow_connection, wait_for_gate
from pgimport.worker.postgres.source import FileLocation, read_source_location
from pgimport.worker.report.progress import PeriodicCall, ProgressMeter, Stage
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.scope.live_scope import read_exclusions, read_undumped_objects
from pgimport.worker.scope.snapshot import Snapshot, hold_snapshot
from pgimport.worker.verify.verification import Findings, build_unverified, verify_rows, verify_structure

HOLD_SECONDS = 30.0  # between two words to the snapshot's connection: some proxies end one that is silent


def run_import(
    order: Order,
    environment: WorkerEnvironment,
    reporter: Reporter,
    clients: ClientPrograms,
    children: ClientProcesses,
    resolve: Resolve = resolve_host,
) -> WorkerResult:
    """Copy and verify; every expected failure is in the result."""
    keep_freed_memory()
    try:
        run = _prepare(order, environment, reporter, clients, children)
        source = read_source_location(environment, order, resolve, reporter)
        wait_for_gate(run.shadow, reporter)
        verification, failure = _import_from(run, source)
    except ImportStopped as stopped:
        verification, failure = None, stopped.failure
    report = FailureReport(reason=failure.reason, message=failure.message) if failure else None
    return WorkerResult(step="import", ok=failure is None, failure=report, verification=verification)


def _import_from(run: ImportRun, source: Endpoint | FileLocation) -> tuple[Verification, Failure | None]:
    if isinstance(source, FileLocation):
        return import_file(run, source)
    with hold_snapshot(source, run.order) as snapshot:
        return _copy(
            LiveImportRun(**{one.name: getattr(run, one.name) for one in fields(run)}, source=source), snapshot
        )


def _prepare(
    order: Order, environment: WorkerEnvironment, reporter: Reporter, clients: ClientPrograms, children: ClientProcesses
) -> ImportRun:
    """Read what this attempt was given. Raises Stopped."""
    if environment.seed is None:
        raise ImportStopped(Failure(Reason.ORDER_UNREADABLE, "the import was started without its seed file"))
    try:
        seed = environment.seed.read_bytes()
    except OSError as error:
        raise ImportStopped(
            Failure(Reason.ORDER_UNREADABLE, f"the seed file is unreadable: {error.strerror}")
        ) from None
    shadow = build_shadow_endpoint(order.target, environment.pod_uid, seed)
    reporter.hide(shadow.password, seed.hex())
    return ImportRun(
        order=order,
        environment=environment,
        clients=clients,
        children=children,
        reporter=reporter,
        meter=ProgressMeter(reporter),
        shadow=shadow,
        restore=clients.find_restore(order.target.server_version_num // 10000),
    )


def _copy(run: LiveImportRun, snapshot: Snapshot) -> tuple[Verification, Failure | None]:
    run.meter.plan({table.oid: table.bytes for table in snapshot.copied})
    run.meter.begin(Stage.SNAPSHOT)
    dump = run.clients.find_dump(snapshot.server_version_num // 10000, run.order.target.server_version_num // 10000)
    exclusions, unsaid = _read_leaving(run, snapshot)
    brought = _bring(run, snapshot, dump.path, exclusions)
    analyze_tables(run, brought.analyzed)
    plan = brought.contents
    findings = Findings(notes=[f"left behind: {one.object}: {one.reason}" for one in (*unsaid, *plan.left)])
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
    verify_structure(run, snapshot, plan.skipped_keys | exclusions.objects.keys(), plan.skipped_checks, findings)
    if findings.good:
        findings.notes += run_post_import(run)
    return findings.to_verification(), None if findings.good else findings.to_failure()


def _bring(run: LiveImportRun, snapshot: Snapshot, program: Path, exclusions: Exclusions) -> CopyResult:
    """By the relay, unless the user or the source wants a dump."""
    facts = read_relay_inputs(snapshot, run.source, run.shadow.host)
    engine, why = choose_engine(run.order.engine, facts)
    if engine is not run.order.engine and run.order.engine is not Engine.AUTO:
        raise ImportStopped(Failure(Reason.NOT_SUPPORTED, f"spec.engine: relay cannot bring this source: {why}"))
    run.reporter.log(
        f"copying {len(snapshot.copied)} tables from {run.source.address} by {engine.value}, with {program} and"
        f" {run.restore}",
        tables=len(snapshot.copied),
    )
    with PeriodicCall(lambda: _say_something(snapshot.connection), HOLD_SECONDS):
        if engine is Engine.RELAY:
            return copy_by_relay(run, snapshot, program, exclusions, facts)
        brought = copy_by_dump(run, snapshot, program, exclusions)
    return replace(brought, notes=[f"the rows came by a dump: {why}"] if why else [])


def _say_something(connection: Connection) -> None:
    connection.execute("SELECT")


def _read_leaving(run: LiveImportRun, snapshot: Snapshot) -> tuple[Exclusions, list[SkippedObject]]:
    with shadow_connection(run.shadow, "its schemas and roles were listed") as shadow:
        exclusions = read_exclusions(shadow, snapshot.scope)
    try:
        return exclusions, read_undumped_objects(snapshot.connection)
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "what cannot come along was listed")) from error

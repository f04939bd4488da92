"""Runs one import, of a live source or of a dump file, into the shadow.

    gate → copy → ANALYZE → compare rows → refresh materialised views → row security → compare definitions
    → spec.postImport

The copy releases the source as soon as its last row is read.

A copy counts as verified only after the last comparison. The operator then swaps it in.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from pgimport.model.import_choices import Engine, OnObjectError, Verify
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import FailureReport, SkippedObject, Verification, WorkerResult
from pgimport.model.source_addresses import Resolve
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.finish.analyze import analyze_tables
from pgimport.worker.finish.materialized_views import refresh_materialized_views
from pgimport.worker.finish.post_import import run_post_import
from pgimport.worker.memory import keep_freed_memory
from pgimport.worker.pipeline.source import Source
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.early_login import EarlyLogin
from pgimport.worker.postgres.endpoints import Endpoint, build_shadow_endpoint, resolve_host, settle_tls
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.interruption import Interruption
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.postgres.shadow_state import read_shadow_state
from pgimport.worker.postgres.source import DumpLocation, read_source_location
from pgimport.worker.postgres.target_watch import TargetWatch
from pgimport.worker.report.progress_meter import ProgressMeter, Stage
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.run import ImportRun
from pgimport.worker.verify.findings import Findings, build_unverified


def run_import(
    order: Order,
    environment: WorkerEnvironment,
    reporter: Reporter,
    clients: ClientPrograms,
    processes: ClientProcesses,
    resolve: Resolve = resolve_host,
) -> WorkerResult:
    """Copies the source and verifies the copy. Returns expected failures in the result instead of raising them."""
    keep_freed_memory()
    try:
        run = _prepare(order, environment, reporter, clients, processes)
        pg_restore = PgRestore(run)
        location = read_source_location(environment, order, resolve, reporter)
        with closing(run.shadow_sessions), ExitStack() as stack:
            origin = stack.enter_context(closing(EarlyLogin(location))) if isinstance(location, Endpoint) else location
            _import_modules(order, origin)
            run.shadow_sessions.wait_for_gate(reporter)
            with run.shadow_sessions.session("its extensions were listed") as shadow:
                run = replace(run, shadow_state=read_shadow_state(shadow))
            with run.target_watch.running(), _open_source(run, pg_restore, origin) as source:
                return run_steps(run, source)
    except ImportStopped as stopped:
        return _build_result(None, stopped.failure)


def _build_result(
    verification: Verification | None, failure: Failure | None, skipped: Sequence[SkippedObject] = ()
) -> WorkerResult:
    report = FailureReport.from_failure(failure) if failure else None
    return WorkerResult(
        step="import", ok=failure is None, failure=report, verification=verification, skipped=list(skipped)
    )


def run_steps(run: ImportRun, source: Source) -> WorkerResult:
    """Runs all steps after the gate. Raises ImportStopped."""
    copied = source.copy()
    analyze_notes = analyze_tables(run.shadow_sessions, run.jobs, run.meter, copied.analyzed)
    notes = [*run.shadow_state.record.notes, *copied.notes, *analyze_notes]
    findings = Findings(notes=notes, skipped=copied.skipped)
    comparing = run.order.verify is not Verify.NONE
    if comparing:
        source.compare_rows(findings)
    unfilled, view_notes = refresh_materialized_views(run.shadow_sessions, copied.populated_views)
    if unfilled and run.order.on_object_error is OnObjectError.FAIL:
        message = f"the target refused {unfilled[0].object}: {unfilled[0].reason}"
        raise ImportStopped(Failure(Reason.RESTORE_FAILED, message))
    findings.skipped += unfilled
    findings.notes += view_notes
    source.restore_row_security()
    if comparing:
        source.compare_definitions(findings)
    if not findings.equal:
        return _build_result(findings.to_verification(), findings.to_failure(), findings.skipped)
    if run.environment.post_import is not None:
        run.reporter.log("running the SQL of spec.postImport")
        script = run.environment.post_import
        findings.notes += run_post_import(run.shadow_sessions, script, run.jobs, run.meter)
    verification = findings.to_verification() if comparing else build_unverified(findings.notes)
    result = _build_result(verification, None, findings.skipped)
    return result.model_copy(update={"data_as_of": copied.data_as_of})


def _import_modules(order: Order, origin: EarlyLogin | DumpLocation) -> None:
    """Imports the modules of the likely engine while the operator prepares the shadow, which saves 0.1 s."""
    if isinstance(origin, EarlyLogin):
        import pgimport.worker.pipeline.live_source

        if order.engine is not Engine.DUMP:
            import pgimport.worker.engines.relay.relay_engine  # noqa: F401


@contextmanager
def _open_source(run: ImportRun, pg_restore: PgRestore, origin: EarlyLogin | DumpLocation) -> Iterator[Source]:
    # Import only the engines of this kind of source, which saves 0.1 s.
    if not isinstance(origin, EarlyLogin):
        from pgimport.worker.pipeline.file_source import FileSource

        run.meter.begin(Stage.SNAPSHOT)
        yield FileSource(run, pg_restore, origin)
        return
    from pgimport.worker.pipeline.live_source import LiveSource
    from pgimport.worker.scope.snapshot import hold_snapshot

    connection = origin.take()
    source = settle_tls(origin.endpoint, connection)  # for pg_dump, which cannot try both ways
    run.meter.begin_hold()
    with hold_snapshot(connection, source, run.order, run.shadow_state, run.meter.report_waiting) as snapshot:
        yield LiveSource(run, pg_restore, source, snapshot)


def _prepare(
    order: Order,
    environment: WorkerEnvironment,
    reporter: Reporter,
    clients: ClientPrograms,
    processes: ClientProcesses,
) -> ImportRun:
    """Reads the seed and derives the shadow's endpoint from it. Raises ImportStopped."""
    if environment.seed is None:
        raise ImportStopped(Failure(Reason.ORDER_UNREADABLE, "the import was started without its seed file"))
    try:
        seed = environment.seed.read_bytes()
    except OSError as error:
        message = f"the seed file is unreadable: {error.strerror}"
        raise ImportStopped(Failure(Reason.ORDER_UNREADABLE, message)) from None
    shadow = build_shadow_endpoint(order.target, environment.pod_uid, seed)
    reporter.hide(shadow.password, seed.hex())
    meter, interruption = ProgressMeter(reporter), Interruption()
    return ImportRun(
        order=order,
        environment=environment,
        clients=clients,
        processes=processes,
        reporter=reporter,
        meter=meter,
        interruption=interruption,
        target_watch=TargetWatch(shadow, meter.report_work, interruption.request),
        shadow_sessions=ShadowSessions(shadow),
    )

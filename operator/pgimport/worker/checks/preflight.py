"""The checks that are made before anything is: an order and a source come in, a report goes out."""

from pgimport.model.import_choices import Engine, Verify
from pgimport.model.import_spec import CHECKSUMS_NEED_LIVE_SOURCE, RELAY_NEEDS_LIVE_SOURCE
from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import WorkerResult
from pgimport.model.source_addresses import Resolve
from pgimport.worker.checks.check_results import SourceReport, build_result, failed_check
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.endpoints import resolve_host
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation, read_source_location
from pgimport.worker.report.reporter import Reporter


def run_preflight(
    order: Order, environment: WorkerEnvironment, reporter: Reporter, resolve: Resolve = resolve_host
) -> WorkerResult:
    """Look at the source and judge it; never raises for what a source may be."""
    try:
        source = read_source_location(environment, order, resolve, reporter)
        if isinstance(source, FileLocation):
            if order.verify is Verify.CHECKSUMS:
                raise ImportStopped(Failure(Reason.NOT_SUPPORTED, CHECKSUMS_NEED_LIVE_SOURCE))
            if order.engine is Engine.RELAY:
                raise ImportStopped(Failure(Reason.NOT_SUPPORTED, RELAY_NEEDS_LIVE_SOURCE))
            from pgimport.worker.checks.dump_file_reader import check_file  # saves a live source 0.1 s

            report = check_file(order, source)
        elif order.sha256 is not None:
            raise ImportStopped(
                Failure(Reason.SOURCE_URL_INVALID, "spec.source.sha256 is of a dump file, not of a database")
            )
        else:
            from pgimport.worker.checks.live_source_checks import check_source

            report = check_source(order, source)
    except ImportStopped as stopped:
        check = (
            CheckName.SOURCE_NOT_POOLED
            if stopped.failure.reason is Reason.SOURCE_POOLED
            else CheckName.SOURCE_REACHABLE
        )
        report = SourceReport([failed_check(check, stopped.failure.reason, stopped.failure.message)])
    return build_result(order, report)

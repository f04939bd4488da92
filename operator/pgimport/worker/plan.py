"""What an import would do, without doing it: an order and a source come in, one line of JSON goes out."""

from pgimport.model.import_choices import Engine
from pgimport.model.order import Order
from pgimport.model.result import FailureReport, WorkerResult
from pgimport.model.source_addresses import Resolve
from pgimport.worker.engines.relay.relay_inputs import read_relay_inputs
from pgimport.worker.engines.relay.relay_plan import choose_engine, describe_plan, plan_relay
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.endpoints import Endpoint, resolve_host
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation, read_source_location
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.scope.snapshot import hold_snapshot


def run_plan(
    order: Order, environment: WorkerEnvironment, reporter: Reporter, resolve: Resolve = resolve_host
) -> WorkerResult:
    """Every expected failure is in the result."""
    try:
        source = read_source_location(environment, order, resolve, reporter)
        reporter.plan(
            ["a dump file: restored as it comes"] if isinstance(source, FileLocation) else _plan(order, source)
        )
    except ImportStopped as stopped:
        report = FailureReport(reason=stopped.failure.reason, message=stopped.failure.message)
        return WorkerResult(step="plan", ok=False, failure=report)
    return WorkerResult(step="plan", ok=True)


def _plan(order: Order, source: Endpoint) -> list[str]:
    with hold_snapshot(source, order) as snapshot:
        facts = read_relay_inputs(snapshot, source, order.target.host)
        engine, why = choose_engine(order.engine, facts)
        if engine is Engine.DUMP:
            return [f"by a dump, {order.jobs} at once" + (f": {why}" if why else "")]
        return ["by the relay", *describe_plan(facts, plan_relay(facts, order.jobs))]

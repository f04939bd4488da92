"""Reports what an import would do, without doing it."""

from pgimport.model.import_choices import Engine
from pgimport.model.order import Order
from pgimport.model.result import FailureReport, WorkerResult
from pgimport.model.source_addresses import Resolve
from pgimport.worker.engines.relay.relay_inputs import read_relay_inputs
from pgimport.worker.engines.relay.relay_plan import choose_engine, describe_plan, plan_relay
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.endpoints import Endpoint, resolve_host
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation, LocalDump, open_source_connection, read_source_location
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.scope.snapshot import hold_snapshot
from pgimport.worker.text import count_of


def run_plan(
    order: Order, environment: WorkerEnvironment, reporter: Reporter, resolve: Resolve = resolve_host
) -> WorkerResult:
    """Prints the steps as one line of JSON. The result contains the failure if the source cannot be read."""
    try:
        source = read_source_location(environment, order, resolve, reporter)
        if isinstance(source, FileLocation | LocalDump):
            reporter.plan(["restore the dump file"])
        else:
            reporter.plan(_read_steps(order, source, reporter))
    except ImportStopped as stopped:
        report = FailureReport.from_failure(stopped.failure)
        return WorkerResult(step="plan", ok=False, failure=report)
    return WorkerResult(step="plan", ok=True)


def _read_steps(order: Order, source: Endpoint, reporter: Reporter) -> list[str]:
    """Returns one line for the engine and, for the relay, one for each step. Raises ImportStopped."""
    connection = open_source_connection(source)
    with hold_snapshot(connection, source, order, on_wait=lambda text: reporter.log(text, "warning")) as snapshot:
        inputs = read_relay_inputs(snapshot, source, order.target.host)
        engine, reason = choose_engine(order.engine, inputs)
        if engine is Engine.DUMP:
            return [f"engine dump, {count_of(order.jobs, 'job')}" + (f": {reason}" if reason else "")]
        return ["engine relay", *describe_plan(inputs, plan_relay(inputs, order.jobs))]

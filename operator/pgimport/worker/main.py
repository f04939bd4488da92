"""The worker's programs, `preflight`, `plan` and `import`: environment in; result, JSON lines, exit code out."""

import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TextIO

from pgimport.model import order as words
from pgimport.model.order import Order
from pgimport.model.reasons import EXIT_OK, EXIT_TERMINATED, Failure, Reason
from pgimport.model.result import FailureReport, WorkerResult, build_termination_message
from pgimport.worker.environment import WorkerEnvironment, parse_environment, parse_order
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.report.reporter import Reporter, utc_now

Step = Literal["preflight", "plan", "import"]
STEPS: tuple[Step, ...] = ("preflight", "plan", "import")
EXIT_USAGE = 2


def main(argv: list[str], environ: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> int:
    """`argv` is one of the programs' names; returns the exit code."""
    step = next((step for step in STEPS if argv == [step]), None)
    if step is None:
        print(f"usage: python -m pgimport worker {{{'|'.join(STEPS)}}}", file=sys.stderr)
        return EXIT_USAGE
    reporter = Reporter(stream or sys.stdout)
    children = ClientProcesses()
    _end_on_sigterm(children)
    environment, order = parse_environment(environ), parse_order(environ.get(words.ENV_ORDER))
    if isinstance(environment, Failure) or isinstance(order, Failure):
        failure = environment if isinstance(environment, Failure) else order if isinstance(order, Failure) else None
        assert failure is not None  # noqa: S101 (one of the two it was)
        reporter.log(failure.message, "error")
        _leave_message(environ.get(words.ENV_TERMINATION_MESSAGE), _failed(step, failure))
        return failure.exit_code
    result = _work(step, order, environment, reporter, children, environ)
    return report_result(result, order, environment, reporter)


def _work(
    step: Step,
    order: Order,
    environment: WorkerEnvironment,
    reporter: Reporter,
    children: ClientProcesses,
    environ: Mapping[str, str],
) -> WorkerResult:
    """The only place that catches everything: a traceback goes to the log, its last line to the result."""
    try:
        # Each program loads what it needs: a preflight waits 0.1 s less.
        if step == "preflight":
            from pgimport.worker.checks.preflight import run_preflight

            return run_preflight(order, environment, reporter)
        if step == "plan":
            from pgimport.worker.plan import run_plan

            return run_plan(order, environment, reporter)
        from pgimport.worker.pipeline.import_steps import run_import

        return run_import(order, environment, reporter, read_clients(environ), children)
    except Exception as error:
        reporter.log("an unexpected error", "error", traceback=traceback.format_exc())
        said = str(error).strip().splitlines()
        message = f"{type(error).__name__}: {said[0] if said else 'no message'}"
        return _failed(step, Failure(Reason.WORKER_FAILED, message))


def read_clients(environ: Mapping[str, str]) -> ClientPrograms:
    """Where the clients are; the image's own place unless the environment names another."""
    root = environ.get(words.ENV_CLIENTS)
    return ClientPrograms() if not root else ClientPrograms(bin_root=Path(root))


def _failed(step: Step, failure: Failure) -> WorkerResult:
    return WorkerResult(step=step, ok=False, failure=FailureReport(reason=failure.reason, message=failure.message))


def report_result(result: WorkerResult, order: Order, environment: WorkerEnvironment, reporter: Reporter) -> int:
    """The whole report as one log line, what fits of it as termination message; returns the exit code."""
    result = _redacted(result, reporter).model_copy(update={"ended_at": utc_now()})
    failure = result.failure.to_failure() if result.failure else None
    said = "all is well" if failure is None else failure.format_with_hint()
    reporter.log(f"{result.step} ended: {said}", "info" if result.ok else "error", result=result.to_json())
    result = result.model_copy(update={"stdout_tail": reporter.tail(), "stderr_tail": reporter.client_tail() or None})
    try:
        _leave_message(str(environment.termination_message), result)
    except ValueError as error:
        failure = Failure(Reason.WORKER_FAILED, f"the source's extensions and locale cannot be reported: {error}")
        _leave_message(str(environment.termination_message), _failed(result.step, failure))
        return failure.exit_code
    if failure is None or (order.dry_run and result.preflight is not None):
        return EXIT_OK
    return failure.exit_code


def _redacted(result: WorkerResult, reporter: Reporter) -> WorkerResult:
    """Servers may repeat in an error what they were sent: every text that may come from one is looked through."""
    changes: dict[str, object] = {}
    if found := result.failure:
        changes["failure"] = found.model_copy(update={"message": reporter.redact(found.message)})
    if report := result.preflight:
        checks = [check.model_copy(update={"detail": reporter.redact(check.detail)}) for check in report.checks]
        changes["preflight"] = report.model_copy(update={"checks": checks})
    if verified := result.verification:
        texts = {"notes": verified.notes, "not_compared": verified.not_compared}
        redacted = {name: [reporter.redact(text) for text in found] for name, found in texts.items()}
        changes["verification"] = verified.model_copy(update=redacted)
    return result.model_copy(update=changes)


def _leave_message(path: str | None, result: WorkerResult) -> None:
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(build_termination_message(result))


def _end_on_sigterm(children: ClientProcesses) -> None:
    """As PID 1 a process has no default for SIGTERM. Clients are ended first: they cancel at the servers."""

    def end(_signal: int, _frame: object) -> None:
        children.end_all()
        os._exit(EXIT_TERMINATED)

    signal.signal(signal.SIGTERM, end)

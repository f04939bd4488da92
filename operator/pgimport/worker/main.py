"""Runs one of the worker's programs: `preflight`, `plan`, `import`, or `run`, which is preflight and then import.

The order and the paths of all files come from environment variables (pgimport.model.order). The result is written as
termination message and as a log line on standard output; the exit code is that of its reason
(docs/reference/reasons.md).
"""

import os
import secrets
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO

from pgimport.model import order as order_model
from pgimport.model.import_report import build_report_lines, pack_lines
from pgimport.model.order import Order
from pgimport.model.reasons import EXIT_OK, EXIT_TERMINATED, Failure, Reason
from pgimport.model.report_carrier import REPORT_BYTES, encode_report
from pgimport.model.result import FailureReport, ReportDigest, WorkerResult
from pgimport.model.termination_message import build_termination_message, cut_lists
from pgimport.worker.environment import WorkerEnvironment, parse_environment, parse_order
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.errors import translate_unexpected_error
from pgimport.worker.report.reporter import Reporter, utc_now
from pgimport.worker.report.result_texts import change_texts, order_skipped, without_row_values

Program = Literal["preflight", "plan", "import", "run"]
Step = Literal["preflight", "plan", "import"]
PROGRAMS: tuple[Program, ...] = ("preflight", "plan", "import", "run")
EXIT_USAGE = 2


def main(argv: list[str], environ: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> int:
    """Runs the program that `argv` names and returns its exit code. Log lines go to `stream` or standard output."""
    program = next((program for program in PROGRAMS if argv == [program]), None)
    if program is None:
        print(f"usage: python -m pgimport worker {{{'|'.join(PROGRAMS)}}}", file=sys.stderr)
        return EXIT_USAGE
    reporter = Reporter(stream or sys.stdout)
    processes = ClientProcesses()
    _end_on_sigterm(processes, environ.get(order_model.ENV_SCRATCH))
    environment, order = parse_environment(environ), parse_order(_read_order(environ))
    if isinstance(environment, Failure):
        return _refuse_to_start(program, environment, environ, reporter)
    if isinstance(order, Failure):
        return _refuse_to_start(program, order, environ, reporter)

    def run_preflight() -> WorkerResult:
        from pgimport.worker.checks.preflight import run_preflight

        return run_preflight(order, environment, reporter)

    def run_plan() -> WorkerResult:
        from pgimport.worker.plan import run_plan

        return run_plan(order, environment, reporter)

    def run_import() -> WorkerResult:
        from pgimport.worker.pipeline.import_steps import run_import

        return run_import(order, environment, reporter, build_client_programs(environ), processes)

    # Each step imports its own modules when it begins: a preflight starts 0.1 s sooner without the engines.
    steps: dict[Program, dict[Step, Callable[[], WorkerResult]]] = {
        "preflight": {"preflight": run_preflight},
        "plan": {"plan": run_plan},
        "import": {"import": run_import},
        "run": {"preflight": run_preflight, "import": run_import},
    }
    exit_code = EXIT_OK
    try:
        for step, run_step in steps[program].items():
            result = _run_step(step, run_step, reporter)
            exit_code = report_result(result, order, environment, reporter)
            if not result.ok:
                break
    finally:
        empty_folder(environment.scratch)
    return exit_code


def _read_order(environ: Mapping[str, str]) -> str:
    """Returns the order's text. The CLI starts the worker before the order exists, and sends it by standard input."""
    text = order_model.join_order_variables(environ)
    return sys.stdin.read() if text == order_model.ORDER_FROM_STDIN else text


def _refuse_to_start(program: Program, failure: Failure, environ: Mapping[str, str], reporter: Reporter) -> int:
    reporter.log(failure.message, "error")
    step: Step = "preflight" if program == "run" else program
    _write_termination_message(environ.get(order_model.ENV_TERMINATION_MESSAGE), _build_failed_result(step, failure))
    return failure.exit_code


def _run_step(step: Step, run_step: Callable[[], WorkerResult], reporter: Reporter) -> WorkerResult:
    """Runs a step. Turns an unexpected exception into a failed result, and logs its traceback.

    An error of a server needs no traceback: the server's words say more.
    """
    try:
        return run_step()
    except Exception as error:
        if (failure := translate_unexpected_error(error)) is not None:
            return _build_failed_result(step, failure)
        reporter.log("an unexpected error", "error", traceback=traceback.format_exc())
        lines = str(error).strip().splitlines()
        message = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        return _build_failed_result(step, Failure(Reason.WORKER_FAILED, message))


def build_client_programs(environ: Mapping[str, str]) -> ClientPrograms:
    """Returns the client programs below the folder that an environment variable names, by default the image's own."""
    root = environ.get(order_model.ENV_CLIENTS)
    return ClientPrograms(bin_root=Path(root)) if root else ClientPrograms()


def _build_failed_result(step: Step, failure: Failure) -> WorkerResult:
    return WorkerResult(step=step, ok=False, failure=FailureReport.from_failure(failure))


def report_result(result: WorkerResult, order: Order, environment: WorkerEnvironment, reporter: Reporter) -> int:
    """Logs the whole report, writes what fits of it as termination message, returns the exit code."""
    result = order_skipped(result.model_copy(update={"ended_at": utc_now()}))
    digest = _write_report(result, environment, reporter)
    result = change_texts(without_row_values(result), reporter.conceal).model_copy(update={"report": digest})
    failure = result.failure.to_failure() if result.failure else None
    outcome = "all is well" if failure is None else failure.format_with_hint()
    text, level = f"{result.step} ended: {outcome}", "info" if result.ok else "error"
    reporter.log(text, level, result=cut_lists(result).to_json())
    result = result.model_copy(update={"stdout_tail": reporter.tail(), "stderr_tail": reporter.client_tail() or None})
    path = str(environment.termination_message)
    try:
        _write_termination_message(path, result)
    except ValueError as error:
        failure = Failure(Reason.WORKER_FAILED, f"the source's extensions and locale cannot be reported: {error}")
        _write_termination_message(path, _build_failed_result(result.step, failure))
        return failure.exit_code
    if failure is None or (order.dry_run and result.preflight is not None):
        return EXIT_OK
    return failure.exit_code


def _write_report(result: WorkerResult, environment: WorkerEnvironment, reporter: Reporter) -> ReportDigest:
    """Writes the report to the log. With spec.postImport, which masks values, it contains no values of rows."""
    whole = without_row_values(result) if environment.post_import is not None else result
    change = reporter.redact if environment.post_import is None else reporter.conceal
    (text,) = pack_lines(build_report_lines(change_texts(whole, change)), REPORT_BYTES, max_parts=1)
    digest, lines = encode_report(text, secrets.token_hex(8))
    reporter.write_report(lines)
    return digest


def _write_termination_message(path: str | None, result: WorkerResult) -> None:
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(build_termination_message(result))


def empty_folder(folder: Path) -> None:
    """Removes all files of a folder.

    A dump in scratch must not outlive the attempt, because it holds data that spec.postImport masks in the copy.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _end_on_sigterm(processes: ClientProcesses, scratch: str | None) -> None:
    """Makes SIGTERM end the worker and its clients, which cancels their statements. By default, PID 1 ignores it."""

    def end(_signal_number: int, _frame: object) -> None:
        processes.end_all()
        if scratch is not None:
            with suppress(OSError):
                empty_folder(Path(scratch))
        processes.end_all_and_exit(EXIT_TERMINATED)

    signal.signal(signal.SIGTERM, end)

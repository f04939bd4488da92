"""Runs a step of the worker as a child process and reads its lines and its result.

The child gets the files that the pod of an import gets, in a folder that only this user can enter. It has its own
process group: Ctrl-C reaches only the command line, which then ends the child.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pgimport.cli.local_source import WorkerSource
from pgimport.model import order as order_model
from pgimport.model.import_report import complete_result, parse_report
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason, find_reason_by_exit_code
from pgimport.model.report_carrier import decode_report
from pgimport.model.report_lines import is_report_line
from pgimport.model.result import FailureReport, WorkerResult
from pgimport.model.termination_message import parse_worker_result

WorkerProgram = Literal["preflight", "plan", "import", "run"]
STOP_SECONDS = 10  # The worker first ends its clients, such as pg_dump, which cancel their queries at the servers.
SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFolder:
    """The files of one attempt."""

    path: Path
    pod_uid: str
    seed: bytes
    source: WorkerSource | None = None  # a dump on this machine

    @property
    def termination_message(self) -> Path:
        return self.path / "termination-message"


@contextmanager
def open_attempt_folder(
    source_url: str,
    pod_uid: str,
    ca: bytes | None = None,
    post_import: bytes | None = None,
    source: WorkerSource | None = None,
) -> Iterator[AttemptFolder]:
    """Creates the folder below TMPDIR with mode 0700, and removes it at the end of the block."""
    path = Path(tempfile.mkdtemp(prefix="pgimport-"))
    try:
        folder = AttemptFolder(path=path, pod_uid=pod_uid, seed=secrets.token_bytes(SEED_BYTES), source=source)
        files = {"source-url": source_url.encode(), "seed": folder.seed, "ca": ca, "post-import": post_import}
        for name, content in files.items():
            if content is None:
                continue
            (path / name).touch(0o600)
            (path / name).write_bytes(content)
        for name in ("scratch", "private"):
            (path / name).mkdir(0o700)
        yield folder
    finally:
        shutil.rmtree(path, ignore_errors=True)


def build_environment(folder: AttemptFolder, inherited: Mapping[str, str]) -> dict[str, str]:
    """Builds the child's environment, without libpq's variables and without the URLs of the command line."""
    clients = inherited.get(order_model.ENV_CLIENTS)
    return {
        **{name: value for name, value in inherited.items() if not name.startswith("PG")},
        **({order_model.ENV_CLIENTS: clients} if clients else {}),
        order_model.ENV_ORDER: order_model.ORDER_FROM_STDIN,
        order_model.ENV_POD_UID: folder.pod_uid,
        order_model.ENV_SOURCE_URL_FILE: str(folder.path / "source-url"),
        order_model.ENV_SEED_FILE: str(folder.path / "seed"),
        order_model.ENV_SCRATCH: str(folder.path / "scratch"),
        order_model.ENV_PRIVATE: str(folder.path / "private"),
        order_model.ENV_TERMINATION_MESSAGE: str(folder.termination_message),
        **({order_model.ENV_SOURCE_PATH: folder.source.path} if folder.source else {}),
        **{
            variable: str(path)
            for variable, name in ((order_model.ENV_CA_FILE, "ca"), (order_model.ENV_POST_IMPORT_FILE, "post-import"))
            if (path := folder.path / name).exists()
        },
    }


class WorkerProcess:
    """A running step of the worker."""

    def __init__(
        self, program: WorkerProgram, folder: AttemptFolder, child: "subprocess.Popen[str]", lines: IO[str]
    ) -> None:
        self._program, self._folder, self._child, self._lines = program, folder, child, lines
        self._report_lines: list[str] = []

    def send_order(self, order: Order) -> None:
        """Sends the order, which the worker reads when it has started. Does nothing if the worker has ended."""
        assert self._child.stdin is not None  # noqa: S101 (stdin=PIPE)
        with suppress(BrokenPipeError), self._child.stdin as stdin:
            stdin.write(order.model_dump_json(by_alias=True))

    def follow_preflight(self, on_line: Callable[[str], None]) -> WorkerResult:
        """Follows the program `run` until its preflight has a result, and returns it. The worker continues."""
        for line in self._list_lines(on_line):
            result = _parse_result_line(line)
            if result is not None and result.step == "preflight":
                return self._complete(result)
        return self._read_result()

    def follow(self, on_line: Callable[[str], None]) -> WorkerResult:
        """Waits for the end of the program and calls `on_line` with each line of its output.

        A child that leaves no result gets a failure by its exit code.
        """
        for _ in self._list_lines(on_line):
            pass
        return self._read_result()

    def _list_lines(self, on_line: Callable[[str], None]) -> Iterator[str]:
        """Calls `on_line` for each output line, then yields the line. Only stores the lines of reports."""
        for line in self._lines:
            if is_report_line(line):
                self._report_lines.append(line)
                continue
            on_line(line.rstrip("\n"))
            yield line

    def _complete(self, result: WorkerResult) -> WorkerResult:
        """Returns the result with everything that its report holds."""
        text = decode_report(result.report, self._report_lines) if result.report is not None else None
        return result if text is None else complete_result(result, parse_report([text]))

    def stop(self) -> None:
        """Ends the worker, which first cancels its statements."""
        _stop(self._child)

    def _read_result(self) -> WorkerResult:
        exit_code = self._child.wait()
        path = self._folder.termination_message
        message = path.read_text() if path.exists() else ""
        result = parse_worker_result(message)
        # Until the import has a result, the file holds that of the preflight.
        if result is None or (exit_code != 0 and result.ok):
            return _build_lost_result(self._program, exit_code)
        return self._complete(result)


def _parse_result_line(line: str) -> WorkerResult | None:
    """Returns the result that a step logs when it ends; None for any other line."""
    if '"result":' not in line:
        return None
    log = json.loads(line).get("log")
    return parse_worker_result(json.dumps(log["result"])) if isinstance(log, dict) and "result" in log else None


@contextmanager
def start_worker(program: WorkerProgram, folder: AttemptFolder) -> Iterator[WorkerProcess]:
    """Starts a program of the worker, which waits for its order. The child has ended when the block ends."""
    folder.termination_message.unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "pgimport", "worker", program],
        env=build_environment(folder, os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=[folder.source.descriptor] if folder.source and folder.source.descriptor is not None else [],
    )
    assert child.stdout is not None  # noqa: S101 (stdout=PIPE)
    # The child ends before its output is closed: a line that it cannot write would be a traceback.
    with child.stdout as lines:
        try:
            yield WorkerProcess(program, folder, child, lines)
        finally:
            _stop(child)


def run_worker(
    program: WorkerProgram, folder: AttemptFolder, order: Order, on_line: Callable[[str], None]
) -> WorkerResult:
    """Runs a program of the worker to its end."""
    with start_worker(program, folder) as worker:
        worker.send_order(order)
        return worker.follow(on_line)


def _build_lost_result(program: WorkerProgram, exit_code: int) -> WorkerResult:
    """Builds the result of a child that left none. A negative exit code is the number of a signal."""
    cause = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    shell_code = 128 - exit_code if exit_code < 0 else exit_code
    reason = find_reason_by_exit_code(shell_code) if exit_code else Reason.RESULT_LOST
    failure = Failure(reason, f"the worker ended without a result ({cause})")
    step = "import" if program == "run" else program
    return WorkerResult(step=step, ok=False, failure=FailureReport.from_failure(failure))


def _stop(child: "subprocess.Popen[str]") -> None:
    """Ends the child.

    Sends the signal before it closes stdin. Otherwise, a child that has no order yet would report an error. A child
    that has ended gets no signal, and there is nothing to wait for.
    """
    child.terminate()
    if child.stdin is not None:
        with suppress(BrokenPipeError):
            child.stdin.close()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

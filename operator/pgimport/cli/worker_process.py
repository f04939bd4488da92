"""Runs a step of the worker as a child process and reads its lines and its result.

The child gets the files that the pod of an import gets, in a folder that only this user can enter. It has its own
process group: Ctrl-C reaches only the command line, which then ends the child.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pgimport.model import order as order_model
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason, find_reason_by_exit_code
from pgimport.model.result import FailureReport, WorkerResult, parse_worker_result

Step = Literal["preflight", "plan", "import"]
STOP_SECONDS = 10  # The worker first ends its clients, and they cancel at their servers.
SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFolder:
    """The files of one attempt."""

    path: Path
    pod_uid: str
    seed: bytes

    @property
    def termination_message(self) -> Path:
        return self.path / "termination-message"


@contextmanager
def open_attempt_folder(
    source_url: str, pod_uid: str, ca: bytes | None = None, post_import: bytes | None = None
) -> Iterator[AttemptFolder]:
    """Creates the folder below TMPDIR with mode 0700, and removes it at the end of the block."""
    path = Path(tempfile.mkdtemp(prefix="pgimport-"))
    try:
        folder = AttemptFolder(path=path, pod_uid=pod_uid, seed=secrets.token_bytes(SEED_BYTES))
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


def build_environment(folder: AttemptFolder, order: Order, inherited: Mapping[str, str]) -> dict[str, str]:
    """Builds the child's environment, without libpq's variables and without the URLs of the command line."""
    clients = inherited.get(order_model.ENV_CLIENTS)
    return {
        **{name: value for name, value in inherited.items() if not name.startswith("PG")},
        **({order_model.ENV_CLIENTS: clients} if clients else {}),
        order_model.ENV_ORDER: order.model_dump_json(by_alias=True),
        order_model.ENV_POD_UID: folder.pod_uid,
        order_model.ENV_SOURCE_URL_FILE: str(folder.path / "source-url"),
        order_model.ENV_SEED_FILE: str(folder.path / "seed"),
        order_model.ENV_SCRATCH: str(folder.path / "scratch"),
        order_model.ENV_PRIVATE: str(folder.path / "private"),
        order_model.ENV_TERMINATION_MESSAGE: str(folder.termination_message),
        **{
            variable: str(path)
            for variable, name in ((order_model.ENV_CA_FILE, "ca"), (order_model.ENV_POST_IMPORT_FILE, "post-import"))
            if (path := folder.path / name).exists()
        },
    }


class WorkerProcess:
    """A running step of the worker."""

    def __init__(self, step: Step, folder: AttemptFolder, child: "subprocess.Popen[str]", lines: IO[str]) -> None:
        self._step, self._folder, self._child, self._lines = step, folder, child, lines

    def follow(self, on_line: Callable[[str], None]) -> WorkerResult:
        """Waits for the end of the step and calls `on_line` with each line of its output.

        A child that leaves no result gets a failure by its exit code.
        """
        for line in self._lines:
            on_line(line.rstrip("\n"))
        exit_code = self._child.wait()
        path = self._folder.termination_message
        message = path.read_text() if path.exists() else ""
        return parse_worker_result(message) or _build_lost_result(self._step, exit_code)


@contextmanager
def start_worker(step: Step, folder: AttemptFolder, order: Order) -> Iterator[WorkerProcess]:
    """Starts a step. The child has ended when the block ends."""
    folder.termination_message.unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "pgimport", "worker", step],
        env=build_environment(folder, order, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None  # noqa: S101 (stdout=PIPE)
        with child.stdout as lines:
            yield WorkerProcess(step, folder, child, lines)
    finally:
        _stop(child)


def run_worker(step: Step, folder: AttemptFolder, order: Order, on_line: Callable[[str], None]) -> WorkerResult:
    """Runs a step to its end."""
    with start_worker(step, folder, order) as worker:
        return worker.follow(on_line)


def _build_lost_result(step: Step, exit_code: int) -> WorkerResult:
    """Builds the result of a child that left none. A negative exit code is the number of a signal."""
    cause = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    shell_code = 128 - exit_code if exit_code < 0 else exit_code
    reason = find_reason_by_exit_code(shell_code) if exit_code else Reason.RESULT_LOST
    failure = Failure(reason, f"the worker ended without a result ({cause})")
    return WorkerResult(step=step, ok=False, failure=FailureReport(reason=failure.reason, message=failure.message))


def _stop(child: "subprocess.Popen[str]") -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

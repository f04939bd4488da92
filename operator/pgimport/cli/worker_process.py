"""The worker as a child process: a step's name in, its result out; its lines go to whoever listens.

It gets what the pod of an import gets, in a folder that only this user may enter. It runs in a process group of
its own: Ctrl-C reaches us alone, and we end it.
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

from pgimport.model import order as words
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason, find_reason_by_exit_code
from pgimport.model.result import FailureReport, WorkerResult, parse_worker_result

Step = Literal["preflight", "plan", "import"]
END_SECONDS = 10  # clients cancel at their servers first
SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFolder:
    """The files of one attempt."""

    folder: Path
    pod_uid: str
    seed: bytes

    @property
    def message(self) -> Path:
        return self.folder / "termination-message"


@contextmanager
def open_attempt_folder(
    source_url: str, pod_uid: str, ca: bytes | None = None, post_import: bytes | None = None
) -> Iterator[AttemptFolder]:
    """Below TMPDIR, mode 0700; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pgimport-"))
    try:
        place = AttemptFolder(folder=folder, pod_uid=pod_uid, seed=secrets.token_bytes(SEED_BYTES))
        files = {"source-url": source_url.encode(), "seed": place.seed, "ca": ca, "post-import": post_import}
        for name, content in files.items():
            if content is None:
                continue
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)
        for name in ("scratch", "private"):
            (folder / name).mkdir(0o700)
        yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build_environment(place: AttemptFolder, order: Order, inherited: Mapping[str, str]) -> dict[str, str]:
    """Nothing of libpq's variables and none of our own URLs: the child has its files."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("PG")}
    return {
        **kept,
        **({words.ENV_CLIENTS: inherited[words.ENV_CLIENTS]} if inherited.get(words.ENV_CLIENTS) else {}),
        words.ENV_ORDER: order.model_dump_json(by_alias=True),
        words.ENV_POD_UID: place.pod_uid,
        words.ENV_SOURCE_URL_FILE: str(place.folder / "source-url"),
        words.ENV_SEED_FILE: str(place.folder / "seed"),
        words.ENV_SCRATCH: str(place.folder / "scratch"),
        words.ENV_PRIVATE: str(place.folder / "private"),
        words.ENV_TERMINATION_MESSAGE: str(place.message),
        **{
            variable: str(path)
            for variable, name in ((words.ENV_CA_FILE, "ca"), (words.ENV_POST_IMPORT_FILE, "post-import"))
            if (path := place.folder / name).exists()
        },
    }


class WorkerProcess:
    """One step that has begun."""

    def __init__(self, step: Step, place: AttemptFolder, child: "subprocess.Popen[str]", lines: IO[str]) -> None:
        self._step, self._place, self._child, self._lines = step, place, child, lines

    def follow(self, listen: Callable[[str], None]) -> WorkerResult:
        """To its end. Never without a result: a child that leaves none is a failure by its exit code."""
        for line in self._lines:
            listen(line.rstrip("\n"))
        code = self._child.wait()
        message = self._place.message.read_text() if self._place.message.exists() else ""
        return parse_worker_result(message) or _without_result(self._step, code)


@contextmanager
def start_worker(step: Step, place: AttemptFolder, order: Order) -> Iterator[WorkerProcess]:
    """The child is gone when the block ends, however it ends."""
    place.message.unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "pgimport", "worker", step],
        env=build_environment(place, order, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None  # noqa: S101 (a pipe was asked for)
        with child.stdout as lines:
            yield WorkerProcess(step, place, child, lines)
    finally:
        _end(child)


def run_worker(step: Step, place: AttemptFolder, order: Order, listen: Callable[[str], None]) -> WorkerResult:
    with start_worker(step, place, order) as worker:
        return worker.follow(listen)


def _without_result(step: Step, code: int) -> WorkerResult:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    reason = find_reason_by_exit_code(128 - code if code < 0 else code) if code else Reason.RESULT_LOST
    failure = Failure(reason, f"the worker ended without a result ({how})")
    return WorkerResult(step=step, ok=False, failure=FailureReport(reason=failure.reason, message=failure.message))


def _end(child: "subprocess.Popen[str]") -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

"""Chooses PostgreSQL's client programs, checks that they are new enough, runs them and ends them."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from pgimport.model.client_versions import MINIMUM_MINORS, find_needed_version, parse_client_version
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.client_stderr import LineAssembler
from pgimport.worker.postgres.errors import ClientErrorParser, ImportStopped

DEFAULT_BIN_ROOT = Path("/usr/lib/postgresql")
OnLine = Callable[[str], None]  # gets one line of stderr, without its end
WriteInput = Callable[[Callable[[bytes], object]], None]  # gets the function that writes to standard input
END_SECONDS = 1.0  # time to end after SIGTERM, then SIGKILL
VERSION_SECONDS = 20
_PARALLEL_PROGRAMS = ("pg_dump", "pg_restore")


@dataclass(frozen=True, slots=True)
class PgDump:
    """A pg_dump, and a note if its major version is not the source's."""

    path: Path
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPrograms:
    """The installed client programs, in one folder `<major>/bin` for each major."""

    bin_root: Path = DEFAULT_BIN_ROOT
    floors: Mapping[int, int] = field(default_factory=lambda: MINIMUM_MINORS)  # major → oldest minor
    compression: str = "lz4"  # of the archive in scratch; a build without lz4 needs another

    def find_dump(self, source_major: int, target_major: int) -> PgDump:
        """Returns pg_dump of the source's major version, else of the next newer one whose archives the target can read.

        Raises ImportStopped.
        """
        refusals: list[str] = []
        for major in range(source_major, target_major + 1):
            path = self._path(major, "pg_dump")
            refusal = self._find_refusal(path, major)
            if refusal is None:
                causes = "; ".join(refusals)
                note = f"pg_dump {major} read the source of PostgreSQL {source_major}: {causes}" if causes else None
                return PgDump(path, note)
            refusals.append(refusal)
        raise _build_too_old("; ".join(refusals))

    def find_restore(self, target_major: int) -> Path:
        """Returns pg_restore of the target's major. Raises ImportStopped."""
        return self._find_of_target(target_major, "pg_restore")

    def find_psql(self, target_major: int) -> Path:
        """Returns psql of the target's major: older ones have no safe restricted mode. Raises ImportStopped."""
        return self._find_of_target(target_major, "psql")

    def _find_of_target(self, major: int, program: str) -> Path:
        path = self._path(major, program)
        if (refusal := self._find_refusal(path, major)) is not None:
            raise _build_too_old(refusal)
        return path

    def compress_option(self, dump: Path) -> str:
        """Returns the option that compresses an archive. Clients before 16 know only gzip, by its level."""
        return f"--compress={self.compression}" if read_version(dump)[0] >= 16 else "--compress=1"

    def _path(self, major: int, program: str) -> Path:
        return self.bin_root / str(major) / "bin" / program

    def _find_refusal(self, path: Path, required_major: int) -> str | None:
        """Returns the reason not to use a client, or None."""
        if not path.exists():
            return f"no {path.name} {required_major} is installed below {self.bin_root}"
        major, minor = read_version(path)
        if needed := find_needed_version(major, minor, self.floors):
            return f"{path.name} {major}.{minor} lacks security fixes: at least {needed} is needed"
        return None


def _build_too_old(message: str) -> ImportStopped:
    return ImportStopped(Failure(Reason.CLIENT_TOO_OLD, message))


@cache
def read_version(path: Path) -> tuple[int, int]:
    """Returns major and minor version of a client, for example (17, 12). Raises ImportStopped."""
    output = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, timeout=VERSION_SECONDS, env={"LC_ALL": "C"}
    ).stdout
    version = parse_client_version(output)
    if version is None:
        raise ImportStopped(Failure(Reason.CLIENT_TOO_OLD, f"{path} does not print its version"))
    return version


class ClientProcesses:
    """The client programs that run now, each in a process group of its own."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._starting = 0  # clients that may run already and are not in _running yet
        self._exit_code: int | None = None

    def run(self, arguments: list[str], environ: Mapping[str, str], on_line: OnLine) -> tuple[int, ClientErrorParser]:
        """Runs a client without input until it ends.

        Gives each line of its stderr to `on_line` as it comes. Returns the exit code, negative for a signal, and
        the parser that has read its stderr.
        """
        errors = ClientErrorParser()

        def handle_line(line: str) -> None:
            errors.read_line(line)
            on_line(line)

        with self._start(arguments, environ, subprocess.DEVNULL) as process:
            _read_stderr(process, handle_line)
            return process.wait(), errors

    def run_with_input(
        self, arguments: list[str], environ: Mapping[str, str], on_line: OnLine, write_input: WriteInput
    ) -> int:
        """Runs a client while `write_input` writes its standard input, and returns its exit code.

        If the client ends first, further input is discarded: the exit code and stderr tell the reason.
        """
        return self.converse(arguments, environ, on_line, lambda stdin: write_input(stdin.write), lambda: None)

    def converse(
        self,
        arguments: list[str],
        environ: Mapping[str, str],
        on_line: OnLine,
        talk: Callable[[IO[bytes]], None],
        on_end: Callable[[], None],
    ) -> int:
        """Runs a client while `talk` writes its standard input, and returns its exit code.

        Another thread calls `on_line`, and `on_end` after the last line, so `talk` may wait for what the client writes.
        If `talk` raises BrokenPipeError, further input is discarded.
        """
        with self._start(arguments, environ, subprocess.PIPE) as process:

            def read_messages() -> None:
                try:
                    _read_stderr(process, on_line)
                finally:
                    on_end()

            stderr_reader = threading.Thread(target=read_messages, daemon=True)
            stderr_reader.start()
            assert process.stdin is not None  # noqa: S101 (it is a pipe)
            try:
                with suppress(BrokenPipeError):
                    talk(process.stdin)
            except BaseException:
                self._end([process])
                raise
            finally:
                with suppress(BrokenPipeError):
                    process.stdin.close()
            exit_code = process.wait()
            stderr_reader.join()
            return exit_code

    def end_all(self) -> None:
        """Ends every known client, which cancels its statements."""
        self._end(list(self._running))

    def end_all_and_exit(self, exit_code: int) -> None:
        """Ends every client, which cancels its statements, and then this process. For a signal handler.

        A handler can interrupt the main thread at any point. If a thread is starting a client, that thread ends the
        process as soon as the client is in `_running`. Otherwise, the client would keep running.
        """
        self._exit_code = exit_code
        if self._starting == 0:
            self.end_all()
            os._exit(exit_code)

    @contextmanager
    def _start(
        self, arguments: list[str], environ: Mapping[str, str], stdin: int
    ) -> "Iterator[subprocess.Popen[bytes]]":
        with self._lock:
            self._starting += 1
        try:
            process = subprocess.Popen(
                arguments,
                env=dict(environ),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            with self._lock:
                self._running.add(process)
        finally:
            with self._lock:
                self._starting -= 1
            if self._exit_code is not None:
                self.end_all_and_exit(self._exit_code)
        try:
            yield process
        finally:
            if process.poll() is None:
                self._end([process])
            with self._lock:
                self._running.discard(process)

    def _end(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in processes:  # also if the leader has ended, because its parallel workers may still run
            _signal_group(process, signal.SIGKILL)


def _read_stderr(process: "subprocess.Popen[bytes]", on_line: OnLine) -> None:
    """Gives each line to `on_line` until stderr is closed."""
    assert process.stderr is not None  # noqa: S101 (it is a pipe)
    assert isinstance(process.args, list)  # noqa: S101 (no client is started through a shell)
    program = Path(str(process.args[0])).name
    assembler = LineAssembler(program) if program in _PARALLEL_PROGRAMS else None
    with process.stderr as stream:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            on_line(assembler.add(line) if assembler else line)


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return

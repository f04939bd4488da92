"""psql in its restricted mode: plain SQL goes in, the first real error with its object and SQLSTATE comes out."""

import os
import re
import secrets
from array import array
from bisect import bisect_right
from collections.abc import Callable

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import CLIENT_DBNAME, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import DISK_FULL, ImportStopped
from pgimport.worker.run import ImportRun

OPTIONS = (
    "--no-psqlrc",
    "--quiet",
    "--no-password",
    "--set=ON_ERROR_STOP=1",
    "--set=VERBOSITY=verbose",
    "--file=-",
)
_ERROR = re.compile(r"^psql:<stdin>:(\d+): (?:ERROR|FATAL|error): +(?:([0-9A-Z]{5}): +)?(.*)$")
_MORE = re.compile(r"^(DETAIL|HINT|CONTEXT): +(.*)$")
_LOST = re.compile(r"server closed the connection|connection to server was lost|terminating connection|SSL SYSCALL")
_GONE = ("53200", "57P01", "57P02", "57P03")


class PsqlErrorParser:
    """What psql says on stderr: the first error."""

    def __init__(self) -> None:
        self.line: int | None = None
        self.code: str | None = None
        self._said: list[str] = []
        self._lost: str | None = None

    def read_line(self, line: str) -> None:
        if self.line is None and (match := _ERROR.match(line)):
            self.line, self.code = int(match[1]), match[2]
            self._said = [match[3]]
        elif self._said and len(self._said) < 4 and (match := _MORE.match(line)):
            self._said.append(f"{match[1]}: {match[2]}")
        if _LOST.search(line):
            self._lost = line

    def to_failure(self, returncode: int, line: int | None) -> Failure:
        """`line` is the one of the dump file that the error happened in."""
        if self.code == DISK_FULL:
            return Failure(Reason.TARGET_FULL, f"the target's disk is full: psql: {self._said[0]}")
        if self._lost is not None or self.code in _GONE:
            said = self._said[0] if self._said else self._lost
            return Failure(Reason.TARGET_LOST, f"the target was lost: psql: {said}")
        if returncode == -9:
            return Failure(Reason.WORKER_OUT_OF_MEMORY, "psql was killed (signal 9), most likely for lack of memory")
        said = "; ".join(self._said) if self._said else f"it ended with exit code {returncode} and named no error"
        where = f" in line {line} of the dump" if line is not None else ""
        code = f" (SQLSTATE {self.code})" if self.code else ""
        return Failure(Reason.RESTORE_FAILED, f"psql{where}: {said}{code}")


class PsqlInput:
    """What is written to psql, and which line of the dump each line of it came from."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._line = 1
        self._ours, self._theirs = array("Q"), array("Q")

    def write(self, text: bytes, line: int | None = None, newlines: int | None = None) -> None:
        """`line`: where the text stands in the dump."""
        if line is not None:
            self._ours.append(self._line)
            self._theirs.append(line)
        self._write(text)
        self._line += text.count(b"\n") if newlines is None else newlines

    def find_dump_line(self, ours: int | None) -> int | None:
        if ours is None:
            return None
        at = bisect_right(self._ours, ours) - 1
        return self._theirs[at] + ours - self._ours[at] if at >= 0 else None


def run_psql(run: ImportRun, write_input: Callable[[PsqlInput], None]) -> None:
    """Runs what `write_input` writes as the attempt's role, under `\\restrict` with a random token of our own.

    Raises ImportStopped.
    """
    psql = run.clients.find_psql(run.target_major)
    passfile = write_passfile(run.shadow, run.environment.private, "target.pgpass")
    token = secrets.token_hex(32).encode()
    errors = PsqlErrorParser()
    inputs: list[PsqlInput] = []

    def handle_line(line: str) -> None:
        errors.read_line(line)
        run.reporter.log_client_line(line)

    def write_restricted_input(write: Callable[[bytes], object]) -> None:
        psql_input = PsqlInput(write)
        inputs.append(psql_input)
        psql_input.write(b"\\restrict " + token + b"\n")
        write_input(psql_input)
        psql_input.write(b"\n\\unrestrict " + token + b"\n")

    arguments = [str(psql), *OPTIONS, f"--dbname={CLIENT_DBNAME}"]
    environ = build_client_environment(run.shadow, passfile, os.environ)
    exit_code = run.processes.run_with_input(arguments, environ, handle_line, write_restricted_input)
    passfile.unlink(missing_ok=True)
    if exit_code != 0:
        raise ImportStopped(errors.to_failure(exit_code, inputs[0].find_dump_line(errors.line) if inputs else None))

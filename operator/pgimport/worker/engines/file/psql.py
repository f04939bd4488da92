"""Runs psql in its restricted mode and reports its first error, with the line of the dump and the SQLSTATE."""

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
_CONTINUATION = re.compile(r"^(DETAIL|HINT|CONTEXT): +(.*)$")
_CONNECTION_LOST = re.compile(
    r"server closed the connection|connection to server was lost|terminating connection|SSL SYSCALL"
)
_TARGET_LOST_CODES = ("53200", "57P01", "57P02", "57P03")


class PsqlErrorParser:
    """Finds the first error among the lines that psql writes to stderr."""

    def __init__(self) -> None:
        self.line: int | None = None
        self.code: str | None = None
        self._messages: list[str] = []
        self._connection_error: str | None = None

    def read_line(self, line: str) -> None:
        if self.line is None and (match := _ERROR.match(line)):
            self.line, self.code = int(match[1]), match[2]
            self._messages = [match[3]]
        elif self._messages and len(self._messages) < 4 and (match := _CONTINUATION.match(line)):
            self._messages.append(f"{match[1]}: {match[2]}")
        if _CONNECTION_LOST.search(line):
            self._connection_error = line

    def to_failure(self, returncode: int, line: int | None) -> Failure:
        """Returns the reason and message of the failed run. `line`: the line of the dump file that failed, if known."""
        if self.code == DISK_FULL:
            return Failure(Reason.TARGET_FULL, f"the target's disk is full: psql: {self._messages[0]}")
        if self._connection_error is not None or self.code in _TARGET_LOST_CODES:
            error = self._messages[0] if self._messages else self._connection_error
            return Failure(Reason.TARGET_LOST, f"the connection to the target was lost: psql: {error}")
        if returncode == -9:
            return Failure(
                Reason.WORKER_OUT_OF_MEMORY, "psql was killed (signal 9), most likely because memory ran out"
            )
        error = "; ".join(self._messages) or f"it ended with exit code {returncode} and reported no error"
        position = f" in line {line} of the dump" if line is not None else ""
        code = f" (SQLSTATE {self.code})" if self.code else ""
        return Failure(Reason.RESTORE_FAILED, f"psql{position}: {error}{code}")


class PsqlInput:
    """Writes the input of psql and remembers which line of the dump each line of it came from."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._line = 1  # line of the input that is written next
        self._input_lines, self._dump_lines = array("Q"), array("Q")  # in ascending order

    def write(self, text: bytes, line: int | None = None, newlines: int | None = None) -> None:
        """Writes the text.

        `line`: line of the dump in which the text begins. `newlines`: number of newlines in it, if already known.
        """
        if line is not None:
            self._input_lines.append(self._line)
            self._dump_lines.append(line)
        self._write(text)
        self._line += text.count(b"\n") if newlines is None else newlines

    def find_dump_line(self, input_line: int | None) -> int | None:
        """Returns the line of the dump that an input line came from."""
        if input_line is None:
            return None
        index = bisect_right(self._input_lines, input_line) - 1
        return self._dump_lines[index] + input_line - self._input_lines[index] if index >= 0 else None


def run_psql(run: ImportRun, write_input: Callable[[PsqlInput], None]) -> None:
    """Runs psql as the attempt's role with the input that `write_input` writes, under `\\restrict` with a random token.

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
    environ = build_client_environment(run.shadow_sessions.client_endpoint, passfile, os.environ)
    exit_code = run.processes.run_with_input(arguments, environ, handle_line, write_restricted_input)
    passfile.unlink(missing_ok=True)
    if exit_code != 0:
        raise ImportStopped(errors.to_failure(exit_code, inputs[0].find_dump_line(errors.line) if inputs else None))

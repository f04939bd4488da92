"""Translates errors of PostgreSQL, libpq and the client programs into failures with a reason."""

import re
from dataclasses import dataclass
from enum import Enum, auto

import psycopg

from pgimport.model.errors import PgimportError
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.server_errors import (
    CONNECT_ADVICE,
    ServerError,
    find_source_advice,
    find_target_advice,
    first_line,
    read_server_error,
)
from pgimport.worker.postgres.sqlstates import (
    SNAPSHOT_SQLSTATES,
    find_connect_reason,
    find_source_reason,
    find_target_reason,
)

__all__ = ["first_line"]  # for modules that quote only the first line


class ImportStopped(PgimportError):
    """Raised if a step cannot go on. Carries the failure that the user will read."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ConnectProblem(Enum):
    """Causes of a failed connection for which no server sends a SQLSTATE."""

    NO_ANSWER = auto()
    PASSWORD_MISSING = auto()
    METHOD_UNKNOWN = auto()  # the server wants an authentication method that the client lacks
    TLS_FAILED = auto()
    TLS_WANTED = auto()  # the server admits the user, but only with TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectObservation:
    """What a refused connection showed. With neither field, a second attempt succeeded."""

    refusal: ServerError | None = None
    problem: ConnectProblem | None = None
    text: str = ""  # the client's words about the problem

    @property
    def is_admitted(self) -> bool:
        return self.refusal is None and self.problem is None


_AUTH = Reason.SOURCE_AUTH_FAILED
_TLS = Reason.SOURCE_TLS_FAILED
_AWAY = Reason.SOURCE_UNREACHABLE
_DENIED = Reason.SOURCE_PERMISSION_DENIED

_PROBLEM_REASONS = {
    ConnectProblem.NO_ANSWER: _AWAY,
    ConnectProblem.PASSWORD_MISSING: _AUTH,
    ConnectProblem.METHOD_UNKNOWN: _AUTH,
    ConnectProblem.TLS_FAILED: _TLS,
    ConnectProblem.TLS_WANTED: _TLS,
}
_PROBLEM_ADVICE = {
    ConnectProblem.PASSWORD_MISSING: "Write the password into the source URL.",
    ConnectProblem.METHOD_UNKNOWN: "Let the source admit this user with a password: scram-sha-256 in pg_hba.conf.",
    ConnectProblem.TLS_WANTED: "Write sslmode=require into the source URL.",
}
_CONNECTION_LOST = re.compile(
    r"server closed the connection|connection not open|no connection to the server|SSL connection has been closed"
    r"|SSL SYSCALL|terminating connection|could not receive data from server|could not send data to server"
    r"|lost synchronization|the database system is|Connection (reset|refused|timed out)|connection to server"
    r"|connection (was )?lost|the connection is (closed|lost)|consuming input failed|sending query failed",
)
_NO_SPACE = "No space left on device"
DISK_FULL = "53100"
_NO_SNAPSHOT = re.compile(r"snapshot .*does not exist|invalid snapshot")
SNAPSHOT_LOST = (
    "the source has lost the snapshot (the connection that held it was closed, or the address leads to several servers)"
)
SNAPSHOT_ADVICE = "Use the URL of one database server, and not that of a pooler or load balancer. Then import again."
_READ_UNDER_RLS = "would be affected by row-level security policy"


def translate_connect_error(error: psycopg.Error, address: str, observation: ConnectObservation) -> Failure:
    """Translates a refused connection to the source. `address`: host, port and database for the message."""
    refusal, problem = observation.refusal, observation.problem
    text = refusal.describe() if refusal is not None else observation.text or first_line(error)
    message = f"the source {address}: {text}"
    if problem is not None:
        return Failure(_PROBLEM_REASONS[problem], message, _PROBLEM_ADVICE.get(problem, ""))
    if refusal is None:
        return Failure(_AWAY, message)
    advice = CONNECT_ADVICE.get(refusal.sqlstate or "") or find_source_advice(refusal)
    return Failure(find_connect_reason(refusal.sqlstate), message, advice)


def translate_source_error(error: psycopg.Error | ServerError, action: str) -> Failure:
    """Translates a statement that failed at the source. `action`, as in "its tables were listed", is what it did."""
    refusal = _read(error)
    message = f"the source failed while {action}: {refusal.describe()}"
    return Failure(find_source_reason(refusal.sqlstate), message, find_source_advice(refusal))


def translate_snapshot_error(error: psycopg.Error | ServerError, action: str) -> Failure:
    """Translates an error of the statements by which a session imports the snapshot."""
    refusal = _read(error)
    if refusal.sqlstate in SNAPSHOT_SQLSTATES:
        return Failure(_AWAY, f"{SNAPSHOT_LOST}: {refusal.describe()}", SNAPSHOT_ADVICE)
    return translate_source_error(refusal, action)


def translate_target_error(error: psycopg.Error | ServerError, action: str) -> Failure:
    """Translates a statement that failed in the shadow. `action`, as in "ANALYZE ran", is what it did."""
    refusal = _read(error)
    message = f"the target failed while {action}: {refusal.describe()}"
    return Failure(find_target_reason(refusal.sqlstate), message, find_target_advice(refusal))


def _read(error: psycopg.Error | ServerError) -> ServerError:
    return error if isinstance(error, ServerError) else read_server_error(error)


_ERROR_LINE = re.compile(r"^(?:pg_dump|pg_restore): error: (.*)$")
_DETAIL_LINE = re.compile(r"^(?:pg_dump|pg_restore): (?:detail|hint): (.*)$")
_ENTRY_LINE = re.compile(r"^(?:pg_dump|pg_restore): (?:from|error in) TOC entry \d+; \d+ \d+ (.*)$")
_COMMAND_LINE = re.compile(r"^Command was: (.*)$")
_VERBOSE_LINE = re.compile(r"^(?:pg_dump|pg_restore): (?!error:|warning:|detail:|hint:|from TOC|error in)")
_LINES_OF_AN_ERROR = 12
_CHILD_DIED = "a worker process died unexpectedly"


def is_verbose_output(line: str) -> bool:
    """True for a line that `--verbose` adds."""
    return _VERBOSE_LINE.match(line) is not None


class ClientErrorParser:
    """Finds the first error, and its object, in the stderr lines of pg_dump or pg_restore."""

    def __init__(self) -> None:
        self._entry: str | None = None
        self._error: list[str] = []
        self._open = 0  # number of further lines that may belong to the first error

    def read_line(self, line: str) -> None:
        if is_verbose_output(line):
            return
        if match := _ENTRY_LINE.match(line):
            if not self._error:
                self._entry = match[1].rsplit(" ", 1)[0]  # without the owner at the source
        elif match := _ERROR_LINE.match(line):
            if not self._error:
                self._error = [match[1]]
                self._open = _LINES_OF_AN_ERROR
            else:
                self._open = 0
        elif self._open > 0:
            self._open -= 1
            detail = _DETAIL_LINE.match(line)
            self._error.append(detail[1] if detail else line)

    @property
    def error(self) -> str | None:
        """`TABLE public t: ERROR: …; command was: CREATE TABLE …` as one line, or None without an error."""
        if not self._error:
            return None
        head = re.sub(r"^could not execute query: ", "", self._error[0])
        parts = [f"{self._entry}: {head}" if self._entry else head]
        for line in self._error[1:]:
            if command := _COMMAND_LINE.match(line):
                parts.append(f"command was: {command[1].strip()[:200]}")
                break
            if re.match(r"^(DETAIL|HINT|CONTEXT|Error message from server|Query was|LINE \d+):", line):
                parts.append(line.strip()[:200])
        return re.sub(r"\s+", " ", "; ".join(parts))


def translate_dump_exit(returncode: int, errors: ClientErrorParser) -> Failure:
    """Translates a non-zero exit code of pg_dump."""
    if (failure := _translate_signal("pg_dump", returncode, errors)) is not None:
        return failure
    error = errors.error or f"it ended with exit code {returncode} and named no error"
    if _NO_SPACE in error and "ERROR:" not in error:
        return Failure(Reason.SCRATCH_FULL, f"pg_dump: {error}")
    if _READ_UNDER_RLS in error:
        return Failure(_DENIED, f"pg_dump: {error}; at the source, run ALTER ROLE … BYPASSRLS for the source's user")
    if re.search(r"permission denied|must be (owner|superuser)", error):
        return Failure(_DENIED, f"pg_dump: {error}")
    if "canceling statement due to conflict with recovery" in error:
        return Failure(Reason.SOURCE_CHANGED, f"pg_dump: {error}")
    if _NO_SNAPSHOT.search(error):
        return Failure(_AWAY, f"{SNAPSHOT_LOST}: pg_dump: {error}")
    if _CONNECTION_LOST.search(error):
        return Failure(_AWAY, f"the source was lost: pg_dump: {error}")
    return Failure(Reason.DUMP_FAILED, f"pg_dump: {error}")


def translate_restore_exit(returncode: int, errors: ClientErrorParser) -> Failure:
    """Translates a non-zero exit code of pg_restore."""
    if (failure := _translate_signal("pg_restore", returncode, errors)) is not None:
        return failure
    error = errors.error or f"it ended with exit code {returncode} and named no error"
    if _NO_SPACE in error and "ERROR:" not in error:
        return Failure(Reason.SCRATCH_FULL, f"pg_restore: {error}")
    if _NO_SPACE in error or "could not extend file" in error:
        return Failure(Reason.TARGET_FULL, f"the target's disk is full: pg_restore: {error}")
    if _CONNECTION_LOST.search(error):
        return Failure(Reason.TARGET_LOST, f"pg_restore: {error}")
    return Failure(Reason.RESTORE_FAILED, f"pg_restore: {error}")


def _translate_signal(program: str, returncode: int, errors: ClientErrorParser) -> Failure | None:
    if returncode == -9 or (errors.error or "").endswith(_CHILD_DIED):
        return Failure(
            Reason.WORKER_OUT_OF_MEMORY,
            f"a process of {program} was killed (signal 9), most likely because memory ran out",
        )
    if returncode < 0:
        return Failure(Reason.WORKER_FAILED, f"{program} was ended by signal {-returncode}")
    return None

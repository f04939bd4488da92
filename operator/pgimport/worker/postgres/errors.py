"""Translates errors of PostgreSQL, libpq and the client programs into failures with a reason."""

import re
from dataclasses import dataclass, replace
from enum import Enum, auto

import psycopg

from pgimport.model.errors import PgimportError
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.client_values import hide_command_values, mark_client_error
from pgimport.worker.postgres.server_errors import (
    CONNECT_ADVICE,
    ServerError,
    build_search_path_advice,
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


def translate_unexpected_error(error: BaseException) -> Failure | None:
    """Translates an error of a server that no step expected. Returns None for any other exception.

    Which server it was is unknown. The target's table of SQLSTATEs says whether another attempt can help.
    """
    if not isinstance(error, psycopg.Error) and not isinstance(getattr(error, "sqlstate", None), str):
        return None
    words = read_server_error(error)
    if words.sqlstate is None:
        return Failure(Reason.WORKER_FAILED, f"a session at the source or the target failed: {words.describe()}")
    message = f"the source or the target refused a statement: {words.describe()}"
    return Failure(find_target_reason(words.sqlstate), message, find_target_advice(words))


class ConnectProblem(Enum):
    """Causes of a failed connection for which no server sends a SQLSTATE."""

    NO_ANSWER = auto()
    PASSWORD_MISSING = auto()
    PASSWORD_IN_CLEAR = auto()  # the server asks for the password in clear text, without TLS
    METHOD_UNKNOWN = auto()  # the server wants an authentication method that the client lacks
    TLS_FAILED = auto()
    TLS_MISSING = auto()  # the server has no TLS, and the URL requires it
    TLS_WANTED = auto()  # the server admits the user, but only with TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectObservation:
    """What a second attempt after a refused connection showed.

    If it has neither refusal nor problem, the attempt succeeded.
    """

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
    ConnectProblem.PASSWORD_IN_CLEAR: _AUTH,
    ConnectProblem.METHOD_UNKNOWN: _AUTH,
    ConnectProblem.TLS_FAILED: _TLS,
    ConnectProblem.TLS_MISSING: _TLS,
    ConnectProblem.TLS_WANTED: _TLS,
}
_PROBLEM_ADVICE = {
    ConnectProblem.PASSWORD_MISSING: "Write the password into the source URL.",
    ConnectProblem.PASSWORD_IN_CLEAR: (
        "Turn on ssl at the source, or let it admit this user by scram-sha-256 in pg_hba.conf. If you accept that the"
        " password is sent in clear text, write sslmode=disable into the source URL."
    ),
    ConnectProblem.METHOD_UNKNOWN: "Let the source admit this user with a password: scram-sha-256 in pg_hba.conf.",
    ConnectProblem.TLS_MISSING: (
        "Turn on ssl at the source, or write sslmode=disable into the source URL if you accept that nothing is"
        " encrypted."
    ),
    ConnectProblem.TLS_WANTED: "Write sslmode=require into the source URL.",
}
# What libpq and the clients write themselves, in English, because they run with LC_ALL=C. A server's messages follow
# `ERROR:` in the server's language.
_CONNECTION_LOST = re.compile(
    r"server closed the connection|connection not open|no connection to the server|SSL connection has been closed"
    r"|SSL SYSCALL|could not receive data from server|could not send data to server|lost synchronization"
    r"|connection to server"
)
# The severity of an error that ended the session. Servers write it so in English and in most other languages. During a
# COPY or in a large object, libpq adds no words of its own.
_SESSION_ENDED = re.compile(r"(?:^|: )FATAL: ")
# Of a process of pg_dump --jobs, which locks with NOWAIT a table that its parent has locked already.
_LOCK_REFUSED = re.compile(r"could not obtain lock on relation")
DISK_FULL = "53100"
SNAPSHOT_LOST = (
    "the source has lost the snapshot (the connection that held it was closed, or the address leads to several servers)"
)
_LOGIN_REFUSED = re.compile(r"connection to server .* failed: FATAL: ")  # of a second session
_FEWER_JOBS = (
    "If the source has no more free connections, raise max_connections or the user's connection limit at the source, or"
    " lower spec.jobs."
)
_AGAIN = "Import again. The server's log tells who ended the session."
SNAPSHOT_ADVICE = "Use the URL of one database server, and not that of a pooler or load balancer. Then import again."


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
    """Translates a statement that failed at the source.

    `action` says what it should do, as in "its tables were listed".
    """
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
    """Translates a statement that failed in the shadow. `action` says what it should do, as in "ANALYZE ran"."""
    refusal = _read(error)
    message = f"the target failed while {action}: {refusal.describe()}"
    return Failure(find_target_reason(refusal.sqlstate), message, find_target_advice(refusal))


def _read(error: psycopg.Error | ServerError) -> ServerError:
    return error if isinstance(error, ServerError) else read_server_error(error)


_ERROR_LINE = re.compile(r"^(?:pg_dump|pg_restore): error: (.*)$")
_DETAIL_LINE = re.compile(r"^(?:pg_dump|pg_restore): (?:detail|hint): (.*)$")
# The object, without its owner at the source.
_ENTRY_LINE = re.compile(
    r"^(?:pg_dump|pg_restore): (?:from|error in) TOC entry \d+; \d+ \d+ (.*?) (?:\(no owner\)|\S*)$"
)
_STATEMENT_LINE = re.compile(r"^(?:pg_dump: (?:error|detail): )?(?:Query was|(?:The c|C)ommand was): (.*)$")
_COMMAND_LINE = re.compile(r"^Command was: (.*)$")
_VERBOSE_LINE = re.compile(r"^(?:pg_dump|pg_restore): (?!error:|warning:|detail:|hint:|from TOC|error in)")
_LINES_OF_AN_ERROR = 12
_NOT_FOUND = " does not exist"
_UNDEFINED_FUNCTION = "42883"
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
        self._statement: list[str] = []  # lines of the first statement that failed
        self._in_statement = False

    def read_line(self, line: str) -> None:
        if is_verbose_output(line):
            self._in_statement = False
            return
        self._read_statement(line)
        if match := _ENTRY_LINE.match(line):
            if not self._error:
                self._entry = match[1]
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

    def _read_statement(self, line: str) -> None:
        if match := _STATEMENT_LINE.match(line):
            self._in_statement = not self._statement
            if self._in_statement:
                self._statement.append(match[1])
        elif line.startswith(("pg_dump: ", "pg_restore: ")):
            self._in_statement = False
        elif self._in_statement:
            self._statement.append(line)

    @property
    def statement(self) -> str | None:
        """The first statement that failed, if the client prints it."""
        return "\n".join(self._statement) or None

    @property
    def error(self) -> str | None:
        """`TABLE public t: ERROR: …; command was: CREATE TABLE …` as one line, or None without an error."""
        if not self._error:
            return None
        head, *lines = self._error
        command = next((line for line in lines if _COMMAND_LINE.match(line)), None)
        lines = lines[: lines.index(command)] if command else lines
        text = mark_client_error(re.sub(r"^could not execute query: ", "", head), lines)
        parts = [f"{self._entry}: {text}" if self._entry else text]
        if command and (match := _COMMAND_LINE.match(command)):
            parts.append(f"command was: {hide_command_values(match[1].strip()[:200])}")
        return re.sub(r"\s+", " ", "; ".join(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientObservation:
    """How a client program ended, and what a query to its server showed afterwards."""

    program: str
    returncode: int
    error: str | None  # the first error that it printed
    scratch_is_full: bool = False
    connection_lost: bool = False
    repeated: bool = False  # whether its statement succeeded when it was repeated
    refusal: ServerError | None = None  # the error of the repeated statement, or of a write to the target's disk

    @property
    def text(self) -> str:
        return f"{self.program}: {self.error or f'it ended with exit code {self.returncode} and named no error'}"


def translate_client_end(observation: ClientObservation) -> Failure | None:
    """Translates what the client itself shows: a signal, or scratch without space. Returns None for other causes."""
    program, returncode = observation.program, observation.returncode
    if returncode == -9 or (observation.error or "").endswith(_CHILD_DIED):
        return Failure(
            Reason.WORKER_OUT_OF_MEMORY,
            f"a process of {program} was killed (signal 9), most likely because memory ran out",
        )
    if returncode < 0:
        return Failure(Reason.WORKER_FAILED, f"{program} was ended by signal {-returncode}")
    return Failure(Reason.SCRATCH_FULL, observation.text) if observation.scratch_is_full else None


def translate_dump_end(observation: ClientObservation) -> Failure:
    """Translates a non-zero exit code of pg_dump."""
    text, refusal = observation.text, observation.refusal
    if (failure := translate_client_end(observation)) is not None:
        return failure
    if refusal is not None:
        failure = translate_source_error(refusal, "pg_dump read it")
        return replace(failure, message=f"{text} (SQLSTATE {refusal.sqlstate})")
    if _LOCK_REFUSED.search(observation.error or ""):
        return Failure(Reason.SOURCE_LOCKED, f"the source's lock was not granted: {text}")
    if _LOGIN_REFUSED.search(observation.error or ""):
        return Failure(_AWAY, f"the source refused a session of pg_dump: {text}", _FEWER_JOBS)
    if observation.repeated or observation.connection_lost:
        return Failure(_AWAY, f"the source ended a session of pg_dump: {text}", _AGAIN)
    return Failure(Reason.DUMP_FAILED, text)


def translate_dump_change(changed: list[str], observation: ClientObservation) -> Failure:
    """Translates a failure of pg_dump at objects that another session dropped or created again meanwhile."""
    names = ", ".join(changed) or "an object"
    return Failure(
        Reason.SOURCE_CHANGED,
        f"{names} was dropped or created again at the source after the snapshot: {observation.text}",
    )


def translate_restore_end(observation: ClientObservation) -> Failure:
    """Translates a non-zero exit code of pg_restore."""
    text, refusal = observation.text, observation.refusal
    if (failure := translate_client_end(observation)) is not None:
        return failure
    if observation.connection_lost:
        return Failure(Reason.TARGET_LOST, text)
    if refusal is not None:
        failure = translate_target_error(refusal, "its disk was checked")
        if failure.reason is not Reason.RESTORE_FAILED:
            return replace(failure, message=f"{failure.message}; before that, {text}")
    return Failure(Reason.RESTORE_FAILED, text, _find_restore_advice(text))


def _find_restore_advice(text: str) -> str:
    """Returns what to do if a function that a row calls names an object without its schema.

    pg_restore prints no SQLSTATE. It runs with LC_ALL=C, so the label of the context is English.
    """
    message, label, context = text.partition("CONTEXT: ")
    if not label or _NOT_FOUND not in message:
        return ""
    return build_search_path_advice(ServerError(message=message, sqlstate=_UNDEFINED_FUNCTION, context=context))


def is_lost_connection(errors: ClientErrorParser) -> bool:
    """True if libpq or the server says that the session ended. libpq's text is English because of LC_ALL=C."""
    text = errors.error or ""
    return _CONNECTION_LOST.search(text) is not None or _SESSION_ENDED.search(text.partition("; ")[0]) is not None

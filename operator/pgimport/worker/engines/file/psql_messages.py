"""Parses the messages that psql writes to stderr with `VERBOSITY verbose`.

The name of a message's severity is in the server's language, so only its SQLSTATE tells errors from other messages.
The labels of the lines that follow are psql's own, and psql runs with LC_ALL=C.
"""

import re
from dataclasses import dataclass

from pgimport.model.reasons import Failure, Reason
from pgimport.model.row_values import ErrorFields, mark_message, mark_values
from pgimport.worker.postgres.errors import DISK_FULL
from pgimport.worker.postgres.refusals import Refusal, is_refusal
from pgimport.worker.postgres.server_errors import find_target_advice

# `psql:<stdin>:7: ERROR:  42P01: relation "t" does not exist`; psql's own errors are `psql:<stdin>:7: error: …`.
_SERVER_MESSAGE = re.compile(r"^psql:<stdin>:(\d+): [^:]{1,40}:  ([0-9A-Z]{5}): (.*)$")
_CLIENT_ERROR = re.compile(r"^psql:(?:<stdin>:(\d+):)? (?:error|fatal): (.*)$")
_ANY_PREFIX = re.compile(r"^psql:")
_LABEL = re.compile(
    r"^(DETAIL|HINT|QUERY|CONTEXT|SCHEMA NAME|TABLE NAME|COLUMN NAME|DATATYPE NAME|CONSTRAINT NAME|"
    r"LOCATION|LINE \d+): +(.*)$"
)
_CONNECTION_LOST = re.compile(
    r"server closed the connection|connection to server was lost|terminating connection|SSL SYSCALL"
)
_TARGET_LOST_CODES = ("53200", "57P01", "57P02", "57P03")
_NO_ERROR_CLASSES = ("00", "01", "02")
_CLASSES_WITH_VALUES = ("22", "23", "P0")  # of the SQLSTATEs whose messages can contain values of rows
_ENCODING_ERRORS = ("22021", "22P05")  # bytes that are no character, or one that the database's encoding lacks
_ENCODING_ADVICE = (
    "If the text of this line is in another encoding than the dump's SET client_encoding says, correct that setting in"
    " the file. Otherwise correct the value at the source, or dump with pg_dump --encoding=UTF8."
)
_ROW_LINE = re.compile(r"^COPY .*, line (\d+)")
_MAX_LINES = 200  # of one message that are kept
_MAX_ERRORS = 10_000  # of one synchronisation


@dataclass(frozen=True, slots=True, kw_only=True)
class PsqlError(ErrorFields):
    """One error. `sqlstate` is None for an error of psql itself."""

    line: int | None  # of psql's input
    constraint: str | None = None

    @property
    def text(self) -> str:
        """The server's words as one line: message, DETAIL, HINT, CONTEXT, SQLSTATE. Values of rows have marks."""
        marked = mark_values(self)
        parts = [marked.message]
        for label, value in (("DETAIL", marked.detail), ("HINT", marked.hint), ("CONTEXT", marked.context)):
            parts += [f"{label}: {value}"] if value else []
        code = f" (SQLSTATE {self.sqlstate})" if self.sqlstate else ""
        return re.sub(r"\s+", " ", "; ".join(parts)) + code

    @property
    def row_line(self) -> int:
        """The line among the rows of a COPY, or 0 for an error outside of one."""
        match = _ROW_LINE.match(self.context or "")
        return int(match[1]) if match else 0

    def to_refusal(self) -> Refusal | None:
        """Returns the error as a refusal, or None if it is none."""
        if self.sqlstate is None or not is_refusal(self.sqlstate):
            return None
        return Refusal(
            sqlstate=self.sqlstate,
            message=self.message,
            detail=self.detail or "",
            hint=self.hint or "",
            context=self.context or "",
        )


class PsqlMessageParser:
    """Collects the errors among the lines of stderr."""

    def __init__(self) -> None:
        self.errors: list[PsqlError] = []
        self._head: tuple[int | None, str | None] | None = None  # line and SQLSTATE of the error that is open
        self._parts: dict[str, list[str]] = {}
        self._label = "MESSAGE"
        self._connection_error: str | None = None

    @property
    def open_line(self) -> int | None:
        """Input line number of the error that is being parsed."""
        return self._head[0] if self._head is not None else None

    def read_line(self, line: str) -> bool:
        """Takes one line. Returns whether it is the first line of an error, and contains no value of a row."""
        if _CONNECTION_LOST.search(line):
            self._connection_error = self._connection_error or line
        if match := _SERVER_MESSAGE.match(line):
            self._close()
            if match[2][:2] in _NO_ERROR_CLASSES:
                return False
            self._open(int(match[1]), match[2], match[3])
            return match[2][:2] not in _CLASSES_WITH_VALUES
        elif match := _CLIENT_ERROR.match(line):
            self._close()
            self._open(int(match[1]) if match[1] else None, None, match[2])
            return True
        elif _ANY_PREFIX.match(line):
            self._close()
        elif self._head is not None:
            self._continue(line)
        return False

    def finish(self) -> list[PsqlError]:
        """Returns all errors."""
        self._close()
        return self.errors

    def to_failure(self, exit_code: int | None) -> Failure:
        """Returns the failure of a psql that ended before its input did."""
        errors = self.finish()
        error = next((error for error in errors if error.sqlstate == DISK_FULL), errors[-1] if errors else None)
        if self._connection_error is not None or exit_code == 2 or (error and is_target_lost(error)):
            text = error.text if error else self._connection_error or "psql named no error"
            return Failure(Reason.TARGET_LOST, f"the connection to the target was lost: psql: {text}")
        if error is not None:
            return translate_psql_error(error, None)
        if exit_code == -9:
            return Failure(
                Reason.WORKER_OUT_OF_MEMORY, "psql was killed (signal 9), most likely because memory ran out"
            )
        return Failure(Reason.RESTORE_FAILED, f"psql ended with exit code {exit_code} and reported no error")

    def _open(self, line: int | None, sqlstate: str | None, message: str) -> None:
        self._head, self._parts, self._label = (line, sqlstate), {"MESSAGE": [message]}, "MESSAGE"

    def _continue(self, line: str) -> None:
        if match := _LABEL.match(line):
            self._label, line = match[1], match[2]
        lines = self._parts.setdefault(self._label, [])
        if len(lines) < _MAX_LINES:
            lines.append(line)

    def _close(self) -> None:
        if self._head is None:
            return
        texts = {label: "\n".join(lines).strip() for label, lines in self._parts.items()}
        line, sqlstate = self._head
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(
                PsqlError(
                    line=line,
                    sqlstate=sqlstate,
                    message=texts["MESSAGE"],
                    detail=texts.get("DETAIL"),
                    hint=texts.get("HINT"),
                    context=texts.get("CONTEXT"),
                    constraint=texts.get("CONSTRAINT NAME"),
                )
            )
        self._head = None


def is_target_lost(error: PsqlError) -> bool:
    """True if the error says that the server is currently unavailable."""
    return error.sqlstate is not None and (error.sqlstate in _TARGET_LOST_CODES or error.sqlstate[:2] == "08")


def translate_psql_error(error: PsqlError, line: int | None, subject: str | None = None) -> Failure:
    """Returns the failure for an error that ends the import. `line`: the line of the dump, if it is known."""
    if error.sqlstate == DISK_FULL:
        return Failure(
            Reason.TARGET_FULL, f"the target's disk is full: psql: {mark_message(error.message, error.sqlstate)}"
        )
    if is_target_lost(error):
        return Failure(Reason.TARGET_LOST, f"the connection to the target was lost: psql: {error.text}")
    position = f" in line {line} of the dump" if line is not None else ""
    about = f"{subject}: " if subject else ""
    advice = _ENCODING_ADVICE if error.sqlstate in _ENCODING_ERRORS else find_target_advice(error)
    return Failure(Reason.RESTORE_FAILED, f"psql{position}: {about}{error.text}", advice)

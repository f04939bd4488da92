"""Runs psql in its restricted mode, and tells which statement of its input the target refused.

psql continues after an error. It reports the number of the input line in which the statement ends, and the worker
remembers which statement it wrote there. `synchronise` waits until psql has run everything that was written.
"""

import os
import secrets
import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.file.psql_messages import PsqlError, PsqlMessageParser, translate_psql_error
from pgimport.worker.postgres.endpoints import CLIENT_DBNAME, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.run import ImportRun

OPTIONS = (
    "--no-psqlrc",
    "--quiet",
    "--no-password",
    "--set=ON_ERROR_STOP=0",
    "--set=ON_ERROR_ROLLBACK=on",  # a refused statement does not end the transaction that a file began
    "--set=VERBOSITY=verbose",
    "--file=-",
)
# Only errors and INFO reach psql then. The severity's name is in the server's language, so it cannot tell them apart.
# No timeout of the server or database ends a statement, or the session while it waits for the next one.
BEGINNING = (
    b"SET client_min_messages = error;"
    b" SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN ('lock_timeout',"
    b" 'statement_timeout', 'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout');"
)
IDLE_CHECK_SECONDS = 5.0
# A psql that the machine delays, or that sends a very large statement, leaves the server idle too.
IDLE_CHECKS = 12  # without a change between them, before the end of a statement counts as missing
_IS_IDLE = "SELECT state LIKE 'idle%%', state_change::text FROM pg_catalog.pg_stat_activity WHERE pid = %s"


@dataclass(frozen=True, slots=True)
class Synchronised:
    """What psql reported since the last call. `probe_sqlstate`: why the probe's query failed, None if it did not."""

    errors: list[tuple[int, PsqlError]]  # index of the statement since the last call, its error
    probe_sqlstate: str | None = None
    shown: str = ""  # what the block has printed; empty if it failed


@dataclass
class _Marker:
    """A message that psql prints after everything before it was run."""

    token: str = ""
    line: int | None = None  # of psql's input
    text: str | None = None  # what follows the token


class PsqlSession:
    """Writes the input of one psql, and reads its messages. `statement_lines` begins anew at each synchronisation."""

    def __init__(self, run: ImportRun) -> None:
        self.run = run
        self._stdin: IO[bytes] | None = None
        self._line = 1  # line of the input that is written next
        self._statement_lines: list[int] = []
        self._marker = _Marker()
        self._parser = PsqlMessageParser()
        self._changed = threading.Condition()
        self._ended = False
        self._backend_pid: int | None = None

    def open(self, stdin: IO[bytes]) -> None:
        """Sets psql's standard input."""
        self._stdin = stdin

    def read_line(self, line: str) -> None:
        """Takes a line of psql's stderr. Called by another thread."""
        with self._changed:
            if self._parser.read_line(line):
                self.run.reporter.log_client_line(line)
            if self._marker.text is None and self._marker.line is not None:
                if f": {self._marker.token}" in line and line.startswith("psql:"):
                    self._marker.text = line.rpartition(self._marker.token)[2].strip()
                elif (self._parser.open_line or 0) >= self._marker.line:
                    self._marker.text = ""  # the marker itself failed
                if self._marker.text is not None:
                    self._changed.notify_all()

    def end(self) -> None:
        """Notes that psql has closed its stderr. Called by another thread."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def write_statement(self, text: bytes) -> None:
        """Writes one statement. Its index is the number of statements since the last synchronisation."""
        self._statement_lines.append(self._line)
        self.write(text + b"\n")

    def write(self, text: bytes, newlines: int | None = None) -> None:
        """Writes further input, such as rows. `newlines`: number of newlines in it, if already known."""
        assert self._stdin is not None  # noqa: S101 (it is open)
        self._stdin.write(text)
        self._line += text.count(b"\n") if newlines is None else newlines

    def flush(self) -> None:
        """Passes everything that was written to psql."""
        assert self._stdin is not None  # noqa: S101 (it is open)
        self._stdin.flush()

    def translate_exit(self, exit_code: int | None) -> Failure:
        """Returns the failure of a psql that ended before its input did."""
        with self._changed:
            return self._parser.to_failure(exit_code)

    def synchronise(self, probe: bytes | None = None, block: bytes = b"") -> Synchronised:
        """Waits until psql has run all statements. Raises ImportStopped if it cannot go on.

        `probe`: a query that is tried and whose result is ignored. It must not change anything.
        `block`: a block of PL/pgSQL that is tried. It sets the variable `shown` to a text of one line.
        """
        self._marker = _Marker(secrets.token_hex(16), self._line)
        self._statement_lines.append(self._line)
        self.write(_build_marker(self._marker.token, probe, block))
        self.flush()
        self._wait_for_marker()
        with self._changed:
            errors, self._parser = self._parser.finish(), PsqlMessageParser()
        pid, sqlstate, shown = [*(self._marker.text or "").split(" "), "", ""][:3]
        self._backend_pid = int(pid) if pid.isdigit() else self._backend_pid
        lines, self._statement_lines = self._statement_lines, []
        indexed = [(bisect_right(lines, error.line or 0) - 1, error) for error in errors]
        if failed := [error for index, error in indexed if index == len(lines) - 1]:
            raise ImportStopped(translate_psql_error(failed[0], None))
        return Synchronised(indexed, sqlstate if probe is not None and sqlstate != "00000" else None, shown)

    def _wait_for_marker(self) -> None:
        idle_since: str | None = None
        idle_checks = 0
        while True:
            with self._changed:
                if self._marker.text is not None:
                    return
                if self._ended:
                    raise ImportStopped(self._parser.to_failure(None))
                if self._changed.wait(IDLE_CHECK_SECONDS):
                    continue
            since = self._read_idle_time()
            idle_checks = idle_checks + 1 if since is not None and since == idle_since else 0
            if idle_checks == IDLE_CHECKS:
                raise ImportStopped(_build_never_ends())
            idle_since = since

    def _read_idle_time(self) -> str | None:
        """Returns since when the server waits for psql, or None if it does not."""
        if self._backend_pid is None:
            return None
        with self.run.shadow_sessions.session("psql's session was watched") as shadow:
            row = shadow.execute(_IS_IDLE, [self._backend_pid]).fetchone()
        return str(row[1]) if row and row[0] else None


def _build_never_ends() -> Failure:
    return Failure(
        Reason.DUMP_CORRUPT,
        "psql waits for the end of a statement that the dump does not end: it has an open quote or parenthesis",
    )


def _build_marker(token: str, probe: bytes | None, block: bytes) -> bytes:
    """Returns a statement that prints `<token> <backend pid> <SQLSTATE> <shown>`. INFO is always sent."""
    name = token.encode()
    tried = b"EXECUTE $p%b$%b$p%b$; " % (name, probe, name) if probe else block
    return (
        b"DO $d%b$ DECLARE shown text := ''; BEGIN %b RAISE INFO '%b%% 00000 %%', pg_catalog.pg_backend_pid(), shown;"
        b" EXCEPTION WHEN OTHERS THEN RAISE INFO '%b%% %%', pg_catalog.pg_backend_pid(), SQLSTATE; END $d%b$;\n"
        % (name, tried, name, name, name)
    )


def run_psql(run: ImportRun, talk: Callable[[PsqlSession], None]) -> None:
    """Runs psql as the attempt's role while `talk` writes its input, under `\\restrict` with a random token.

    Raises ImportStopped.
    """
    psql = run.clients.find_psql(run.target_major)
    passfile = write_passfile(run.shadow, run.environment.private, "target.pgpass")
    token = secrets.token_hex(32).encode()
    session = PsqlSession(run)

    def write_input(stdin: IO[bytes]) -> None:
        session.open(stdin)
        session.write(b"\\restrict " + token + b"\n" + BEGINNING + b"\n")
        session.synchronise()
        talk(session)
        session.write(b"\n\\unrestrict " + token + b"\n")

    arguments = [str(psql), *OPTIONS, f"--dbname={CLIENT_DBNAME}"]
    environ = build_client_environment(run.shadow_sessions.client_endpoint, passfile, os.environ)
    try:
        with run.interruption.ending(run.processes.end_all):
            exit_code = run.processes.converse(arguments, environ, session.read_line, write_input, session.end)
    finally:
        passfile.unlink(missing_ok=True)
    if exit_code != 0:
        raise ImportStopped(session.translate_exit(exit_code))

"""The user's SQL in the finished copy: a file comes in; a changed shadow and notes on its structure go out.

It runs as the attempt's role, which becomes the owner, in one transaction. Row security is not passed over in
silence: with `row_security = off` a statement that a policy would hide rows from fails, so that no masking misses any.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.pg_restore import ImportRun
from pgimport.worker.postgres.endpoints import Connection, connect
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import shadow_connection
from pgimport.worker.report.progress import PeriodicCall
from pgimport.worker.verify.structure import compare_structures, read_structure

TIMEOUT = 1800.0  # seconds for the whole of it
_LOST = ("08", "57P")  # SQLSTATEs of a server that went away


def run_post_import(run: ImportRun, timeout: float = TIMEOUT) -> list[str]:
    """What it removed or changed, as notes; nothing where there is none to run. Raises Stopped."""
    if run.environment.post_import is None:
        return []
    text = _read(run.environment.post_import)
    run.reporter.log("running the SQL of spec.postImport")
    with shadow_connection(run.shadow, "its structure was listed") as shadow:
        before = read_structure(shadow)
        filled = [
            (schema, name)
            for schema, name, populated in shadow.execute(read_query("finish/materialized_views"))
            if populated
        ]
    with (
        shadow_connection(run.shadow, "the SQL of spec.postImport ran") as shadow,
        _signs_of_life(run),
        _limited(shadow, timeout),
    ):
        _execute(shadow, text)
    with shadow_connection(run.shadow, "materialised views were refreshed after spec.postImport") as shadow:
        present = {(schema, name) for schema, name, _ in shadow.execute(read_query("finish/materialized_views"))}
        for view in filled:  # what was masked must not live on in them
            if view in present:
                shadow.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)))
        compared = compare_structures(before, read_structure(shadow))
    return [f"changed by spec.postImport: {text}" for text in compared.differences]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ImportStopped(
            Failure(Reason.POST_IMPORT_FAILED, f"the SQL of spec.postImport is unreadable: {why}")
        ) from None


def _execute(shadow: Connection, text: str) -> None:
    """As a session of the owner's own begins, but for the timeouts."""
    shadow.execute("RESET ALL")
    shadow.execute("SET client_encoding = 'UTF8'")
    shadow.execute("SET row_security = off")
    try:
        shadow.execute(text.encode())
    except psycopg.errors.QueryCanceled:
        why = "it was cancelled after its time was over (30 minutes)"
        raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, f"the SQL of spec.postImport: {why}")) from None
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_LOST):
            raise ImportStopped(translate_target_error(error, "the SQL of spec.postImport ran")) from error
        raise ImportStopped(_failure(error, text)) from error


def _failure(error: psycopg.Error, text: str) -> Failure:
    position = error.diag.statement_position
    line = f", line {text[: int(position) - 1].count(chr(10)) + 1}" if position else ""
    advice = " (commands of psql are not SQL)" if 'near "\\"' in str(error) else ""
    return Failure(
        Reason.POST_IMPORT_FAILED,
        f"the SQL of spec.postImport{line}: {first_line(error)}{advice} (SQLSTATE {error.sqlstate})",
    )


@contextmanager
def _limited(shadow: Connection, timeout: float) -> Iterator[None]:
    """The server's own timeout would begin anew with each statement."""
    timer = threading.Timer(timeout, lambda: shadow.cancel_safe(timeout=10))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _signs_of_life(run: ImportRun) -> Iterator[None]:
    """One transaction shows no counters before its end; what it writes makes the database grow."""
    try:
        watcher = connect(run.shadow)
    except psycopg.Error:
        yield
        return

    def look() -> None:
        row = watcher.execute("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())").fetchone()
        run.meter.sign(int(row[0]) if row else 0)

    with watcher, PeriodicCall(look):
        yield

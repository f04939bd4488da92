"""Runs the user's SQL of spec.postImport in the verified copy.

It runs as the attempt's role, which becomes the owner, in one transaction. `row_security` is off: if a policy would
hide rows from a statement, the statement fails. So a statement that masks data cannot miss rows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.finish.materialized_views import ViewName, read_populated_views
from pgimport.worker.finish.renewed_statistics import renew_statistics
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import describe_message
from pgimport.worker.postgres.session_settings import build_script_statement
from pgimport.worker.postgres.shadow import DATABASE_SIZE, ShadowSessions
from pgimport.worker.postgres.sqlstates import find_target_reason
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.report.progress_meter import ProgressMeter
from pgimport.worker.verify.structure import compare_structures, read_structure

TIMEOUT = 1800.0  # seconds for all statements together
_CONNECTION_LOST_CLASSES = ("08", "57P")  # first characters of the SQLSTATEs of a lost connection or a stopped server


def run_post_import(
    shadow: ShadowSessions, script: Path, jobs: int, meter: ProgressMeter, timeout: float = TIMEOUT
) -> list[str]:
    """Runs the script, then refreshes materialised views and statistics, so that they hold no data from before it.

    Returns a note for each object that the script removed or changed. Raises ImportStopped.
    """
    text = _read_script(script)
    with shadow.session("its structure was listed") as connection:
        structure = read_structure(connection)
        populated = read_populated_views(connection)
    with (
        shadow.own_session("the SQL of spec.postImport ran") as connection,
        _reporting_activity(shadow.endpoint, meter),
        _cancelling_after(connection, timeout) as is_over,
    ):
        _execute_script(connection, text, is_over)
    with shadow.session("materialised views were refreshed after spec.postImport") as connection:
        views = _refresh_again(connection, populated)
    notes = renew_statistics(shadow, jobs, meter, views)
    with shadow.session("its structure was compared") as connection:
        comparison = compare_structures(structure, read_structure(connection))
    return [*notes, *(f"changed by spec.postImport: {difference}" for difference in comparison.differences)]


def _read_script(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f"the SQL of spec.postImport is unreadable: {cause}"
        raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, message)) from None
    if "\0" in text:  # libpq would execute only what stands before it
        message = "the SQL of spec.postImport contains a NUL character"
        raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, message))
    return text


def _refresh_again(connection: Connection, populated: set[ViewName]) -> list[ViewName]:
    rows = connection.execute(read_query("finish/materialized_views")).fetchall()
    views = [(schema, name) for schema, name, _ in rows if (schema, name) in populated]
    for view in views:
        try:
            connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)))
        except psycopg.Error as error:
            if connection.closed or find_target_reason(error.sqlstate) is not Reason.RESTORE_FAILED:
                raise
            message = f"after the SQL of spec.postImport, materialised view {'.'.join(view)} cannot be refreshed"
            raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, f"{message}: {describe_message(error)}")) from error
    return views


def _execute_script(connection: Connection, text: str, is_over: threading.Event) -> None:
    """Executes the text with the settings of an owner's session, but without timeouts and with row_security off."""
    connection.execute("RESET ALL")
    connection.execute(
        "SELECT pg_catalog.set_config('client_encoding', 'UTF8', false)"
        " WHERE pg_catalog.getdatabaseencoding() <> 'MULE_INTERNAL'"  # which no server can convert to UTF8
    )
    connection.execute(build_script_statement().encode())
    try:
        cursor = connection.execute(text.encode())
    except psycopg.errors.QueryCanceled as error:
        if not is_over.is_set():
            raise ImportStopped(_build_failure(error, text)) from error
        message = "the SQL of spec.postImport: it was cancelled after its time was over (30 minutes)"
        raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, message)) from None
    except psycopg.Error as error:
        if connection.closed or (error.sqlstate or "").startswith(_CONNECTION_LOST_CLASSES):
            raise ImportStopped(translate_target_error(error, "the SQL of spec.postImport ran")) from error
        raise ImportStopped(_build_failure(error, text)) from error
    # A ConfigMap whose content got lost would otherwise leave all rows as they are, without a word.
    if cursor.pgresult is not None and cursor.pgresult.status == ExecStatus.EMPTY_QUERY:
        raise ImportStopped(Failure(Reason.POST_IMPORT_FAILED, "the SQL of spec.postImport: it has no statement"))


def _build_failure(error: psycopg.Error, text: str) -> Failure:
    if error.sqlstate is None:  # psycopg refuses a COPY with the client, and the server refuses nothing
        message = "the SQL of spec.postImport: COPY FROM STDIN and COPY TO STDOUT are not possible"
        return Failure(Reason.POST_IMPORT_FAILED, message)
    position = error.diag.statement_position
    line = f", line {text[: int(position) - 1].count(chr(10)) + 1}" if position else ""
    advice = " (commands of psql are not SQL)" if 'near "\\"' in str(error) else ""
    return Failure(
        Reason.POST_IMPORT_FAILED,
        f"the SQL of spec.postImport{line}: {describe_message(error)}{advice}",
    )


@contextmanager
def _cancelling_after(connection: Connection, timeout: float) -> Iterator[threading.Event]:
    """Cancels the block's statements after `timeout` seconds. statement_timeout would restart with each statement.

    Yields an event that is set when the time is over.
    """
    is_over = threading.Event()

    def cancel() -> None:
        is_over.set()
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=10)

    timer = threading.Timer(timeout, cancel)
    timer.daemon = True
    timer.start()
    try:
        yield is_over
    finally:
        timer.cancel()


@contextmanager
def _reporting_activity(shadow: Endpoint, meter: ProgressMeter) -> Iterator[None]:
    """Reports the database's size as progress. Before the transaction ends, no other counter shows its progress."""
    try:
        observer = connect(shadow)
    except psycopg.Error:
        yield
        return

    def report_size() -> None:
        row = observer.execute(DATABASE_SIZE).fetchone()
        meter.report_activity(int(row[0]) if row else 0)

    with observer, PeriodicCall(report_size):
        yield

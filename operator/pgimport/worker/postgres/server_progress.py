"""Reports how far a server is with the statements of an import."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psycopg

from pgimport.worker.postgres.endpoints import Endpoint, connect
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.report.progress_meter import ProgressMeter

COPY_PROGRESS = "postgres/copy_progress"  # rows of (oid, bytes)
INDEX_PROGRESS = "postgres/index_progress"  # one number that grows
ROWS_COPIED = "postgres/rows_copied"  # one number that grows


@contextmanager
def reporting_server_progress(meter: ProgressMeter, endpoint: Endpoint, query: str) -> Iterator[None]:
    """While a block runs, runs `query`, one of the names above, at the server every second and updates the meter.

    If the server has no free connection, the block runs without this. Then only the clients' output shows progress.
    """
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(endpoint))
        except psycopg.Error:
            yield
            return

        def report() -> None:
            nonlocal connection
            try:
                rows = connection.execute(read_query(query)).fetchall()
            except psycopg.Error:
                if connection.closed:
                    with suppress(psycopg.Error):  # tries again a second later
                        connection = stack.enter_context(connect(endpoint))
                return
            if query == COPY_PROGRESS:
                meter.report_copied_bytes({oid: copied for oid, copied in rows})
            else:
                meter.report_activity(int(rows[0][0]))

        with PeriodicCall(report):
            yield

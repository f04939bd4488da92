"""How far a server is: a running import and a query come in; its meter hears of it while the block runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from pgimport.worker.engines.pg_restore import ImportRun
from pgimport.worker.postgres.endpoints import Endpoint, connect
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.report.progress import PeriodicCall


@contextmanager
def reporting_server_progress(run: ImportRun, endpoint: Endpoint, query: str) -> Iterator[None]:
    """Ask a server how far it is while the block runs; without the view or a free connection the clients' words do."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(endpoint))
        except psycopg.Error:
            yield
            return

        def look() -> None:
            rows = connection.execute(read_query(query)).fetchall()
            if query != "postgres/copy_progress":
                run.meter.sign(int(rows[0][0]))
            else:
                run.meter.flow({oid: copied for oid, copied in rows})

        with PeriodicCall(look):
            yield

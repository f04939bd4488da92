"""Durability of what an index worker has built."""

import io
from contextlib import closing

from tests.support.postgres import run_postgres
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.executor import DefinitionExecutor
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.definitions.statements import ArchiveSettings
from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.index_workers import IndexWorker
from pgimport.worker.report.reporter import Reporter

INDEX = IndexBuild(
    build_id=1, title="index i", statement="CREATE INDEX i ON public.t (n)", table_oid=100, exclusive=False
)


def test_flushed_indexes_survive_a_crash_of_the_server() -> None:
    # The WAL writer sleeps, so asynchronous commits stay in memory for long.
    with run_postgres(18, synchronous_commit="on", wal_writer_delay="10s") as server, server.database("d") as name:
        server.execute("CREATE TABLE t AS SELECT 1 AS n", name)
        endpoint = build_superuser_endpoint(server, name)
        context = DefinitionContext(RestorePlan(), ArchiveSettings(), Reporter(io.StringIO()))
        session = DefinitionSession(endpoint, context.settings, 1)
        worker = IndexWorker(session, DefinitionExecutor(context))
        with closing(worker):
            worker.build(INDEX)
            worker.flush()
            server.crash(name)
        assert server.query("SELECT relname FROM pg_class WHERE relname = 'i'", name) == [("i",)]

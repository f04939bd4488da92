"""A builder does not wait for the disk, and has lost nothing when it is done."""

from contextlib import closing

from tests.support.postgres import SUPERUSER, run_postgres

from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.index_workers import IndexWorker
from pgimport.worker.postgres.endpoints import Endpoint

INDEX = IndexBuild(1, "index i", "CREATE INDEX i ON public.t (n)", 100, False, False, 0)


def test_what_a_builder_has_settled_outlives_a_crash_of_the_server() -> None:
    # A writer of the log that sleeps: what no commit waits for stays in memory for long.
    with run_postgres(18, synchronous_commit="on", wal_writer_delay="10s") as server, server.database("d") as name:
        server.execute("CREATE TABLE t AS SELECT 1 AS n", name)
        builder = IndexWorker(
            Endpoint(
                host=server.host,
                port=server.port,
                user=SUPERUSER,
                password=server.superuser_password,
                dbname=name,
                sslmode="disable",
            ),
            "UTF8",
            1,
        )
        with closing(builder):
            builder.build(INDEX)
            builder.flush()
            server.crash(name)
        assert server.query("SELECT relname FROM pg_class WHERE relname = 'i'", name) == [("i",)]

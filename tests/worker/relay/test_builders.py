"""A builder does not wait for the disk, and has lost nothing when it is done."""

import os
import signal
import time
from contextlib import closing

import psycopg
from tests.support.postgres import SUPERUSER, PostgresServer, run_postgres

from pgimport.worker.endpoints import Endpoint
from pgimport.worker.relay.builders import Builder
from pgimport.worker.relay.builds import Build

INDEX = Build(1, "index i", "CREATE INDEX i ON public.t (n)", 100, False, False, 0)
PATIENCE = 20.0  # seconds


def test_what_a_builder_has_settled_outlives_a_crash_of_the_server() -> None:
    # A writer of the log that sleeps: what no commit waits for stays in memory for long.
    with run_postgres(18, synchronous_commit="on", wal_writer_delay="10s") as server, server.database("d") as name:
        server.execute("CREATE TABLE t AS SELECT 1 AS n", name)
        builder = Builder(
            Endpoint(
                host=server.host, port=server.port, user=SUPERUSER, password=server.superuser_password, dbname=name,
                sslmode="disable",
            ),
            "UTF8",
            1,
        )  # fmt: skip
        with closing(builder):
            builder.build(INDEX)
            builder.settle()
            _crash(server, name)
        assert server.query("SELECT relname FROM pg_class WHERE relname = 'i'", name) == [("i",)]


def _crash(server: PostgresServer, database: str) -> None:
    """A server process is killed, with which all of the server's memory is given up."""
    with server.connect(database) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.query("SELECT", database)
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)

"""Tests of databases that a background worker uses: an admin without SUPERUSER may not signal every one of them.

`DROP DATABASE … WITH (FORCE)` checks the right to signal each process in the database, so an autovacuum worker makes
it fail (42501). DROP DATABASE and ALTER DATABASE … RENAME end autovacuum workers themselves
(`CountOtherDBBackends` in PostgreSQL's procarray.c).
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from tests.server.conftest import PreviewScenario
from tests.support.postgres import PostgresServer

from pgimport.model.errors import ServerUnavailable
from pgimport.model.names import replaced_names
from pgimport.model.reasons import Reason
from pgimport.server.connection import MAINTENANCE_DATABASE, Connection, connect
from pgimport.server.marked_objects import drop_marked_object, read_marked_objects
from pgimport.server.preview import drop_preview, reset_preview
from pgimport.server.server_access import Access
from pgimport.server.shadow import drop_attempt
from pgimport.server.swap import drop_replaced, swap

WORKER_SECONDS = 60
# A vacuum that rests for 100 ms after every page takes minutes for these rows.
SLOW_VACUUM = """
CREATE TABLE dead_rows WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
                             autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
    AS SELECT id FROM generate_series(1, 100000) AS id;
DELETE FROM dead_rows WHERE id % 2 = 0;
"""


@pytest.fixture(scope="module")
def server(server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which looks for tables to vacuum every second."""
    server.execute("ALTER SYSTEM SET autovacuum_naptime = 1")
    server.execute("SELECT pg_reload_conf()")
    yield server
    server.execute("ALTER SYSTEM RESET autovacuum_naptime")
    server.execute("SELECT pg_reload_conf()")


@pytest.fixture
def scenario(scenario: PreviewScenario) -> Iterator[PreviewScenario]:
    """A preview with one attempt; their databases must not keep one of the three workers for the next test."""
    yield scenario
    names = scenario.names.database
    for database in (scenario.database, names, replaced_names(names).database):
        scenario.server.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def wait_for_autovacuum(server: PostgresServer, database: str) -> int:
    """Waits until an autovacuum worker works on `dead_rows` in a database; returns its process id."""
    deadline = time.monotonic() + WORKER_SECONDS
    while not (workers := read_autovacuum_workers(server, database)):
        assert time.monotonic() < deadline, f"no autovacuum worker came to {database}"
        time.sleep(0.1)
    return workers[0]


def read_autovacuum_workers(server: PostgresServer, database: str) -> list[int]:
    rows = server.query(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'"  # noqa: S608
        " AND backend_type = 'autovacuum worker' AND query LIKE '%dead_rows%'"
    )
    return [pid for (pid,) in rows]


def start_autovacuum(server: PostgresServer, connection: "psycopg.Connection[Any]") -> int:
    """Creates dead rows through this connection and waits for the worker that removes them; returns its process id."""
    database = connection.info.dbname
    with connection:
        connection.execute(SLOW_VACUUM)
    return wait_for_autovacuum(server, database)


def _delete(scenario: PreviewScenario) -> None:
    drop_preview(scenario.access, scenario.database, scenario.owner)


def _reset(scenario: PreviewScenario) -> None:
    reset_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)


def _sweep(scenario: PreviewScenario) -> None:
    uid = scenario.mark.project_uid  # other tests leave roles that cannot be dropped yet
    for marked in read_marked_objects(scenario.access, uid):
        if marked.mark.project_uid == uid:
            drop_marked_object(scenario.access, marked)


DROPS = [
    pytest.param(_delete, id="deletion and expiry"),
    pytest.param(_reset, id="reset"),
    pytest.param(_sweep, id="sweep"),
]


@pytest.mark.parametrize("drop", DROPS)
def test_a_preview_is_dropped_while_autovacuum_runs(
    scenario: PreviewScenario, drop: Callable[[PreviewScenario], None]
) -> None:
    worker = start_autovacuum(scenario.server, scenario.as_owner())
    drop(scenario)
    assert scenario.query("SELECT FROM pg_stat_activity WHERE pid::text = %s", str(worker)) == []
    if drop is _reset:
        assert scenario.tables() == []
    else:
        assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []
        assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


def test_an_attempt_is_dropped_while_autovacuum_runs(scenario: PreviewScenario) -> None:
    scenario.prepare()
    start_autovacuum(scenario.server, scenario.as_attempt())
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_databases_are_swapped_and_the_old_one_is_dropped_while_autovacuum_runs(scenario: PreviewScenario) -> None:
    scenario.prepare()
    start_autovacuum(scenario.server, scenario.as_owner())
    start_autovacuum(scenario.server, scenario.as_attempt())
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert sorted(scenario.tables()) == ["dead_rows", "new"]
    wait_for_autovacuum(scenario.server, replaced_names(scenario.names.database).database)
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []


PARALLEL_QUERY = b"""
CREATE TABLE rows AS SELECT id FROM generate_series(1, 100000) AS id;
ANALYZE rows;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM rows AS a, rows AS b WHERE a.id % 7 < b.id % 5;
"""


def test_a_preview_is_dropped_while_parallel_workers_run(scenario: PreviewScenario) -> None:
    """Parallel workers have the role of their leader, and end with it."""
    with ThreadPoolExecutor() as pool, scenario.as_owner() as connection:
        query = pool.submit(connection.execute, PARALLEL_QUERY)
        deadline = time.monotonic() + WORKER_SECONDS
        statement = "SELECT FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND datname = %s"
        while not scenario.query(statement, scenario.database):
            assert time.monotonic() < deadline, "no parallel worker started"
            time.sleep(0.1)
        drop_preview(scenario.access, scenario.database, scenario.owner)
        assert isinstance(query.exception(WORKER_SECONDS), psycopg.errors.AdminShutdown)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


class IgnoredTermination:
    """Opens connections on which the first request to end a session does nothing.

    The server then looks as it does while a session is starting: pg_stat_activity does not list it yet.
    """

    def __init__(self) -> None:
        self.ignored = 0

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        connection = connect(access, dbname)
        ignoring = self

        class IgnoringCursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                if query == "SELECT pg_terminate_backend(%s)" and not ignoring.ignored:
                    ignoring.ignored += 1
                    return self
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = IgnoringCursor
        return connection


@pytest.mark.thorough
def test_a_session_that_begins_at_the_last_moment_is_ended(scenario: PreviewScenario) -> None:
    connections = IgnoredTermination()
    attempt = scenario.names
    scenario.prepare()
    with scenario.as_attempt():
        drop_attempt(scenario.access, attempt, connect=connections)
    assert connections.ignored == 1
    assert scenario.leftovers() == []


@pytest.mark.thorough
@pytest.mark.parametrize("drop", DROPS)
def test_a_session_that_may_not_be_ended_is_named(
    scenario: PreviewScenario, drop: Callable[[PreviewScenario], None]
) -> None:
    """A background worker of an extension, such as pg_cron's, runs as a superuser too."""
    with (
        scenario.server.connect(scenario.database, application_name="pg_cron scheduler"),
        pytest.raises(
            ServerUnavailable, match=r"cannot be dropped: .* sessions of postgres \(pg_cron scheduler\)"
        ) as raised,
    ):
        drop(scenario)
    assert raised.value.failure.reason is Reason.TARGET_BUSY
    drop(scenario)


@pytest.mark.parametrize("drop", DROPS)
def test_a_subscription_that_keeps_the_database_is_named(
    scenario: PreviewScenario, drop: Callable[[PreviewScenario], None]
) -> None:
    """Logical replication: DROP DATABASE is refused while a subscription exists, and its owner must drop it."""
    name = f"{scenario.database}_subscription"
    with scenario.server.connect(scenario.database) as superuser:
        superuser.execute(
            f"CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 port=1' PUBLICATION none"
            " WITH (connect = false, enabled = false, slot_name = NONE)".encode()
        )
    try:
        with pytest.raises(ServerUnavailable, match="logical replication subscription") as raised:
            drop(scenario)
        assert raised.value.failure.reason is Reason.TARGET_BUSY
    finally:
        scenario.server.execute(f"ALTER DATABASE {scenario.database} ALLOW_CONNECTIONS true")
        scenario.server.execute(f"DROP SUBSCRIPTION {name}", scenario.database)
    drop(scenario)


@pytest.mark.parametrize("drop", DROPS)
def test_a_preview_that_the_admin_may_not_drop_stays_open(
    scenario: PreviewScenario, drop: Callable[[PreviewScenario], None]
) -> None:
    """The owner's login and the database's connections are disallowed together, or not at all."""
    grantor = " GRANTED BY admin" if scenario.server.major >= 16 else ""
    scenario.server.execute(f"REVOKE {scenario.owner} FROM admin{grantor}")
    with pytest.raises(ServerUnavailable, match="lacks a right") as raised:
        drop(scenario)
    assert raised.value.failure.reason is Reason.SERVER_NOT_FIT
    assert scenario.tables() == ["old"]

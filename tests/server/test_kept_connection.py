"""Tests of the login that `pgimport run` keeps for several calls."""

from dataclasses import replace

import pytest
from psycopg import sql
from tests.support.postgres import SUPERUSER, PostgresServer

from pgimport.model.errors import PgimportError
from pgimport.server.connection import MAINTENANCE_DATABASE, Connection, connect, execute_together, session
from pgimport.server.kept_connection import MAX_IDLE_SECONDS, KeptConnection
from pgimport.server.server_access import Access


class CountingConnect:
    """Counts the logins."""

    def __init__(self) -> None:
        self.logins = 0

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        self.logins += 1
        return connect(access, dbname)


@pytest.fixture
def counter() -> CountingConnect:
    return CountingConnect()


def read_pid(connection: Connection) -> int:
    return connection.info.backend_pid


def test_later_calls_use_the_first_login(access: Access, counter: CountingConnect) -> None:
    with KeptConnection(access, counter) as kept:
        for _ in range(3):
            with session(access, connect=kept) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        assert counter.logins == 1
    assert connection.closed


def test_a_session_within_a_session_has_its_own_login(
    server: PostgresServer, access: Access, counter: CountingConnect
) -> None:
    superuser = replace(access, user=SUPERUSER, password=server.superuser_password)
    with KeptConnection(access, counter) as kept:
        with session(access, connect=kept) as outer, session(access, connect=kept) as inner:
            assert read_pid(outer) != read_pid(inner)
        assert (inner.closed, outer.closed) == (True, False)
        with session(superuser, connect=kept) as other:
            assert other.info.user == SUPERUSER
        assert other.closed


def test_a_failed_session_is_closed_with_its_locks(access: Access, counter: CountingConnect) -> None:
    with KeptConnection(access, counter) as kept:
        with session(access, connect=kept) as failed:
            failed.execute("SELECT pg_advisory_lock(4711)")
        with pytest.raises(PgimportError), session(access, connect=kept) as failed:
            failed.execute("SELECT 1 / 0")
        assert failed.closed
        with session(access, connect=kept) as connection:
            connection.execute("SET lock_timeout = '30s'")  # the server's process ends after the client's
            connection.execute("SELECT pg_advisory_lock(4711)")


def test_a_login_that_was_idle_for_long_or_lost_is_replaced(access: Access, counter: CountingConnect) -> None:
    now = 0.0
    with KeptConnection(access, counter, lambda: now) as kept:
        with session(access, connect=kept) as first:
            first.execute("SELECT 1")
        now += MAX_IDLE_SECONDS
        with session(access, connect=kept) as second:
            second.execute("SELECT 1")
        assert (first.closed, counter.logins) == (True, 2)
        second.close()
        with session(access, connect=kept) as third:
            third.execute("SELECT 1")
        assert counter.logins == 3


def test_statements_that_are_executed_together_are_one_transaction(access: Access) -> None:
    statements = [sql.SQL(text) for text in ("CREATE ROLE together", "ALTER ROLE no_such_role LOGIN")]
    with pytest.raises(PgimportError), session(access) as connection:
        execute_together(connection, statements)
    with session(access) as connection:
        assert connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'together'").fetchone() is None
        execute_together(connection, [])

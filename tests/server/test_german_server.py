"""An admin's refused login has the same reason on a server that reports its errors in German and in English."""

import dataclasses
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.cluster.german_postgres import run_german_postgres
from tests.support.postgres import ADMIN, PostgresServer, run_postgres

from pgimport.model.errors import Conflict, ServerUnavailable
from pgimport.model.reasons import Reason
from pgimport.server.connection import connect, session
from pgimport.server.server_access import Access

pytestmark = pytest.mark.thorough
PASSWORD = secrets.token_hex(8)  # of the other roles
SETUP = f"""
CREATE ROLE group_role PASSWORD '{PASSWORD}';
CREATE ROLE full_role LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;
GRANT CREATE, CONNECT ON DATABASE template1 TO {ADMIN};
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE off ALLOW_CONNECTIONS false;
"""
LOGINS = {
    "a wrong password": ({"password": "wrong"}, "postgres", Reason.SERVER_AUTH_FAILED, "28P01"),
    "no password": ({"password": ""}, "postgres", Reason.SERVER_AUTH_FAILED, "28P01"),
    "a role that does not exist": ({"user": "nobody"}, "postgres", Reason.SERVER_AUTH_FAILED, "28P01"),
    "a role without LOGIN": (
        {"user": "group_role", "password": PASSWORD},
        "postgres",
        Reason.SERVER_AUTH_FAILED,
        "28000",
    ),
    "too many connections": (
        {"user": "full_role", "password": PASSWORD},
        "postgres",
        Reason.SERVER_UNREACHABLE,
        "53300",
    ),
    "a database that does not exist": ({}, "nothing", Reason.SERVER_UNREACHABLE, "3D000"),
    "a database that the role may not enter": ({}, "closed", Reason.SERVER_UNREACHABLE, "42501"),
    "a database without connections": ({}, "off", Reason.SERVER_UNREACHABLE, "55000"),
    "TLS that the server lacks": ({"sslmode": "require"}, "postgres", Reason.SERVER_UNREACHABLE, None),
}


@pytest.fixture(scope="module", params=["German", "English"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with run_german_postgres() if request.param == "German" else run_postgres(16) as server:
        for statement in SETUP.strip().splitlines():
            server.execute(statement)
        yield server


@pytest.fixture
def access(server: PostgresServer) -> Access:
    return Access(host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="prefer")


@pytest.mark.parametrize(("changes", "dbname", "reason", "sqlstate"), LOGINS.values(), ids=LOGINS.keys())
def test_a_refused_login_has_its_reason_and_sqlstate(
    access: Access, changes: dict[str, str], dbname: str, reason: Reason, sqlstate: str | None
) -> None:
    with pytest.raises(ServerUnavailable) as raised:
        connect(dataclasses.replace(access, **changes), dbname)  # type: ignore[arg-type]
    failure = raised.value.failure
    assert failure.reason is reason
    assert failure.message.endswith(f"(SQLSTATE {sqlstate})" if sqlstate else "SSL was required"), failure.message
    assert not any(word in failure.message for word in ("FATAL", "FEHLER", "connection to server", PASSWORD))


def test_template1_is_used_if_postgres_is_closed(server: PostgresServer, access: Access) -> None:
    server.execute(f"REVOKE CONNECT ON DATABASE postgres FROM PUBLIC, {ADMIN}")
    try:
        with connect(access) as connection:
            assert connection.info.dbname == "template1"
    finally:
        server.execute(f"GRANT CONNECT ON DATABASE postgres TO {ADMIN}")


def test_a_change_of_another_session_is_a_conflict(server: PostgresServer, access: Access) -> None:
    """The server reports it as an internal error (XX000), as it reports its own faults."""

    def grant() -> None:
        with session(access, "template1") as connection:
            connection.execute("GRANT USAGE ON SCHEMA contended TO PUBLIC")

    with connect(access, "template1") as first, ThreadPoolExecutor() as pool:
        first.execute("CREATE SCHEMA contended")
        first.execute("BEGIN")
        first.execute("GRANT USAGE ON SCHEMA contended TO PUBLIC")
        second = pool.submit(grant)
        while not server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            assert not second.done()
        first.execute("COMMIT")
        with pytest.raises(Conflict):
            second.result()
        first.execute("DROP SCHEMA contended")

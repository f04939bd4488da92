"""Tests of connections: each failure has a reason and no secret."""

import dataclasses
import select
import socket

import psycopg
import pytest
from tests.server.conftest import TRUSTED
from tests.support.clear_passwords import clear_login
from tests.support.postgres import PostgresServer
from tests.support.recording_proxy import run_recording_proxy

from pgimport.model.errors import Conflict, Refused, ServerUnavailable
from pgimport.model.reasons import Reason
from pgimport.server.connection import connect, session
from pgimport.server.server_access import Access
from pgimport.server.server_state import read_server_properties


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"password": "wrong-secret"}, Reason.SERVER_AUTH_FAILED, id="wrong-password"),
        pytest.param({"user": "nobody_here"}, Reason.SERVER_AUTH_FAILED, id="unknown-role"),
        pytest.param({"sslmode": "require"}, Reason.SERVER_UNREACHABLE, id="no-tls"),
        pytest.param({"host": "no-such-host.invalid"}, Reason.SERVER_UNREACHABLE, id="unknown-host"),
        pytest.param({"host": "x" * 64}, Reason.SERVER_UNREACHABLE, id="a label that is too long"),
        pytest.param({"port": 0}, Reason.SERVER_UNREACHABLE, id="nobody-listens"),
    ],
)
def test_a_failed_connection_has_a_reason_and_no_secret(
    access: Access, changes: dict[str, object], reason: Reason
) -> None:
    if changes.get("port") == 0:
        changes = {"port": _closed_port()}
    with pytest.raises(ServerUnavailable) as raised:
        connect(dataclasses.replace(access, **changes))  # type: ignore[arg-type]
    assert raised.value.failure.reason is reason
    assert ("SQLSTATE 28P01" in str(raised.value)) is (reason is Reason.SERVER_AUTH_FAILED)
    assert access.password not in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


def test_a_repr_contains_no_password(access: Access) -> None:
    assert access.password not in repr(access)


def test_template1_is_used_if_connections_to_postgres_are_not_allowed(server: PostgresServer, access: Access) -> None:
    server.execute("REVOKE CONNECT ON DATABASE postgres FROM admin; GRANT CONNECT ON DATABASE template1 TO admin")
    try:
        with connect(access) as connection:
            assert connection.info.dbname == "template1"
    finally:
        server.execute("GRANT CONNECT ON DATABASE postgres TO admin; REVOKE CONNECT ON DATABASE template1 FROM admin")


def test_a_lost_connection_means_that_the_server_is_unavailable(server: PostgresServer, access: Access) -> None:
    def query_after_the_cut() -> None:
        with session(access) as connection:
            server.query(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 1000)")
            connection.execute("SELECT 1")

    with pytest.raises(ServerUnavailable) as raised:
        query_after_the_cut()
    assert raised.value.failure.reason is Reason.SERVER_UNREACHABLE


def test_the_search_path_contains_only_pg_catalog(access: Access) -> None:
    with connect(access) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("pg_catalog",)


def test_properties_of_a_suitable_server(server: PostgresServer, access: Access) -> None:
    properties = read_server_properties(access, ["plpgsql", "vector", TRUSTED, "not_there"])
    assert properties.version_num // 10000 == server.major
    assert properties.version.startswith(f"{server.major}.")
    # vector is not trusted, so only a superuser can create it
    assert properties.creatable_extensions == ({"plpgsql", TRUSTED} if server.major == 18 else {"plpgsql"})


@pytest.mark.parametrize("attribute", ["CREATEDB", "CREATEROLE"])
def test_an_admin_without_createdb_or_createrole_is_refused(
    server: PostgresServer, access: Access, attribute: str
) -> None:
    server.execute(f"ALTER ROLE admin NO{attribute}")
    try:
        with pytest.raises(ServerUnavailable, match=attribute) as raised:
            read_server_properties(access, [])
    finally:
        server.execute(f"ALTER ROLE admin {attribute}")
    assert raised.value.failure.reason is Reason.SERVER_NOT_FIT


REFUSALS = [
    pytest.param("CREATE DATABASE refused ENCODING 'SJIS' TEMPLATE template0", Reason.SERVER_REFUSED, id="encoding"),
    pytest.param("CREATE DATABASE refused LOCALE 'xx_XX.UTF-8' TEMPLATE template0", Reason.SERVER_REFUSED, id="locale"),
    pytest.param("CREATE EXTENSION not_there", Reason.SERVER_REFUSED, id="extension"),
    pytest.param(
        "DO $$ BEGIN RAISE EXCEPTION 'x can only be loaded via shared_preload_libraries'"
        " USING ERRCODE = '55000', HINT = 'Add x.'; END $$",
        Reason.SERVER_REFUSED,
        id="preload",
    ),
    pytest.param("SELECT 1 / 0", Reason.SERVER_REFUSED, id="another error"),
    pytest.param("SET statement_timeout = 1; SELECT pg_sleep(9)", Reason.SERVER_UNREACHABLE, id="timeout"),
    pytest.param("DO $$ BEGIN RAISE disk_full; END $$", Reason.TARGET_FULL, id="disk"),
    pytest.param("DO $$ BEGIN RAISE out_of_memory; END $$", Reason.SERVER_UNREACHABLE, id="memory"),
    pytest.param("DO $$ BEGIN RAISE read_only_sql_transaction; END $$", Reason.SERVER_NOT_FIT, id="read-only"),
    pytest.param("DO $$ BEGIN RAISE internal_error; END $$", Reason.SERVER_UNREACHABLE, id="internal error"),
]


@pytest.mark.parametrize(("statement", "reason"), REFUSALS)
def test_a_refused_statement_is_a_failure_with_the_servers_words(
    access: Access, statement: str, reason: Reason
) -> None:
    with (
        pytest.raises(Refused if reason is Reason.SERVER_REFUSED else ServerUnavailable) as raised,
        session(access) as connection,
    ):
        connection.execute(statement.encode())
    cause = raised.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert isinstance(raised.value, Refused | ServerUnavailable)
    assert cause.diag.message_primary is not None
    assert raised.value.failure.reason is reason
    assert cause.diag.message_primary in raised.value.failure.message
    assert f"(SQLSTATE {cause.sqlstate})" in raised.value.failure.message
    if cause.diag.message_hint:
        assert cause.diag.message_hint in raised.value.failure.message


def test_a_deadlock_is_a_conflict(access: Access) -> None:
    with pytest.raises(Conflict, match="deadlock"), session(access) as connection:
        connection.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$")


@pytest.mark.isolation
def test_the_admins_password_is_not_sent_in_clear_text_without_tls(server: PostgresServer, access: Access) -> None:
    """Before, the default sslmode `prefer` sent it to whoever answered at the server's address."""
    with clear_login(server) as login, run_recording_proxy("127.0.0.1", server.host, server.port) as proxy:
        clear = dataclasses.replace(access, user=login.user, password=login.password, sslmode="prefer")
        with pytest.raises(ServerUnavailable) as raised:
            connect(dataclasses.replace(clear, host=proxy.host, port=proxy.port))
        assert proxy.heads
        assert not any(login.password.encode() in head for head in proxy.heads)
        assert raised.value.failure.reason is Reason.SERVER_AUTH_FAILED
        assert "asks for the password in clear text" in raised.value.failure.message
        connect(dataclasses.replace(clear, sslmode="disable")).close()


def test_no_timeout_of_the_server_ends_a_long_statement(server: PostgresServer, access: Access) -> None:
    """Before, a transaction_timeout of the server refused each copy and CREATE DATABASE that took longer, for good."""
    if server.major >= 17:
        server.execute("ALTER ROLE admin SET transaction_timeout = '1h'")
    try:
        with session(access) as connection:
            query = "SELECT setting FROM pg_settings WHERE name = 'transaction_timeout'"
            assert connection.execute(query).fetchall() == ([("0",)] if server.major >= 17 else [])
    finally:
        server.execute("ALTER ROLE admin RESET ALL")


def test_a_session_that_a_timeout_has_ended_is_tried_again(server: PostgresServer, access: Access) -> None:
    """Such as one of an operator that was frozen in a transaction. Before, an import failed for good."""
    with pytest.raises(ServerUnavailable) as raised, session(access) as connection:  # noqa: PT012 (the last one raises)
        connection.execute("SET idle_in_transaction_session_timeout = 1")
        connection.execute("BEGIN")
        select.select([connection], [], [], 20)
        connection.execute("SELECT")
    assert raised.value.failure.reason is Reason.SERVER_UNREACHABLE
    assert "idle-in-transaction timeout (SQLSTATE 25P03)" in raised.value.failure.message

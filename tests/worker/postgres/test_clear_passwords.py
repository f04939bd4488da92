"""No password is sent in clear text without TLS, unless sslmode says so.

Before, a source or target with `sslmode=prefer`, the default of a Project's server, got the password of every login
from whoever answered at its address without TLS.
"""

import asyncio
import os
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import asyncpg
import psycopg
import pytest
from tests.support.clear_passwords import ClearLogin, clear_login
from tests.support.postgres import PostgresServer
from tests.support.recording_proxy import run_recording_proxy
from tests.support.tcp_proxies import TcpProxy, listen

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.asyncpg_connect import build_loop_factory, connect_asyncpg
from pgimport.worker.postgres.clear_password_guard import ClearPasswordRefused
from pgimport.worker.postgres.endpoints import (
    Endpoint,
    build_client_environment,
    connect,
    settle_tls,
    write_passfile,
)
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import open_source_connection

pytestmark = pytest.mark.isolation


@pytest.fixture(params=[16, 18])
def plain_server(request: pytest.FixtureRequest) -> PostgresServer:
    server: PostgresServer = request.getfixturevalue(f"postgres{request.param}")
    return server


def build_endpoint(server: PostgresServer, login: ClearLogin, sslmode: str = "prefer") -> Endpoint:
    return Endpoint(
        host=server.host,
        port=server.port,
        user=login.user,
        password=login.password,
        dbname="postgres",
        sslmode=sslmode,
    )


def connect_by_asyncpg(endpoint: Endpoint) -> None:
    """Connects, reads one row and disconnects."""

    async def read() -> None:
        connection = await connect_asyncpg(endpoint)
        assert await connection.fetchval("SELECT current_user") == endpoint.user
        await connection.close()

    with asyncio.Runner(loop_factory=build_loop_factory(endpoint)) as runner:
        runner.run(read())


def test_no_client_sends_the_password_in_clear_text(plain_server: PostgresServer, tmp_path: Path) -> None:
    with (
        clear_login(plain_server) as login,
        run_recording_proxy("127.0.0.1", plain_server.host, plain_server.port) as proxy,
    ):
        endpoint = replace(build_endpoint(plain_server, login), host=proxy.host, port=proxy.port)
        with pytest.raises(psycopg.OperationalError, match="!password"):
            connect(endpoint)
        with pytest.raises(ClearPasswordRefused, match="in clear text"):
            connect_by_asyncpg(endpoint)
        with pytest.raises(ImportStopped) as stopped:
            open_source_connection(endpoint)
        environ = build_client_environment(endpoint, write_passfile(endpoint, tmp_path, "passfile"), os.environ)
        pg_dump = subprocess.run(
            [plain_server.bin / "pg_dump", "--schema-only", "--no-password"],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert len(proxy.heads) >= 4
    assert not any(login.password.encode() in head for head in proxy.heads)
    assert pg_dump.returncode == 1
    assert "server requested a cleartext password" in pg_dump.stderr
    failure = stopped.value.failure
    assert failure.reason is Reason.SOURCE_AUTH_FAILED
    assert failure.message.endswith(
        "/postgres: the server asks for the password in clear text, and the connection has no TLS"
    )
    assert "write sslmode=disable into the source URL" in failure.hint


@pytest.mark.parametrize("sslmode", ["disable", "allow"])
def test_an_explicit_sslmode_without_tls_sends_it(plain_server: PostgresServer, sslmode: str) -> None:
    with clear_login(plain_server) as login:
        endpoint = build_endpoint(plain_server, login, sslmode)
        connect(endpoint).close()
        connect_by_asyncpg(endpoint)


@pytest.mark.thorough  # starts a server of its own
@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_with_tls_the_server_may_ask_for_it(tls_server: PostgresServer, sslmode: str) -> None:
    with clear_login(tls_server) as login:
        endpoint = build_endpoint(tls_server, login, sslmode)
        with closing(connect(endpoint)) as connection:
            assert connection.pgconn.ssl_in_use
            assert settle_tls(endpoint, connection).sslmode == "require"
        connect_by_asyncpg(endpoint)


def test_a_login_by_scram_needs_no_tls(plain_server: PostgresServer) -> None:
    login = ClearLogin("postgres", plain_server.superuser_password)
    endpoint = build_endpoint(plain_server, login)
    with closing(open_source_connection(endpoint)) as connection:
        endpoint = settle_tls(endpoint, connection)
    assert endpoint.sslmode == "disable"
    assert endpoint.require_auth == "!password"
    connect(endpoint).close()
    connect_by_asyncpg(endpoint)


@pytest.mark.thorough
def test_a_wrong_password_is_named_rather_than_the_method(tls_server: PostgresServer) -> None:
    with clear_login(tls_server) as login:
        endpoint = build_endpoint(tls_server, replace(login, password="wrong"))
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(endpoint)
        with pytest.raises(asyncpg.InvalidPasswordError):
            connect_by_asyncpg(endpoint)


def test_a_request_after_another_method_is_refused_too() -> None:
    """A hostile server may ask by SCRAM first, and then in clear text."""
    received = bytearray()

    def serve(client: socket.socket, _: TcpProxy) -> None:
        with client:
            client.recv(4096)
            client.sendall(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0")
            received.extend(client.recv(4096))
            for byte in b"R\0\0\0\x08\0\0\0\x03":  # in pieces
                client.sendall(bytes([byte]))
            received.extend(client.recv(4096))

    with listen(serve) as line:
        endpoint = Endpoint(
            host="127.0.0.1",
            port=line.port,
            user="u",
            password="never-in-clear",
            dbname="d",
            sslmode="disable",
            without_clear_password=True,
        )
        with pytest.raises(ClearPasswordRefused):
            connect_by_asyncpg(endpoint)
    assert received.startswith(b"p")
    assert b"never-in-clear" not in received

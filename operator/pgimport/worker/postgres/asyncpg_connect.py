"""Connects to servers with asyncpg.

asyncpg gets the host name, for SNI and `verify-full`. The event loop resolves that name to the address that the worker
has checked against the allowed sources, so that a second DNS answer cannot lead elsewhere.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import asyncpg

from pgimport.model.project_spec import SSLMode
from pgimport.worker.postgres.clear_password_guard import ClearPasswordGuard, ClearPasswordRefused
from pgimport.worker.postgres.endpoints import KEEPALIVES, SEND_TIMEOUT, Endpoint
from pgimport.worker.postgres.session_settings import build_session_statement

# What a session raises. A TimeoutError is an OSError.
SESSION_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_SOCKET_OPTIONS = {
    socket.TCP_KEEPIDLE: KEEPALIVES["keepalives_idle"],
    socket.TCP_KEEPINTVL: KEEPALIVES["keepalives_interval"],
    socket.TCP_KEEPCNT: KEEPALIVES["keepalives_count"],
}
# Whether the connection that this task opens has no TLS and must not send the password in clear text.
_IS_GUARDED: ContextVar[bool] = ContextVar("_IS_GUARDED", default=False)
_SENDS_ROWS: ContextVar[bool] = ContextVar("_SENDS_ROWS", default=False)  # see Endpoint.sends_rows


class PinnedLoop(asyncio.SelectorEventLoop):
    """Resolves each (host, port) to the address that was checked, and turns TCP keepalives on."""

    def __init__(self, addresses: Mapping[tuple[str, int], str]) -> None:
        super().__init__()
        self._addresses = addresses
        self._tcp_transports: list[asyncio.Transport] = []  # of TCP, also below TLS
        # Ignore errors that the loop reports: a terminated session reports its error again after its step has failed.
        self.set_exception_handler(lambda _loop, _context: None)

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        return await super().getaddrinfo(self._addresses.get((host, port), host), port, **hints)

    async def create_connection(self, protocol_factory: Any, *arguments: Any, **keywords: Any) -> Any:
        is_guarded = _IS_GUARDED.get()
        factory = (lambda: ClearPasswordGuard(protocol_factory())) if is_guarded else protocol_factory
        transport, protocol = await super().create_connection(factory, *arguments, **keywords)
        self._tcp_transports.append(transport)
        transport_socket = transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _SOCKET_OPTIONS.items():
            transport_socket.setsockopt(socket.IPPROTO_TCP, option, value)
        if not _SENDS_ROWS.get():
            timeout = SEND_TIMEOUT["tcp_user_timeout"]
            transport_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)
        return transport, protocol.protocol if is_guarded else protocol

    def close(self) -> None:
        """Closes the connections too. asyncpg leaves one of a refused login open until the server has ended TLS."""
        if not self.is_closed() and not self.is_running():
            for transport in self._tcp_transports:
                if transport.get_extra_info("socket").fileno() != -1:
                    transport.abort()
            self.run_until_complete(asyncio.sleep(0))  # in which aborted transports close their sockets
        super().close()


def build_loop_factory(*endpoints: Endpoint) -> Callable[[], asyncio.AbstractEventLoop]:
    """Returns a loop factory for `asyncio.Runner` that pins these endpoints to their addresses."""
    addresses = {
        (endpoint.host, endpoint.port): endpoint.hostaddr for endpoint in endpoints if endpoint.hostaddr is not None
    }
    return lambda: PinnedLoop(addresses)


@contextmanager
def noticing_loss(connection: asyncpg.Connection) -> Iterator[None]:
    """Raises ConnectionResetError if an error other than SESSION_ERRORS comes from the loss of the connection.

    asyncpg raises InternalClientError for a statement if the server has ended the idle session, but its end of the
    connection has not arrived yet.
    """
    try:
        yield
    except SESSION_ERRORS:
        raise
    except (Exception, asyncio.CancelledError) as error:  # for example AttributeError: the transport has no socket
        if not connection.is_closed() and not isinstance(error, asyncpg.InternalClientError):
            raise
        raise ConnectionResetError("the server closed the connection") from error


async def connect_asyncpg(endpoint: Endpoint) -> asyncpg.Connection:
    """Connects and sets the session's settings. Raises errors of asyncpg and OSError.

    Raises ClearPasswordRefused instead of sending the password in clear text, if the endpoint forbids that.
    """
    if endpoint.sslmode != SSLMode.PREFER:
        return await _connect(endpoint)
    try:
        return await _connect(replace(endpoint, sslmode=SSLMode.REQUIRE.value))
    except ConnectionError as error:
        if type(error) is not ConnectionError:
            raise
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        if type(error) is not asyncpg.InvalidAuthorizationSpecificationError:
            raise
    # The server has no TLS, or admits the user only without it.
    return await _connect(replace(endpoint, sslmode=SSLMode.DISABLE.value, without_clear_password=True))


async def _connect(endpoint: Endpoint) -> asyncpg.Connection:
    _IS_GUARDED.set(endpoint.without_clear_password)
    _SENDS_ROWS.set(endpoint.sends_rows)
    try:
        connection = await asyncpg.connect(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password,
            passfile=os.devnull,
            database=endpoint.dbname,
            ssl=build_tls_context(endpoint),
            timeout=endpoint.connect_timeout,
            statement_cache_size=0,
            server_settings={
                "application_name": endpoint.application_name,
                **({"options": endpoint.options} if endpoint.options else {}),
            },
        )
    except asyncpg.InternalClientError as error:  # such as of GSSAPI: libpq's words say more
        raise asyncpg.InterfaceError("") from error
    except asyncpg.ConnectionDoesNotExistError as error:
        raise error.__cause__ if isinstance(error.__cause__, ClearPasswordRefused) else error from None
    except SESSION_ERRORS:
        raise
    except Exception as error:  # for example AttributeError: the server has sent no version
        raise ConnectionResetError("the server does not answer as PostgreSQL does") from error
    try:
        with noticing_loss(connection):
            await connection.execute(build_session_statement(endpoint.lock_seconds, endpoint.search_path))
    except BaseException:
        connection.terminate()
        raise
    return connection


def build_tls_context(endpoint: Endpoint) -> ssl.SSLContext | str | bool:
    """Returns asyncpg's `ssl` argument with the meaning that libpq gives to `sslmode` and `sslrootcert`."""
    if endpoint.sslmode == "disable":
        return False
    if endpoint.sslmode == "allow":
        return endpoint.sslmode
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = endpoint.sslmode == "verify-full"
    if endpoint.sslmode == "require" and endpoint.sslrootcert is None:
        context.verify_mode = ssl.CERT_NONE
    elif endpoint.sslrootcert is None or endpoint.sslrootcert == "system":
        context.load_default_certs()
    else:
        context.load_verify_locations(endpoint.sslrootcert)
    return context

"""Connects to servers with asyncpg.

asyncpg gets the host name, for SNI and `verify-full`. The event loop resolves that name to the address that the worker
has checked against the allowed sources, so that a second DNS answer cannot lead elsewhere.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg

from pgimport.worker.postgres.endpoints import KEEPALIVES, Endpoint
from pgimport.worker.postgres.session_settings import SESSION_STATEMENT

_SOCKET_OPTIONS = {
    socket.TCP_KEEPIDLE: KEEPALIVES["keepalives_idle"],
    socket.TCP_KEEPINTVL: KEEPALIVES["keepalives_interval"],
    socket.TCP_KEEPCNT: KEEPALIVES["keepalives_count"],
}


class PinnedLoop(asyncio.SelectorEventLoop):
    """Resolves each (host, port) to the address that was checked, and turns TCP keepalives on."""

    def __init__(self, addresses: Mapping[tuple[str, int], str]) -> None:
        super().__init__()
        self._addresses = addresses
        # Ignore errors that the loop reports: a terminated session reports its error again after its step has failed.
        self.set_exception_handler(lambda _loop, _context: None)

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        return await super().getaddrinfo(self._addresses.get((host, port), host), port, **hints)

    async def create_connection(self, *arguments: Any, **keywords: Any) -> Any:
        transport, protocol = await super().create_connection(*arguments, **keywords)
        transport_socket = transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _SOCKET_OPTIONS.items():
            transport_socket.setsockopt(socket.IPPROTO_TCP, option, value)
        return transport, protocol


def build_loop_factory(*endpoints: Endpoint) -> Callable[[], asyncio.AbstractEventLoop]:
    """Returns a loop factory for `asyncio.Runner` that pins these endpoints to their addresses."""
    addresses = {
        (endpoint.host, endpoint.port): endpoint.hostaddr for endpoint in endpoints if endpoint.hostaddr is not None
    }
    return lambda: PinnedLoop(addresses)


async def connect_asyncpg(endpoint: Endpoint) -> asyncpg.Connection:
    """Connects and sets the session's settings. Raises errors of asyncpg and OSError."""
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
    await connection.execute(SESSION_STATEMENT)
    return connection


def build_tls_context(endpoint: Endpoint) -> ssl.SSLContext | str | bool:
    """Returns asyncpg's `ssl` argument with the meaning that libpq gives to `sslmode` and `sslrootcert`."""
    if endpoint.sslmode == "disable":
        return False
    if endpoint.sslmode in ("allow", "prefer"):
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

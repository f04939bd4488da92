"""Stops asyncpg from answering a server that asks for the password in clear text.

libpq has the parameter require_auth for this; asyncpg has none.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import struct

from pgimport.model.required_authentication import CLEAR_PASSWORD_REFUSED

_AUTHENTICATION = b"R"
_AUTHENTICATION_OK, _CLEAR_PASSWORD = 0, 3
_HEADER = struct.Struct("!cI")  # kind and length of a message
_MAX_LOGIN_MESSAGE = 64 * 1024  # bytes; real ones have less than 1 KiB


class ClearPasswordRefused(OSError):
    """Raised instead of sending the password in clear text."""

    def __init__(self) -> None:
        super().__init__(CLEAR_PASSWORD_REFUSED)


class ClearPasswordGuard(asyncio.Protocol):
    """Passes the messages of a login on to asyncpg's protocol, and leaves the connection when the login has succeeded.

    Hangs up if the server asks for the password in clear text, or sends a message of an impossible length.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._refusal: ClearPasswordRefused | None = None
        self._pending = bytearray()  # the beginning of a message whose end has not arrived yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a socket's transport reads and writes)
        self._transport = transport
        self.protocol.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(self._refusal or error)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._pending)
            if not 4 <= length <= _MAX_LOGIN_MESSAGE:
                return self._hang_up()
            if len(self._pending) <= length:
                return None
            message = bytes(self._pending[: length + 1])
            method = int.from_bytes(message[5:9]) if kind == _AUTHENTICATION else None
            if method == _CLEAR_PASSWORD:
                return self._hang_up()
            if method == _AUTHENTICATION_OK:
                return self._leave()
            del self._pending[: length + 1]
            self.protocol.data_received(message)
        return None

    def _leave(self) -> None:
        assert self._transport is not None  # noqa: S101 (data comes only after connection_made)
        self._transport.set_protocol(self.protocol)
        self.protocol.data_received(bytes(self._pending))

    def _hang_up(self) -> None:
        assert self._transport is not None  # noqa: S101 (data comes only after connection_made)
        self._refusal = ClearPasswordRefused()
        self._pending.clear()
        self._transport.abort()

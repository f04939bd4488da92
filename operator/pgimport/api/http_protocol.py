"""Extends uvicorn's HTTP/1.1 protocol: limits the time of clients, and answers refused requests in JSON.

uvicorn has no time limit for a request's headers, so a client that sends a byte a minute would hold a connection for
ever. The same is true for a client that does not read its response, which also stays in memory. uvicorn answers a
request that h11 refuses in plain text.
"""

import asyncio
import json
from http import HTTPStatus
from itertools import count
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # from a connection's first byte of a request to the end of its headers
RESPONSE_SECONDS = 60.0  # from the time at which a client does not read fast enough to the end of the response
# An idle connection stays open for longer than those of common proxies: 60 s of nginx and of Amazon's load balancers,
# 90 s of Traefik, 600 s of Google's load balancers. Else a proxy could send a request at the moment at which this end
# closes, and would answer 502.
KEEP_ALIVE_SECONDS = 620
MAX_CONNECTIONS = 4000  # each takes up to 40 kB before its first request
_numbers = count()  # of connections; several may begin in the same millisecond


def find_stop_event(state: dict[str, Any]) -> asyncio.Event:
    """Returns the event that is set when the server stops while the request with this state runs."""
    event: asyncio.Event = state.setdefault("stopping", asyncio.Event())
    return event


class ApiProtocol(H11Protocol):
    """Serves one connection."""

    header_seconds, response_seconds, max_connections = HEADER_SECONDS, RESPONSE_SECONDS, MAX_CONNECTIONS
    _header_timer: asyncio.TimerHandle | None = None
    _response_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as h11_impl of uvicorn
        super().connection_made(transport)
        self._number = next(_numbers)
        transport.set_write_buffer_limits(high=0)  # call pause_writing for every byte that the client does not read
        self._start_header_timer()
        if len(self.connections) > self.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self._stop_response_timer()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called when the server stops. Ends a response that would last until the client leaves."""
        super().shutdown()
        if self.cycle is not None:
            find_stop_event(self.scope["state"]).set()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_header_timer()
        elif self._header_timer is None:  # the next request of a kept connection has begun
            self._start_header_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._response_timer is None:
            state = self.scope["state"] if self.cycle is not None else {}
            seconds = state.get("response_seconds", self.response_seconds)
            self._response_timer = self.loop.call_later(seconds, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._stop_response_timer()

    def on_response_complete(self) -> None:
        if not self.flow.write_paused:
            self._stop_response_timer()
        super().on_response_complete()

    def _abort(self) -> None:
        """Closes the connection without the rest of the response."""
        self._response_timer = None
        self.transport.abort()

    def _stop_response_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answers a request that h11 refuses. h11 says what is wrong, but its text may contain the client's bytes."""
        self._refuse(400, "the request is not valid HTTP/1.1")

    def _make_room(self) -> None:
        """Closes the connection that has waited for a request for the longest time; this one, if all others are busy.

        So whoever opens many connections and sends nothing closes its own: a client sends its request at once.
        """
        starts = {
            protocol: (started, protocol._number)
            for protocol in self.connections
            if isinstance(protocol, ApiProtocol) and (started := protocol._find_idle_start()) is not None
        }
        longest = min(starts, key=starts.__getitem__)
        if longest._header_timer is not None:
            longest._refuse(503, "too many connections are open; try again")
        else:  # kept open after a response, where the client expects no other
            longest.transport.close()

    def _find_idle_start(self) -> float | None:
        """Returns the loop's time at which a connection began to wait for a request, None if a request runs."""
        if self.transport.is_closing():
            return None
        if self._header_timer is not None:
            return self._header_timer.when() - self.header_seconds
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when() - self.timeout_keep_alive
        return None

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self.header_seconds, self._refuse_slow_headers)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse_slow_headers(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self._refuse(408, f"the request's headers did not arrive within {self.header_seconds:g} seconds")

    def _refuse(self, status: int, text: str) -> None:
        """Sends a response and closes the connection. If no response can be sent any more, only closes it."""
        body = json.dumps({"error": text}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reason = HTTPStatus(status).phrase.encode()
            response = h11.Response(status_code=status, headers=headers, reason=reason)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

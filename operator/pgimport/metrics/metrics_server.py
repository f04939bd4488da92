"""Serves `/metrics` on a port of its own. kopf serves the health of the operator on another one.

Every pod of the cluster may connect, so the number and the time of connections are limited.
"""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pgimport.metrics.exposition import CONTENT_TYPE, Exposition

logger = logging.getLogger(__name__)
CONNECTIONS = 16  # at the same time; more are closed at once
CONNECTION_SECONDS = 10.0  # from the first to the last byte


class PortTaken(Exception):
    """The port cannot be used; the message names it."""


class MetricsServer(ThreadingHTTPServer):
    """Answers each request in a thread. The server listens as soon as it exists."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, port: int, exposition: Exposition) -> None:
        """Raises OSError if the port is taken."""
        self.exposition = exposition
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(("", port), _Handler)  # the port of a pod

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:  # such a socket accepts connections over IPv4 as well
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        limit = threading.Timer(CONNECTION_SECONDS, _close, (request,))
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("A request for metrics failed.", exc_info=True)


def _close(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("The connection for metrics has ended already.")


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        text = self.server.exposition.render()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
        logger.debug(format, *args)


@contextmanager
def serve_metrics(port: int, exposition: Exposition) -> Iterator[None]:
    """Serves during the block. Raises PortTaken."""
    try:
        server = MetricsServer(port, exposition)
    except OSError as error:
        raise PortTaken(f"port {port}: {error.strerror}") from error
    with server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

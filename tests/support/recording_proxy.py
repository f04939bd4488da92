"""Runs a TCP proxy that records the first bytes of every connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.tcp_proxies import TcpProxy, listen, pass_on

_HEAD = 4096  # bytes that are recorded of what a client sends first


@dataclass(frozen=True)
class RecordingProxy:
    """A running proxy: where it listens, and the first bytes of each of its clients."""

    host: str
    port: int
    heads: list[bytearray]


@contextmanager
def run_recording_proxy(address: str, host: str, port: int, at: int = 0) -> Iterator[RecordingProxy]:
    """Forwards port `at` of `address` (0: a free port) to a server. Cuts its connections at the end of the block."""
    heads: list[bytearray] = []

    def serve(client: socket.socket, _: TcpProxy) -> None:
        head = bytearray()
        heads.append(head)

        def record(data: bytes, is_client: bool) -> None:
            if is_client and len(head) < _HEAD:
                head.extend(data)

        pass_on(client, (host, port), record)

    with listen(serve, (address, at)) as line:
        yield RecordingProxy(address, line.port, heads)

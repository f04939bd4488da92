"""A TCP relay: a server's place goes in; every connection's first bytes come out."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.tcp_proxies import TcpProxy, listen, pass_on

_HEAD = 4096  # bytes that are kept of what a client says first


@dataclass(frozen=True)
class RecordingProxy:
    """Where it listens, and what its clients said, to begin with."""

    host: str
    port: int
    heads: list[bytearray]


@contextmanager
def run_recording_proxy(address: str, host: str, port: int, at: int = 0) -> Iterator[RecordingProxy]:
    """From port `at` on `address`, or one of its own, to a server. At the end of the block its connections are cut."""
    heads: list[bytearray] = []

    def serve(client: socket.socket, _: TcpProxy) -> None:
        head = bytearray()
        heads.append(head)

        def heard(data: bytes, is_client: bool) -> None:
            if is_client and len(head) < _HEAD:
                head.extend(data)

        pass_on(client, (host, port), heard)

    with listen(serve, (address, at)) as line:
        yield RecordingProxy(address, line.port, heads)

"""A TCP relay on the loopback interface: a server's place goes in; every connection's first bytes come out."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_HEAD = 4096  # bytes that are kept of what a client says first


@dataclass
class Relay:
    """Where it listens, and what its clients said, to begin with."""

    host: str
    port: int
    heads: list[bytearray] = field(default_factory=list)


@contextmanager
def run_relay(listen: str, host: str, port: int, at: int = 0) -> Iterator[Relay]:
    """From port `at` on `listen`, or one of its own, to a server, until the end of the block."""
    with socket.create_server((listen, at)) as listener:
        relay = Relay(listen, listener.getsockname()[1])
        over = threading.Event()
        threading.Thread(target=_accept, args=(listener, relay, (host, port), over), daemon=True).start()
        try:
            yield relay
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, relay: Relay, server: tuple[str, int], over: threading.Event) -> None:
    while not over.is_set():
        try:
            client, _ = listener.accept()
        except OSError:
            return
        head = bytearray()
        relay.heads.append(head)
        threading.Thread(target=_relay, args=(client, server, head), daemon=True).start()


def _relay(client: socket.socket, server: tuple[str, int], head: bytearray) -> None:
    with client, socket.create_connection(server) as there:
        back = threading.Thread(target=_pass_on, args=(there, client, None), daemon=True)
        back.start()
        _pass_on(client, there, head)
        back.join()


def _pass_on(here: socket.socket, there: socket.socket, head: bytearray | None) -> None:
    with suppress(OSError):
        while data := here.recv(65536):
            if head is not None and len(head) < _HEAD:
                head += data
            there.sendall(data)
    for one in (here, there):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)

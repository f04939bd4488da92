"""Runs TCP proxies between a client and a PostgreSQL server: slow ones, cutting ones, a connection pooler."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.postgres import PostgresServer

CHUNK = 1 << 16
SSL_REQUEST = struct.pack("!i", 80877103)


@dataclass
class TcpProxy:
    """A listening proxy, its connections and its counters."""

    port: int
    connections: int = 0
    round_trips: int = 0  # times that a client sent something after it had received something
    lock: threading.Lock = field(default_factory=threading.Lock)
    clients: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Resets every connection."""
        for client in list(self.clients):
            with suppress(OSError):  # it is closed already
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.shutdown(socket.SHUT_RDWR)


@contextmanager
def listen(
    serve: Callable[[socket.socket, TcpProxy], None], at: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[TcpProxy]:
    """Listens at an address (port 0: a free port) and serves each connection in a thread of its own."""
    with socket.create_server(at) as listener:
        line = TcpProxy(listener.getsockname()[1])
        threads: list[threading.Thread] = []

        def work(client: socket.socket) -> None:
            with client, suppress(OSError):  # either side may disconnect at any time
                serve(client, line)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    line.connections += 1
                    line.clients.append(client)
                    threads.append(threading.Thread(target=work, args=(client,), daemon=True))
                    threads[-1].start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield line
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in line.clients:
                with suppress(OSError):  # it is closed already
                    client.shutdown(socket.SHUT_RDWR)
            for worker in threads:
                worker.join()


def pass_on(client: socket.socket, server: tuple[str, int], before: Callable[[bytes, bool], None]) -> None:
    """Copies bytes in both directions until both have ended.

    Calls `before` with each piece before it is sent on, and whether it comes from the client.
    """
    with socket.create_connection(server) as upstream:
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def pump(source: socket.socket, sink: socket.socket, is_client: bool) -> None:
            with suppress(OSError):
                while data := source.recv(CHUNK):
                    before(data, is_client)
                    sink.sendall(data)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=pump, args=(upstream, client, False), daemon=True)
        back.start()
        pump(client, upstream, True)
        back.join()


@contextmanager
def run_slow_proxy(
    server: PostgresServer, delay: float, sleeps_at: int = 0, others: Sequence[PostgresServer] = ()
) -> Iterator[TcpProxy]:
    """Delays each direction by `delay` seconds. Accepts the first `sleeps_at` connections without ever answering them.

    With `others`, connections lead to the servers in turn.
    """
    servers = [server, *others]

    def serve(client: socket.socket, line: TcpProxy) -> None:
        if line.connections <= sleeps_at:
            while client.recv(CHUNK):
                continue
            return
        behind = servers[(line.connections - 1) % len(servers)]
        received = threading.Event()
        received.set()

        def wait(_: bytes, is_client: bool) -> None:
            if is_client and received.is_set():
                received.clear()
                with line.lock:
                    line.round_trips += 1
            time.sleep(delay)
            if not is_client:
                received.set()

        pass_on(client, (behind.host, behind.port), wait)

    with listen(serve) as line:
        yield line


@contextmanager
def run_cutting_proxy(server: PostgresServer, after: int, cuts: int, *, sent: bool = False) -> Iterator[TcpProxy]:
    """Cuts each connection after so many bytes from the server (with `sent`: to the server), `cuts` times in all."""
    remaining = cuts

    def serve(client: socket.socket, line: TcpProxy) -> None:
        carried = 0

        def count(data: bytes, is_client: bool) -> None:
            nonlocal carried, remaining
            carried += len(data) if is_client is sent else 0
            with line.lock:
                if carried > after and remaining > 0:
                    remaining -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    raise ConnectionResetError

        pass_on(client, (server.host, server.port), count)

    with listen(serve) as line:
        yield line


@contextmanager
def run_pooler(server: PostgresServer, dbname: str, *, transactions: bool, servers: int = 3) -> Iterator[TcpProxy]:
    """Accepts every client, and serves each session or each transaction with one of a few backends, last used first."""
    idle = [_Backend(server, dbname) for _ in range(servers)]
    everyone = list(idle)
    lock = threading.Lock()

    def take() -> "_Backend":
        with lock:
            return idle.pop()

    def give(backend: "_Backend") -> None:
        with lock:
            idle.append(backend)

    def serve(client: socket.socket, line: TcpProxy) -> None:
        _welcome(client, line.connections, everyone[0].version)
        backend = None if transactions else take()
        with suppress(OSError, ConnectionError):
            while (message := _read_message(client))[0] != b"X":
                backend = backend or take()
                backend.wire.sendall(message[0] + message[1])
                status, answer = _answer(backend.wire)
                if transactions and status == b"I":
                    give(backend)  # before the client is answered, so that its next message finds the backend idle
                    backend = None
                client.sendall(answer)
        with suppress(OSError):  # the test is over
            if backend is not None:
                backend.wire.sendall(b"Q" + struct.pack("!i", 13) + b"ROLLBACK\0")
                _answer(backend.wire)
                give(backend)

    try:
        with listen(serve) as line:
            yield line
    finally:
        for backend in everyone:
            backend.close()


class _Backend:
    """A logged-in connection to the server, used for raw protocol messages."""

    def __init__(self, server: PostgresServer, dbname: str) -> None:
        self._connection = server.connect(dbname)
        self.version = self._connection.info.parameter_status("server_version") or ""
        self.wire = socket.fromfd(self._connection.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        self.wire.setblocking(True)

    def close(self) -> None:
        self.wire.close()
        self._connection.close()


def _welcome(client: socket.socket, key: int, version: str) -> None:
    """Accepts any client without a password. Sends an invented key for cancel requests, as poolers do."""
    while read_exactly(client, struct.unpack("!i", read_exactly(client, 4))[0] - 4) == SSL_REQUEST:
        client.sendall(b"N")
    settings = b"".join(
        b"S" + struct.pack("!i", len(pair) + 4) + pair
        for pair in (f"server_version\0{version}\0".encode(), b"client_encoding\0UTF8\0")
    )
    client.sendall(
        b"R"
        + struct.pack("!ii", 8, 0)
        + settings
        + b"K"
        + struct.pack("!iii", 12, 900_000 + key, 1)
        + b"Z"
        + struct.pack("!i", 5)
        + b"I"
    )


def read_exactly(wire: socket.socket, count: int) -> bytes:
    """Reads so many bytes. Raises ConnectionError if the connection ends earlier."""
    data = b""
    while len(data) < count:
        if not (more := wire.recv(count - len(data))):
            raise ConnectionError("closed")
        data += more
    return data


def _read_message(wire: socket.socket) -> tuple[bytes, bytes]:
    kind = read_exactly(wire, 1)
    length = read_exactly(wire, 4)
    return kind, length + read_exactly(wire, struct.unpack("!i", length)[0] - 4)


def _answer(backend: socket.socket) -> tuple[bytes, bytes]:
    """Returns the transaction status, and all messages up to ReadyForQuery, which contains it."""
    answer = b""
    while True:
        kind, body = _read_message(backend)
        answer += kind + body
        if kind == b"Z":
            return body[4:], answer

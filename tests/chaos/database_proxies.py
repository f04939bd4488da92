"""Proxies in front of an import's source and target servers: they observe, count, cut and silence connections."""

import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.chaos.import_phases import Connection, PhaseTrigger
from tests.chaos.write_counter import ConnectionCut, WriteCounter
from tests.support.tcp_proxies import CHUNK, TcpProxy, listen, pass_on, read_exactly

ATTEMPT_PREFIX = "pgimport_"
_READS = (
    "select",
    "with",
    "values",
    "begin",
    "commit",
    "rollback",
    "set",
    "show",
    "reset",
    "start",
    "end",
    "deallocate",
)
_NOT_A_SESSION = (80877103, 80877102, 80877104)  # codes of SSLRequest, CancelRequest and GSSENCRequest
_COMMENTS = re.compile(r"(\s*--[^\n]*\n)+")
NAME_WORDS = 2


@dataclass
class DatabaseProxy:
    """A port of this host that forwards to a server."""

    address: str
    proxy: TcpProxy

    @property
    def port(self) -> int:
        return self.proxy.port

    def cut(self) -> None:
        """Reset all open connections. New ones are forwarded."""
        self.proxy.cut()

    def silence(self) -> None:
        """Drop all packets of open and new connections, like a black hole, until `restore`."""
        self._change_rule("--insert")

    def restore(self) -> None:
        self._change_rule("--delete")

    def _change_rule(self, command: str) -> None:
        match = ["--destination", self.address, "--protocol", "tcp", "--dport", str(self.port)]
        subprocess.run(["iptables", "--wait", command, "INPUT", *match, "--jump", "DROP"], check=True)


def name_statement(statement: str) -> str:
    """Name a statement by its first words, such as `CREATE DATABASE`."""
    words = _COMMENTS.sub("", statement, 1).split()[:NAME_WORDS]
    return " ".join(word.upper().rstrip(";,") for word in words if not word.startswith('"'))


def is_write(statement: str) -> bool:
    """Return whether a statement writes. A COMMIT does, because it makes the writes of its transaction durable."""
    words = _COMMENTS.sub("", statement, 1).split(None, 1)
    first = words[0].lower().rstrip(";") if words else "select"
    return first == "commit" or first not in _READS


class _Session:
    """One client's connection to the target server. Messages are parsed after the startup message."""

    def __init__(
        self,
        client: socket.socket,
        server: tuple[str, int],
        admin: str,
        write_counter: WriteCounter,
        phase_trigger: PhaseTrigger,
    ) -> None:
        self._client, self._admin = client, admin
        self._write_counter, self._phase_trigger = write_counter, phase_trigger
        self._server = socket.create_connection(server)
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock = threading.Lock()
        self._unfinished: list[tuple[int, str]] = []  # writes that the server has not answered yet

    def serve(self) -> None:
        connection = self._forward_startup()
        is_admin = connection is Connection.ADMIN
        responses = threading.Thread(target=self._forward_responses, args=(is_admin,), daemon=True)
        responses.start()
        with suppress(ConnectionCut, OSError):
            if connection is None:
                _copy(self._client, self._server)
            else:
                self._forward_requests(connection)
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        responses.join()
        self._server.close()

    def _forward_startup(self) -> Connection | None:
        """Forward the first message; return which connection this is, or None for another client's."""
        head = read_exactly(self._client, 8)
        length, code = struct.unpack("!ii", head)
        rest = read_exactly(self._client, length - 8)
        self._server.sendall(head + rest)
        parameters = rest.split(b"\0")
        if code in _NOT_A_SESSION or b"user" not in parameters:
            return None
        user = parameters[parameters.index(b"user") + 1].decode()
        if user == self._admin:
            return Connection.ADMIN
        return Connection.WORKER if user.startswith(ATTEMPT_PREFIX) else None

    def _forward_requests(self, connection: Connection) -> None:
        """Forward messages to the server. Raises ConnectionCut at the chosen write."""
        while True:
            head = read_exactly(self._client, 5)
            body = read_exactly(self._client, struct.unpack("!i", head[1:])[0] - 4)
            if (statement := _parse_statement(head[:1], body)) is not None:
                self._phase_trigger.observe(connection, statement)
                if connection is Connection.ADMIN and is_write(statement):
                    name = name_statement(statement)
                    number = self._write_counter.before_write(name)
                    with self._lock:
                        self._unfinished.append((number, name))
            self._server.sendall(head + body)

    def _forward_responses(self, counted: bool) -> None:
        try:
            if not counted:
                _copy(self._server, self._client)
            while counted:
                head = read_exactly(self._server, 5)
                body = read_exactly(self._server, struct.unpack("!i", head[1:])[0] - 4)
                if head[:1] == b"Z":  # ReadyForQuery
                    self._finish_writes()
                self._client.sendall(head + body)
        except (ConnectionCut, OSError):
            pass  # the client is gone
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _finish_writes(self) -> None:
        with self._lock:
            finished, self._unfinished = self._unfinished, []
        for number, name in finished:
            self._write_counter.after_write(number, name)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)


def _parse_statement(message_type: bytes, body: bytes) -> str | None:
    """Return the statement of a Query or Parse message, or None."""
    if message_type == b"Q":
        return body.rstrip(b"\0").decode(errors="replace")
    if message_type == b"P":
        return body.split(b"\0")[1].decode(errors="replace")
    return None


@contextmanager
def run_target_proxy(
    write_counter: WriteCounter, phase_trigger: PhaseTrigger, address: str, server: tuple[str, int], admin: str
) -> Iterator[DatabaseProxy]:
    """Run the proxy of the target server. It counts the admin's writes and forwards everything else unchanged."""

    def serve(client: socket.socket, _: TcpProxy) -> None:
        with suppress(ConnectionError):
            _Session(client, server, admin, write_counter, phase_trigger).serve()

    with listen(serve, (address, 0)) as proxy:
        yield DatabaseProxy(address, proxy)


@contextmanager
def run_source_proxy(phase_trigger: PhaseTrigger, address: str, server: tuple[str, int]) -> Iterator[DatabaseProxy]:
    """Run the proxy of the source server. It reports new connections and what clients send to the phase trigger."""

    def observe(data: bytes, is_client: bool) -> None:
        if is_client:
            phase_trigger.observe(Connection.SOURCE, data.decode(errors="replace"))

    def serve(client: socket.socket, _: TcpProxy) -> None:
        phase_trigger.observe(Connection.SOURCE, "connect")
        with suppress(ConnectionError):
            pass_on(client, server, observe)

    with listen(serve, (address, 0)) as proxy:
        yield DatabaseProxy(address, proxy)

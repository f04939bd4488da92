"""The two connections of an import, to its source and to its target server: heard, counted, cut and silenced."""

import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.chaos.import_phases import Moments, Who
from tests.chaos.write_counter import Cut, Effects
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
_NOT_A_SESSION = (80877103, 80877102, 80877104)  # requests for TLS, to cancel, for GSS
_COMMENTS = re.compile(r"(\s*--[^\n]*\n)+")
WORDS = 2


@dataclass
class Wire:
    """A port of this host, behind which a server is."""

    address: str
    line: TcpProxy

    @property
    def port(self) -> int:
        return self.line.port

    def cut(self) -> None:
        """What is open now ends in a reset; who comes next is let through."""
        self.line.cut()

    def silence(self) -> None:
        """From now on packets to it are dropped: a black hole, for open connections and for new ones."""
        self._rule("--insert")

    def restore(self) -> None:
        self._rule("--delete")

    def _rule(self, verb: str) -> None:
        match = ["--destination", self.address, "--protocol", "tcp", "--dport", str(self.port)]
        subprocess.run(["iptables", "--wait", verb, "INPUT", *match, "--jump", "DROP"], check=True)


def name_of(statement: str) -> str:
    """`CREATE DATABASE`; a COMMIT is one too, for it is what makes a transaction's writes."""
    words = _COMMENTS.sub("", statement, 1).split()[:WORDS]
    return " ".join(word.upper().rstrip(";,") for word in words if not word.startswith('"'))


def is_write(statement: str) -> bool:
    words = _COMMENTS.sub("", statement, 1).split(None, 1)
    first = words[0].lower().rstrip(";") if words else "select"
    return first == "commit" or first not in _READS


class _Session:
    """One client's connection to the target server; message by message once it has said who it is."""

    def __init__(
        self, client: socket.socket, server: tuple[str, int], admin: str, effects: Effects, moments: Moments
    ) -> None:
        self._client, self._admin, self._effects, self._moments = client, admin, effects, moments
        self._server = socket.create_connection(server)
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock = threading.Lock()
        self._open: list[tuple[int, str]] = []  # writes whose end the server has not told yet

    def serve(self) -> None:
        who = self._greet()
        back = threading.Thread(target=self._answer, args=(who is Who.ADMIN,), daemon=True)
        back.start()
        with suppress(Cut, OSError):
            self._ask(who) if who is not None else _copy(self._client, self._server)
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        back.join()
        self._server.close()

    def _greet(self) -> Who | None:
        """Pass the first message on; who it is."""
        head = read_exactly(self._client, 8)
        length, code = struct.unpack("!ii", head)
        rest = read_exactly(self._client, length - 8)
        self._server.sendall(head + rest)
        words = rest.split(b"\0")
        if code in _NOT_A_SESSION or b"user" not in words:
            return None
        user = words[words.index(b"user") + 1].decode()
        if user == self._admin:
            return Who.ADMIN
        return Who.WORKER if user.startswith(ATTEMPT_PREFIX) else None

    def _ask(self, who: Who) -> None:
        while True:
            head = read_exactly(self._client, 5)
            body = read_exactly(self._client, struct.unpack("!i", head[1:])[0] - 4)
            if (statement := _statement(head[:1], body)) is not None:
                self._moments.hear(who, statement)
                if who is Who.ADMIN and is_write(statement):
                    name = name_of(statement)
                    number = self._effects.write(name)
                    with self._lock:
                        self._open.append((number, name))
            self._server.sendall(head + body)

    def _answer(self, counted: bool) -> None:
        try:
            if not counted:
                _copy(self._server, self._client)
            while counted:
                head = read_exactly(self._server, 5)
                body = read_exactly(self._server, struct.unpack("!i", head[1:])[0] - 4)
                if head[:1] == b"Z":
                    self._tell_ended()
                self._client.sendall(head + body)
        except (Cut, OSError):
            pass  # whoever asked is gone
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _tell_ended(self) -> None:
        with self._lock:
            ended, self._open = self._open, []
        for number, name in ended:
            self._effects.written(number, name)


def _copy(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(CHUNK):
            there.sendall(data)


def _statement(kind: bytes, body: bytes) -> str | None:
    """Of a simple query, or of one that is to be parsed."""
    if kind == b"Q":
        return body.rstrip(b"\0").decode(errors="replace")
    if kind == b"P":
        return body.split(b"\0")[1].decode(errors="replace")
    return None


@contextmanager
def run_target_wire(
    effects: Effects, moments: Moments, address: str, server: tuple[str, int], admin: str
) -> Iterator[Wire]:
    """Everybody's way to the target server; the admin's statements are counted, all else is passed on as it is."""

    def serve(client: socket.socket, _: TcpProxy) -> None:
        with suppress(ConnectionError):
            _Session(client, server, admin, effects, moments).serve()

    with listen(serve, (address, 0)) as line:
        yield Wire(address, line)


@contextmanager
def run_source_wire(moments: Moments, address: str, server: tuple[str, int]) -> Iterator[Wire]:
    def serve(client: socket.socket, _: TcpProxy) -> None:
        moments.hear(Who.SOURCE, "connect")
        with suppress(ConnectionError):
            pass_on(client, server, lambda _data, _is_client: None)

    with listen(serve, (address, 0)) as line:
        yield Wire(address, line)

"""A name server on the loopback interface: names and their answers go in; what was asked comes out.

Only what getaddrinfo asks: A and AAAA over UDP (RFC 1035), nothing cached (a TTL of 0).
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ADDRESS = "127.9.9.9"  # port 53 of an address that nothing else uses
_A, _AAAA = 1, 28
Answer = Callable[[int], list[str]]  # how often the name was asked before → addresses


@dataclass
class NameServer:
    """Answers by name, in small letters; every other name does not exist."""

    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)  # once for A and AAAA together

    def reply(self, query: bytes) -> bytes:
        name, kind, end = _parse_question(query)
        answer = self.answers.get(name)
        if answer is None:
            return query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:end]
        if kind == _A:
            self.asked.append(name)
        before = self.asked.count(name) - (kind == _A)
        addresses = [ipaddress.ip_address(one) for one in answer(before)]
        packed = [one.packed for one in addresses if one.version == (4 if kind == _A else 6)]
        records = b"".join(
            b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\x00\x01" + bytes(4) + len(one).to_bytes(2, "big") + one
            for one in packed
        )
        return (
            query[:2] + b"\x81\x80" + query[4:6] + len(packed).to_bytes(2, "big") + bytes(4) + query[12:end] + records
        )


def _parse_question(query: bytes) -> tuple[str, int, int]:
    labels, at = [], 12
    while (length := query[at]) != 0:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels).lower(), int.from_bytes(query[at + 1 : at + 3], "big"), at + 5


@contextmanager
def run_name_server(answers: dict[str, Answer]) -> Iterator[NameServer]:
    """Until the end of the block."""
    server = NameServer(answers)
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind((ADDRESS, 53))
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    query, client = listener.recvfrom(2048)
                except TimeoutError:
                    continue
                listener.sendto(server.reply(query), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            over.set()
            thread.join()

"""Runs a name server on the loopback interface, whose answers a test sets by name.

It answers what getaddrinfo asks: A and AAAA over UDP (RFC 1035), with a TTL of 0.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ADDRESS = "127.9.9.9"  # an address whose port 53 nothing else uses
_A, _AAAA = 1, 28
Answer = Callable[[int], list[str]]  # number of earlier queries for the name → addresses


@dataclass
class NameServer:
    """Answers by name in lower case; every other name does not exist (NXDOMAIN)."""

    answers: dict[str, Answer]
    queries: list[str] = field(default_factory=list)  # names; A and AAAA count as one query

    def reply(self, query: bytes) -> bytes:
        name, kind, end = _parse_question(query)
        answer = self.answers.get(name)
        if answer is None:
            return query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:end]
        if kind == _A:
            self.queries.append(name)
        before = self.queries.count(name) - (kind == _A)
        addresses = [ipaddress.ip_address(text) for text in answer(before)]
        packed = [address.packed for address in addresses if address.version == (4 if kind == _A else 6)]
        records = b"".join(
            b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\x00\x01" + bytes(4) + len(address).to_bytes(2, "big") + address
            for address in packed
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
    """Runs the server until the end of the block."""
    server = NameServer(answers)
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind((ADDRESS, 53))
        listener.settimeout(0.1)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
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
            stopped.set()
            thread.join()

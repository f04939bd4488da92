"""Computes sizes of packets on the wire and their times of arrival. Pure functions without clock or network."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

# What the kernel writes before each packet of a TUN device with IFF_VNET_HDR: flags, gso_type, hdr_len, gso_size,
# csum_start, csum_offset. With a gso_size the packet stands for many, which a network card would cut it into.
_VNET = struct.Struct("=BBHHHH")
VNET_BYTES = _VNET.size


def wire_bytes(packet: bytes) -> int:
    """Returns the IP bytes of all segments that a packet of the kernel stands for; each has its own headers."""
    whole = len(packet) - VNET_BYTES
    segment: int = _VNET.unpack_from(packet)[3]
    if not segment:
        return whole
    ip = (packet[VNET_BYTES] & 0x0F) * 4
    head = ip + (packet[VNET_BYTES + ip + 12] >> 4) * 4
    return whole + (math.ceil((whole - head) / segment) - 1) * head


@dataclass(slots=True)
class Lane:
    """One direction of a link. Packets leave one after the other at the rate, and arrive after the delay.

    Packets that would wait longer than `buffer_seconds` are dropped, as a router does.
    """

    rate: float  # bits per second
    delay_seconds: float
    buffer_seconds: float
    free_at: float = 0.0
    passed_bytes: int = 0
    dropped: int = field(default=0)

    def arrival(self, now: float, size: int) -> float | None:
        """Returns when a packet that is sent now arrives; None if it is dropped."""
        begin = max(now, self.free_at)
        if begin - now > self.buffer_seconds:
            self.dropped += 1
            return None
        self.free_at = begin + size * 8 / self.rate
        self.passed_bytes += size
        return self.free_at + self.delay_seconds


@dataclass(frozen=True, slots=True)
class Passed:
    """The bytes that a link has carried until a time of the monotonic clock."""

    at: float
    from_far: int
    from_near: int
    dropped: int


def parse_rate(lines: bytes) -> float:
    """Returns the last of several rates, one per line, in bits per second."""
    return float(lines.split()[-1])


def parse_passed(text: str) -> list[Passed]:
    """Parses the output of `tun_link`. Its first line is `ready`, and its last line may be incomplete."""
    whole, _, _ = text.rpartition("\n")
    rows = (line.split() for line in whole.splitlines()[1:])
    return [Passed(float(at), int(far), int(near), int(dropped)) for at, far, near, dropped in rows]


# Outside of these shares of a run's bytes, schemas are read and rows are counted.
FIRST, LAST = 0.01, 0.99


def share_of_rate(record: Sequence[Passed], begin: float, end: float, bits_per_second: float) -> float:
    """Returns the share of the rate that a run used while it copied rows."""
    samples = [sample for sample in record if begin <= sample.at <= end]
    base = samples[0].from_far
    total = samples[-1].from_far - base
    first = next(sample for sample in samples if sample.from_far - base >= FIRST * total)
    last = next(sample for sample in samples if sample.from_far - base >= LAST * total)
    return (last.from_far - first.from_far) * 8 / (last.at - first.at) / bits_per_second

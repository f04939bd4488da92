"""What a line does to packets: sizes and times come in, sizes on the wire and times of arrival go out. Pure."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

# What the kernel writes before each packet of a TUN device with IFF_VNET_HDR: flags, gso_type, hdr_len, gso_size,
# csum_start, csum_offset. With a gso_size the packet stands for many, which a network card would cut it into.
_VNET = struct.Struct("=BBHHHH")
VNET_BYTES = _VNET.size


def wire_bytes(packet: bytes) -> int:
    """IP bytes of all the segments that one packet from the kernel stands for; each has a head of its own."""
    whole = len(packet) - VNET_BYTES
    segment: int = _VNET.unpack_from(packet)[3]
    if not segment:
        return whole
    ip = (packet[VNET_BYTES] & 0x0F) * 4
    head = ip + (packet[VNET_BYTES + ip + 12] >> 4) * 4
    return whole + (math.ceil((whole - head) / segment) - 1) * head


@dataclass(slots=True)
class Lane:
    """One direction: its packets leave one after the other at the rate, and arrive after the delay.

    `buffer_seconds` is what may wait before it; what does not fit is dropped, as a router would.
    """

    rate: float  # bits a second
    delay_seconds: float
    buffer_seconds: float
    free_at: float = 0.0
    passed_bytes: int = 0
    dropped: int = field(default=0)

    def arrival(self, now: float, size: int) -> float | None:
        """When a packet that comes now is through; None where it is dropped."""
        begin = max(now, self.free_at)
        if begin - now > self.buffer_seconds:
            self.dropped += 1
            return None
        self.free_at = begin + size * 8 / self.rate
        self.passed_bytes += size
        return self.free_at + self.delay_seconds


@dataclass(frozen=True, slots=True)
class Passed:
    """What the line has carried until a moment of the monotonic clock, in bytes."""

    at: float
    from_far: int
    from_near: int
    dropped: int


def parse_rate(told: bytes) -> float:
    """Bits a second: the last of those that were told, a line each."""
    return float(told.split()[-1])


def parse_passed(text: str) -> list[Passed]:
    """The line's own record; its first line says `ready`, its last one may be half written."""
    whole, _, _ = text.rpartition("\n")
    rows = (line.split() for line in whole.splitlines()[1:])
    return [Passed(float(at), int(far), int(near), int(dropped)) for at, far, near, dropped in rows]


# Before and after these parts of a run's bytes, schemas are read and rows are counted.
FIRST, LAST = 0.01, 0.99


def share_of_rate(record: Sequence[Passed], begin: float, end: float, bits_per_second: float) -> float:
    """How much of the line a run used while it copied: from the first hundredth of its bytes to the last one."""
    during = [one for one in record if begin <= one.at <= end]
    base = during[0].from_far
    whole = during[-1].from_far - base
    first = next(one for one in during if one.from_far - base >= FIRST * whole)
    last = next(one for one in during if one.from_far - base >= LAST * whole)
    return (last.from_far - first.from_far) * 8 / (last.at - first.at) / bits_per_second

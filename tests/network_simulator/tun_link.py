"""Forwards packets between TUN devices of two network namespaces, with a rate, a delay and a buffer.

`python -m tests.network_simulator.tun_link` makes the device `near` in its own namespace and the device `far` in a new
one, which others enter by its process id and which ends with it. A rate in bits per second on a line of standard input
changes the rate. Standard output has the line `ready`, and then lines with what has passed: seconds of the monotonic
clock, bytes from far to near, bytes from near to far, dropped packets.

It replaces netem, which many kernels lack, and reports by itself what it carried.
"""

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress

from tests.network_simulator.shaping import VNET_BYTES, Lane, parse_rate, wire_bytes

NEAR, FAR = "10.99.0.1", "10.99.0.2"
ROUND_TRIP_SECONDS = 0.020
# A router's buffer: more than BBR and CUBIC need at this round trip, less than a minute of bufferbloat.
BUFFER_SECONDS = 0.050
REPORT_SECONDS = 0.05
LARGEST_PACKET = VNET_BYTES + (1 << 16)
INPUT_BYTES = 4096

_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
# With these, the kernel leaves checksums and segmentation to us, and one read returns up to 64 KiB.
_TUN_F_CSUM, _TUN_F_TSO4 = 0x01, 0x02
_CLONE_NEWNET = 0x40000000


def _make_device(name: str, address: str, peer: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4)
    for words in (["addr", "add", address, "peer", peer, "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", *words], check=True)
    return descriptor


def _enter_new_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of its own")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _raise_priority() -> None:
    """Gives this process priority over the servers, because a late packet would make the link slower than its rate."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class _Direction:
    """The packets that travel from one device to the other."""

    def __init__(self, source: int, sink: int, rate: float) -> None:
        self.source, self.sink = source, sink
        self.lane = Lane(rate, ROUND_TRIP_SECONDS / 2, BUFFER_SECONDS)
        self._in_flight: deque[tuple[float, bytes]] = deque()

    def read_packets(self) -> None:
        """Reads all packets that the kernel has."""
        with suppress(BlockingIOError):
            while True:
                packet = os.read(self.source, LARGEST_PACKET)
                arrival = self.lane.arrival(time.monotonic(), wire_bytes(packet))
                if arrival is not None:
                    self._in_flight.append((arrival, packet))

    def write_due_packets(self) -> float:
        """Writes the packets that are due, and returns the time at which the next one is."""
        while self._in_flight:
            due, packet = self._in_flight[0]
            if due > time.monotonic():
                return due
            self._in_flight.popleft()
            os.write(self.sink, packet)
        return float("inf")


def main() -> int:
    """Forwards packets until standard input ends."""
    rate = float(sys.argv[1])
    near = _make_device("near", NEAR, FAR)
    _enter_new_namespace()
    far = _make_device("far", FAR, NEAR)
    _raise_priority()
    down, up = _Direction(far, near, rate), _Direction(near, far, rate)
    print("ready", flush=True)
    report_at = time.monotonic()
    while True:
        next_due = min(down.write_due_packets(), up.write_due_packets(), report_at)
        ready, _, _ = select.select([far, near, 0], [], [], max(0.0, next_due - time.monotonic()))
        if far in ready:
            down.read_packets()
        if near in ready:
            up.read_packets()
        if 0 in ready:
            rates = os.read(0, INPUT_BYTES)  # without a buffer, whose content select would not see
            if not rates:
                return 0
            down.lane.rate = up.lane.rate = parse_rate(rates)
        if (now := time.monotonic()) >= report_at:
            report_at = now + REPORT_SECONDS
            dropped = down.lane.dropped + up.lane.dropped
            print(f"{now:.4f} {down.lane.passed_bytes} {up.lane.passed_bytes} {dropped}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

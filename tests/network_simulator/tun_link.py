"""A line between two network namespaces, in user space: packets of one TUN device go into the other, late and slowly.

`python -m tests.network_simulator.tun_link` makes the device `near` in its own namespace and
the device `far` in a new one, which others enter by its process id and which ends with it. A rate in bits a second on a
line of standard input changes the rate. Standard output says `ready`, and then what has passed: seconds of the
monotonic clock, bytes from far to near, from near to far, dropped packets.

Not netem, which many kernels lack: one link for all machines, which says by itself what it carried.
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
TELL_SECONDS = 0.05
LARGEST_PACKET = VNET_BYTES + (1 << 16)
TOLD_BYTES = 4096

_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
# Checksums and the cutting into segments are left to us, so that one read brings up to 64 KiB.
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


def _hurry() -> None:
    """Before the servers that keep all cores busy: a late packet would be a slower line than the one promised."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class _Way:
    """Packets on their way from one device to the other."""

    def __init__(self, source: int, sink: int, rate: float) -> None:
        self.source, self.sink = source, sink
        self.lane = Lane(rate, ROUND_TRIP_SECONDS / 2, BUFFER_SECONDS)
        self._under_way: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """All that the kernel has for us."""
        with suppress(BlockingIOError):
            while True:
                packet = os.read(self.source, LARGEST_PACKET)
                arrival = self.lane.arrival(time.monotonic(), wire_bytes(packet))
                if arrival is not None:
                    self._under_way.append((arrival, packet))

    def bring(self) -> float:
        """What is due; returns when the next one is."""
        while self._under_way:
            due, packet = self._under_way[0]
            if due > time.monotonic():
                return due
            self._under_way.popleft()
            os.write(self.sink, packet)
        return float("inf")


def main() -> int:
    """Until standard input ends."""
    rate = float(sys.argv[1])
    near = _make_device("near", NEAR, FAR)
    _enter_new_namespace()
    far = _make_device("far", FAR, NEAR)
    _hurry()
    down, up = _Way(far, near, rate), _Way(near, far, rate)
    print("ready", flush=True)
    tell_at = time.monotonic()
    while True:
        next_due = min(down.bring(), up.bring(), tell_at)
        ready, _, _ = select.select([far, near, 0], [], [], max(0.0, next_due - time.monotonic()))
        if far in ready:
            down.take()
        if near in ready:
            up.take()
        if 0 in ready:
            told = os.read(0, TOLD_BYTES)  # not by lines: what a buffer holds back, select does not see
            if not told:
                return 0
            down.lane.rate = up.lane.rate = parse_rate(told)
        if (now := time.monotonic()) >= tell_at:
            tell_at = now + TELL_SECONDS
            dropped = down.lane.dropped + up.lane.dropped
            print(f"{now:.4f} {down.lane.passed_bytes} {up.lane.passed_bytes} {dropped}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

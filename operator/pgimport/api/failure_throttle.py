"""Limits failed authentication attempts of each client address. Pure: the time is an argument."""

import ipaddress
import threading
from collections import OrderedDict

MAX_FAILURES = 20  # that an address may have before it must wait
REFILL_SECONDS = 3.0  # after this time, one failure less counts
MAX_ADDRESSES = 20_000  # kept in memory, about a hundred bytes each


class FailureThrottle:
    """A token bucket for each IPv4 address and each IPv6 /64 network. One host usually gets a whole /64 network."""

    def __init__(self, refill_seconds: float = REFILL_SECONDS) -> None:
        self._refill = refill_seconds
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # network → (failures, time of the last)
        self._lock = threading.Lock()

    def check(self, address: str, now: float) -> int | None:
        """Returns the seconds that the address must wait, or None if it may try now."""
        with self._lock:
            excess = self._count_failures(_network_of(address), now) - MAX_FAILURES + 1
        return max(1, round(excess * self._refill)) if excess > 0 else None

    def fail(self, address: str, now: float) -> None:
        """Counts a failed attempt."""
        network = _network_of(address)
        with self._lock:
            self._buckets[network] = (self._count_failures(network, now) + 1, now)
            self._buckets.move_to_end(network)
            while len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)

    def _count_failures(self, network: str, now: float) -> float:
        """Returns the number of failures that still count; it falls with time."""
        failures, last_failure = self._buckets.get(network, (0.0, now))
        return max(0.0, failures - (now - last_failure) / self._refill)


def _network_of(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return text

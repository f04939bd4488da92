"""Failed attempts to enter, address by address: how long one must wait goes out. Nothing here reads a clock."""

import ipaddress
import threading
from collections import OrderedDict

FAILURES = 20  # that an address may have at once
REFILL_SECONDS = 3.0  # for each of them to be forgiven
ADDRESSES = 20_000  # remembered; a hundred bytes each


class FailureThrottle:
    """A bucket for each address; of IPv6 for each /64, which is what one host gets."""

    def __init__(self, refill_seconds: float = REFILL_SECONDS) -> None:
        self._refill = refill_seconds
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → failures, when
        self._lock = threading.Lock()

    def check(self, address: str, now: float) -> int | None:
        """Seconds to wait; None where it may try."""
        with self._lock:
            over = self._failures(_network_of(address), now) - FAILURES + 1
        return max(1, round(over * self._refill)) if over > 0 else None

    def fail(self, address: str, now: float) -> None:
        network = _network_of(address)
        with self._lock:
            self._spent[network] = (self._failures(network, now) + 1, now)
            self._spent.move_to_end(network)
            while len(self._spent) > ADDRESSES:
                self._spent.popitem(last=False)

    def _failures(self, network: str, now: float) -> float:
        count, at = self._spent.get(network, (0.0, now))
        return max(0.0, count - (now - at) / self._refill)


def _network_of(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address

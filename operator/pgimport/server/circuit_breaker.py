"""A circuit breaker for each target server: after a slow failure, connections fail at once for a while.

A server that drops packets costs each caller the whole connect timeout. Without a circuit breaker, a few imports to
such a server would occupy all workers, and the imports of all other Projects would wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason

# A failure that took less time than this does not open the circuit breaker.
SLOW_SECONDS = 1.0
# While it is open, connections fail at once. After this time one caller tries again, on behalf of all.
OPEN_SECONDS = 10.0


@dataclass(slots=True)
class _OpenCircuit:
    failure: Failure
    until: float


class CircuitBreaker:
    """Remembers which servers failed slowly; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, _OpenCircuit] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connecting(self, address: str) -> Iterator[None]:
        """Wraps one attempt to connect. Raises ServerUnavailable with the last failure while the circuit is open."""
        with self._lock:
            circuit, started = self._open.get(address), self._clock()
            if circuit is not None and started < circuit.until:
                raise ServerUnavailable(circuit.failure)
            if circuit is not None:  # this caller tries on behalf of all
                circuit.until = started + OPEN_SECONDS
        try:
            yield
        except ServerUnavailable as unavailable:
            with self._lock:
                slow = self._clock() - started >= SLOW_SECONDS
                if slow and unavailable.failure.reason is Reason.SERVER_UNREACHABLE:
                    self._open[address] = _OpenCircuit(unavailable.failure, self._clock() + OPEN_SECONDS)
                else:
                    self._open.pop(address, None)
            raise
        with self._lock:
            self._open.pop(address, None)

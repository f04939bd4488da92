"""A circuit breaker for each target server and operation: after a slow failure, connections fail at once for a while.

A server that drops packets costs each caller the whole connect timeout. Without a circuit breaker, a few imports to
such a server would occupy all workers of the Project.

An operation is a connection to one database as one role. Only a failure at the maintenance database
counts for the whole server, because a tenant can slow down logins to its own database.
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
FORGET_SECONDS = 600.0


@dataclass(slots=True)
class _OpenCircuit:
    failure: Failure
    until: float


class CircuitBreaker:
    """Remembers which servers and operations failed slowly; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[tuple[str, str], _OpenCircuit] = {}  # by address and operation
        self._lock = threading.Lock()

    @contextmanager
    def connecting(self, address: str, operation: str = "") -> Iterator[None]:
        """Wraps one attempt to connect. Raises ServerUnavailable with the last failure while the circuit is open.

        `operation`: name of the circuit. The empty name stands for the whole server: while it is open, all operations
        fail.
        """
        if operation:
            self._refuse_if_open(address, "", tries=False)  # a slow database must not use up the server's next try
        self._refuse_if_open(address, operation)
        circuit, started = (address, operation), self._clock()
        try:
            yield
        except ServerUnavailable as unavailable:
            with self._lock:
                slow = self._clock() - started >= SLOW_SECONDS
                if slow and unavailable.failure.reason is Reason.SERVER_UNREACHABLE:
                    self._forget_old()
                    self._open[circuit] = _OpenCircuit(unavailable.failure, self._clock() + OPEN_SECONDS)
                else:
                    self._open.pop(circuit, None)
            raise
        with self._lock:
            self._open.pop(circuit, None)

    def _refuse_if_open(self, address: str, operation: str, tries: bool = True) -> None:
        with self._lock:
            circuit, now = self._open.get((address, operation)), self._clock()
            if circuit is not None and now < circuit.until:
                raise ServerUnavailable(circuit.failure)
            if circuit is not None and tries:  # this caller tries on behalf of all
                circuit.until = now + OPEN_SECONDS

    def _forget_old(self) -> None:
        """Removes circuits that nobody has tried again for a long time, such as those of dropped databases."""
        oldest = self._clock() - FORGET_SECONDS
        self._open = {key: circuit for key, circuit in self._open.items() if circuit.until > oldest}

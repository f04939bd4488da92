"""Recognises the phases of an import in the statements on its connections, and runs an action when one begins."""

import re
import threading
from collections.abc import Callable
from enum import StrEnum


class Phase(StrEnum):
    """The phases of an import, in their order. The engine `relay` reads the source in the phase of the data."""

    PREFLIGHT = "preflight"
    GATE = "gate"
    READ = "read"
    SCHEMA = "schema"
    DATA = "data"
    INDEXES = "indexes"
    VERIFY = "verify"
    SWAP = "swap"
    DROP = "drop"


class Connection(StrEnum):
    """The connection that a statement was sent on."""

    ADMIN = "admin"  # from the operator to the target server
    WORKER = "worker"  # from an attempt's role to the target server
    SOURCE = "source"  # from any client to the source


# First statement of each phase.
_FIRST_STATEMENTS: dict[Phase, tuple[Connection, re.Pattern[str]]] = {
    Phase.PREFLIGHT: (Connection.SOURCE, re.compile("connect")),
    Phase.GATE: (Connection.ADMIN, re.compile(r"ALTER ROLE \S+ LOGIN$")),
    Phase.READ: (Connection.SOURCE, re.compile("COPY .+ TO stdout")),
    Phase.SCHEMA: (Connection.WORKER, re.compile(r"(?m)^CREATE TABLE")),
    Phase.DATA: (Connection.WORKER, re.compile(r"(?m)^COPY .* FROM ")),
    Phase.INDEXES: (Connection.WORKER, re.compile(r"(?m)^CREATE (UNIQUE )?INDEX|ADD CONSTRAINT")),
    Phase.VERIFY: (Connection.WORKER, re.compile(r"\bcount\(")),
    Phase.SWAP: (Connection.ADMIN, re.compile(r"^ALTER DATABASE \S+ RENAME TO ")),
    Phase.DROP: (Connection.ADMIN, re.compile(r"^DROP DATABASE ")),
}


class PhaseTrigger:
    """Waits for one phase at a time and runs an action once when it begins. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: tuple[Phase, Callable[[], None]] | None = None
        self.reached: Phase | None = None

    def arm(self, phase: Phase, action: Callable[[], None]) -> None:
        """Wait for a phase. `action` runs before the phase's first statement is forwarded, in the proxy's thread."""
        with self._lock:
            self._awaited, self.reached = (phase, action), None

    def disarm(self) -> None:
        with self._lock:
            self._awaited = None

    def observe(self, connection: Connection, statement: str) -> None:
        """Inspect a statement that is about to be forwarded."""
        with self._lock:
            if self._awaited is None:
                return
            phase, action = self._awaited
            expected_connection, pattern = _FIRST_STATEMENTS[phase]
            if connection is not expected_connection or not pattern.search(statement):
                return
            self._awaited, self.reached = None, phase
        action()

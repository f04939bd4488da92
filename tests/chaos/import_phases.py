"""The phases of an import, known by what goes over its wires: at the first sign of one of them, something happens."""

import re
import threading
from collections.abc import Callable
from enum import StrEnum


class Phase(StrEnum):
    """In their order."""

    PREFLIGHT = "preflight"
    GATE = "gate"
    SCHEMA = "schema"
    DATA = "data"
    INDEXES = "indexes"
    VERIFY = "verify"
    SWAP = "swap"
    DROP = "drop"


class Who(StrEnum):
    """Whose words they are."""

    ADMIN = "admin"  # the operator, to the target server
    WORKER = "worker"  # an attempt's role, to the target server
    SOURCE = "source"  # whoever connects to the source


_SIGNS: dict[Phase, tuple[Who, re.Pattern[str]]] = {
    Phase.PREFLIGHT: (Who.SOURCE, re.compile("connect")),
    Phase.GATE: (Who.ADMIN, re.compile(r"ALTER ROLE \S+ LOGIN$")),
    Phase.SCHEMA: (Who.WORKER, re.compile(r"(?m)^CREATE TABLE")),
    Phase.DATA: (Who.WORKER, re.compile(r"(?m)^COPY .* FROM ")),
    Phase.INDEXES: (Who.WORKER, re.compile(r"(?m)^CREATE (UNIQUE )?INDEX|ADD CONSTRAINT")),
    Phase.VERIFY: (Who.WORKER, re.compile(r"\bcount\(")),
    Phase.SWAP: (Who.ADMIN, re.compile(r"^ALTER DATABASE \S+ RENAME TO ")),
    Phase.DROP: (Who.ADMIN, re.compile(r"^DROP DATABASE ")),
}


class Moments:
    """Safe to share between threads. One phase is waited for at a time, and it comes once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: tuple[Phase, Callable[[], None]] | None = None
        self.came: Phase | None = None

    def await_phase(self, phase: Phase, act: Callable[[], None]) -> None:
        """`act` runs in the thread of the one who speaks: what it says is held until then."""
        with self._lock:
            self._awaited, self.came = (phase, act), None

    def forget(self) -> None:
        with self._lock:
            self._awaited = None

    def hear(self, who: Who, words: str) -> None:
        """What is about to be passed on."""
        with self._lock:
            if self._awaited is None:
                return
            phase, act = self._awaited
            speaker, sign = _SIGNS[phase]
            if who is not speaker or not sign.search(words):
                return
            self._awaited, self.came = None, phase
        act()

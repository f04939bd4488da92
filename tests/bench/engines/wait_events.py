"""A server comes in; what its backends were doing, looked at now and then, goes out."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgres import PostgresServer

LOOK_SECONDS = 0.25
_ACTIVE = Path(__file__).parent / "sql" / "active.sql"


@dataclass(slots=True)
class Waits:
    """How often a backend was seen at work or waiting for something, over so many looks."""

    looks: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def in_words(self, most: int = 4) -> str:
        """The commonest, as parts of all that was seen."""
        whole = self.seen.total()
        if not whole:
            return "no backend was at work"
        parts = ", ".join(f"{name} {100 * count / whole:.0f} %" for name, count in self.seen.most_common(most))
        return f"{whole / self.looks:.1f} backends at work on average: {parts}"


class Watch:
    """A thread of its own, from `start` to `stop`."""

    def __init__(self, server: PostgresServer) -> None:
        self.waits = Waits()
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Waits:
        self._over.set()
        self._thread.join()
        return self.waits

    def _run(self) -> None:
        statement = _ACTIVE.read_bytes()
        with self._server.connect() as connection:
            while not self._over.wait(LOOK_SECONDS):
                self.waits.looks += 1
                self.waits.seen.update(name for (name,) in connection.execute(statement))

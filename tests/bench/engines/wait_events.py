"""Samples what the backends of a server wait for."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgres import PostgresServer

SAMPLE_SECONDS = 0.25
_ACTIVE = Path(__file__).parent / "sql" / "active.sql"


@dataclass(slots=True)
class WaitEvents:
    """Counts the wait events of active backends over a number of samples."""

    samples: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def in_words(self, limit: int = 4) -> str:
        """Describe the most frequent events, in percent of all events."""
        total = self.counts.total()
        if not total:
            return "no backend was active"
        shares = ", ".join(f"{name} {100 * count / total:.0f} %" for name, count in self.counts.most_common(limit))
        return f"{total / self.samples:.1f} active backends on average: {shares}"


class WaitSampler:
    """Samples a server in a thread, from `start` to `stop`."""

    def __init__(self, server: PostgresServer) -> None:
        self.events = WaitEvents()
        self._server = server
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> WaitEvents:
        self._stopped.set()
        self._thread.join()
        return self.events

    def _run(self) -> None:
        statement = _ACTIVE.read_bytes()
        with self._server.connect() as connection:
            while not self._stopped.wait(SAMPLE_SECONDS):
                self.events.samples += 1
                self.events.counts.update(name for (name,) in connection.execute(statement))

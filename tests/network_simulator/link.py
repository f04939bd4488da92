"""Opens a simulated link to a new network namespace, changes its rate, and reads what it carried."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql
from tests.cluster.instance import REPOSITORY
from tests.network_simulator.shaping import Passed, parse_passed
from tests.network_simulator.tun_link import FAR
from tests.support.postgres import PostgresServer

READY_SECONDS = 10
PINGS = 21
PROBE_SECONDS = 2
PROBE_ROW_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """An open link. Programs at its far end are started with `enter` before their arguments, and listen on `far`."""

    process: "subprocess.Popen[str]"
    trace: Path
    far: str = FAR

    @property
    def enter(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--"]

    def set_rate(self, bits_per_second: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{bits_per_second:.0f}\n")
        self.process.stdin.flush()

    def passed(self) -> list[Passed]:
        """Returns what the link has carried since it was opened."""
        return parse_passed(self.trace.read_text())


@contextmanager
def open_link(folder: Path, bits_per_second: float) -> Iterator[Link]:
    """Opens a link for the block. Afterwards, the far namespace is gone."""
    trace = folder / "link"
    with trace.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.network_simulator.tun_link", f"{bits_per_second:.0f}"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=sink,
            text=True,
        )
    link = Link(process, trace)
    try:
        _wait_until_ready(link)
        yield link
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def _wait_until_ready(link: Link) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while "ready" not in link.trace.read_text():
        if link.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the link did not come up: are /dev/net/tun and iproute2 there, and is this root?")
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Probed:
    """Round trip and throughput that a near client measures with a far server."""

    round_trip_milliseconds: float
    megabits_per_second: float


def probe(server: PostgresServer, bits_per_second: float) -> Probed:
    """Measures a link with the server itself: by a minimal query, and by one long COPY."""
    rows = max(1, int(bits_per_second * PROBE_SECONDS / 8 / PROBE_ROW_BYTES))
    with server.connect() as connection:
        trips = []
        for _ in range(PINGS):
            start = time.monotonic()
            connection.execute("SELECT 1")
            trips.append(time.monotonic() - start)
        query = sql.SQL("COPY (SELECT repeat('x', {}) FROM generate_series(1, {})) TO STDOUT").format(
            PROBE_ROW_BYTES - 1, rows
        )
        start = time.monotonic()
        with connection.cursor().copy(query) as stream:
            size = sum(len(piece) for piece in stream)
        seconds = time.monotonic() - start
    return Probed(1000 * statistics.median(trips), size * 8 / seconds / 1e6)

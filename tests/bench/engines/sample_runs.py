"""Runs that nobody ran, for tests of what is made of them."""

import json
from collections.abc import Sequence

from tests.bench.engines.pipelines import Taken
from tests.bench.engines.scenarios import Part


def a_run(seconds: float, begun: float = 100.0, failure: str | None = None, lines: Sequence[str] = ()) -> Taken:
    """A tenth of its time passes before each line."""
    return Taken(
        seconds=seconds, begun=begun, cpu={"source": 1.0, "target": 5.0, "client": 2.0}, memory_bytes=64 << 20,
        scratch_bytes=5_000_000, lines=[(begun + seconds * (n + 1) / 10, line) for n, line in enumerate(lines)],
        failure=failure,
    )  # fmt: skip


def a_part(taken: dict[str, list[Taken]], name: str = "big", bits_per_second: float | None = None) -> Part:
    titles = {engine: f"engine {engine}" for engine in taken}
    return Part(name, f"`{name}`", 1_000_000_000, taken, titles, bits_per_second)


def progress(phase: str) -> str:
    """A line of `pgimport run --json`."""
    return json.dumps({"progress": {"phase": phase, "percent": 1}})


ENDED = json.dumps({"log": {"message": "import ended: all is well", "result": {"step": "import"}}})

"""Builds results of runs that never happened, for the tests of the report."""

import json
from collections.abc import Sequence

from tests.bench.engines.pipelines import EngineRun
from tests.bench.engines.scenarios import Part


def build_run(
    seconds: float, started_at: float = 100.0, failure: str | None = None, lines: Sequence[str] = ()
) -> EngineRun:
    """Build a run. A tenth of its time passes before each line."""
    return EngineRun(
        seconds=seconds,
        started_at=started_at,
        cpu={"source": 1.0, "target": 5.0, "client": 2.0},
        memory_bytes=64 << 20,
        scratch_bytes=5_000_000,
        lines=[(started_at + seconds * (index + 1) / 10, line) for index, line in enumerate(lines)],
        failure=failure,
    )


def build_part(runs: dict[str, list[EngineRun]], name: str = "big", bits_per_second: float | None = None) -> Part:
    titles = {engine: f"engine {engine}" for engine in runs}
    return Part(name, f"`{name}`", 1_000_000_000, runs, titles, bits_per_second)


def progress_line(phase: str) -> str:
    """Build a progress line of `pgimport run --json`."""
    return json.dumps({"progress": {"phase": phase, "percent": 1}})


RESULT_LINE = json.dumps({"log": {"message": "import ended: all is well", "result": {"step": "import"}}})

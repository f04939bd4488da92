"""What a relay holds in memory is bounded by its streams and by the largest row, whatever the size of a table."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.client_programs import current_clients
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model import order as words
from pgimport.worker.memory import MIB, OWN_MEMORY, STREAM_MEMORY, read_memory_limit

LARGEST = 32 * MIB
JOBS = 2
LOOK_SECONDS = 0.02


@pytest.mark.thorough
@pytest.mark.parametrize("largest", [0, LARGEST], ids=["short rows", "a very long row"])
def test_a_worker_stays_within_what_is_promised(
    bench: Bench, postgres16: PostgresServer, tmp_path: Path, largest: int
) -> None:
    with postgres16.database("large") as name:
        postgres16.execute(
            "CREATE TABLE large AS SELECT i, repeat(md5(i::text), 8) AS note FROM generate_series(1, 800000) AS i", name
        )
        postgres16.execute(f"INSERT INTO large SELECT 0, repeat('x', {largest})", name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            order = bench.order(engine="relay", jobs=JOBS).model_dump_json(by_alias=True)
            environment = {**bench.environ, **current_clients(tmp_path), words.ENV_ORDER: order}
            worker = subprocess.Popen(
                [sys.executable, "-m", "pgimport", "worker", "import"],
                env={"PATH": os.environ["PATH"], **environment},
                stdout=subprocess.DEVNULL,
            )
            peak = _watch_peak(worker)
    assert worker.returncode == 0
    assert 0 < peak < OWN_MEMORY + JOBS * STREAM_MEMORY + 4 * largest


def _watch_peak(worker: subprocess.Popen[bytes]) -> int:
    """Bytes, until it has ended. What the kernel tells at the end of a child would count its parent's memory too."""
    peak = 0
    while worker.poll() is None:
        with suppress(OSError):  # it has just ended
            told = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
            peak = int(told[1]) * 1024 if told else peak
        time.sleep(LOOK_SECONDS)
    return peak


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["268435456\n", None], 268435456, id="the newer kind of control group"),
        pytest.param(["max\n", None], None, id="without a limit"),
        pytest.param([None, "134217728\n"], 134217728, id="the older kind"),
        pytest.param([None, "9223372036854771712\n"], None, id="the older kind without a limit"),
        pytest.param([None, None], None, id="no control group"),
    ],
)
def test_the_pods_limit_is_read_from_its_control_group(
    tmp_path: Path, texts: list[str | None], expected: int | None
) -> None:
    files = (tmp_path / "newer", tmp_path / "older")
    for file, text in zip(files, texts, strict=True):
        if text is not None:
            file.write_text(text)
    assert read_memory_limit(files) == expected


# Prints the pages that the kernel filled with zeros while 4 MiB were taken and freed a hundred times.
PIECES = """
import resource
from pgimport.worker.memory import keep_freed_memory
{}
def take() -> None:
    pieces = [bytes(200_000) for _ in range(20)]
def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
take()
before = faults()
for _ in range(100):
    take()
print(faults() - before)
"""


def test_freed_memory_is_used_again_without_the_kernel() -> None:
    def count(first: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", PIECES.format(first)], text=True))

    assert count("keep_freed_memory()") * 10 < count("")

"""Memory of the worker: it depends on the number of streams and on the largest row, not on the size of a table."""

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

from pgimport.model.order import ENV_ORDER
from pgimport.worker.memory import MIB, OWN_MEMORY, STREAM_MEMORY, read_memory_limit

LONG_ROW_BYTES = 32 * MIB
JOBS = 2
SAMPLE_SECONDS = 0.02


@pytest.mark.thorough
@pytest.mark.parametrize("largest_row", [0, LONG_ROW_BYTES], ids=["short rows", "one very long row"])
def test_a_relay_stays_within_the_documented_memory(
    bench: Bench, postgres16: PostgresServer, tmp_path: Path, largest_row: int
) -> None:
    with postgres16.database("large") as name:
        postgres16.execute(
            "CREATE TABLE large AS SELECT i, repeat(md5(i::text), 8) AS note FROM generate_series(1, 800000) AS i", name
        )
        postgres16.execute(f"INSERT INTO large SELECT 0, repeat('x', {largest_row})", name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            order = bench.order(engine="relay", jobs=JOBS).model_dump_json(by_alias=True)
            environment = {**bench.environ, **current_clients(tmp_path), ENV_ORDER: order}
            worker = subprocess.Popen(
                [sys.executable, "-m", "pgimport", "worker", "import"],
                env={"PATH": os.environ["PATH"], **environment},
                stdout=subprocess.DEVNULL,
            )
            peak = _watch_peak(worker)
    assert worker.returncode == 0
    assert 0 < peak < OWN_MEMORY + JOBS * STREAM_MEMORY + 4 * largest_row


def _watch_peak(worker: subprocess.Popen[bytes]) -> int:
    """Returns the worker's peak memory in bytes, when it has ended.

    The peak that the kernel reports after the end of a child includes the memory of its parent before exec.
    """
    peak = 0
    while worker.poll() is None:
        with suppress(OSError):  # the worker has just ended
            match = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
            peak = int(match[1]) * 1024 if match else peak
        time.sleep(SAMPLE_SECONDS)
    return peak


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["268435456\n", None], 268435456, id="cgroup v2"),
        pytest.param(["max\n", None], None, id="cgroup v2 without limit"),
        pytest.param([None, "134217728\n"], 134217728, id="cgroup v1"),
        pytest.param([None, "9223372036854771712\n"], None, id="cgroup v1 without limit"),
        pytest.param([None, None], None, id="no cgroup"),
    ],
)
def test_the_memory_limit_is_read_from_the_cgroup(
    tmp_path: Path, texts: list[str | None], expected: int | None
) -> None:
    files = (tmp_path / "v2", tmp_path / "v1")
    for file, text in zip(files, texts, strict=True):
        if text is not None:
            file.write_text(text)
    assert read_memory_limit(files) == expected


# Prints the minor page faults of allocating and freeing 4 MiB a hundred times.
COUNT_FAULTS = """
import resource
from pgimport.worker.memory import keep_freed_memory
{}
def allocate() -> None:
    chunks = [bytes(200_000) for _ in range(20)]
def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
allocate()
before = faults()
for _ in range(100):
    allocate()
print(faults() - before)
"""


def test_freed_memory_is_reused_without_page_faults() -> None:
    def count_faults(first_statement: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", COUNT_FAULTS.format(first_statement)], text=True))

    assert count_faults("keep_freed_memory()") * 10 < count_faults("")

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.bench.engines.process_usage import (
    TICKS_PER_SECOND,
    CpuUsage,
    cpu_seconds,
    folder_bytes,
    memory_bytes,
    parse_pss,
    parse_stat,
    process_tree,
)

# The first child uses CPU time and ends, so only its parent's figure includes it. The second child waits.
BUSY_CHILD = "end = __import__('time').process_time() + 0.3\nwhile __import__('time').process_time() < end: pass"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BUSY_CHILD!r}])
sleeper = subprocess.Popen(["sleep", "60"])
print("ready", flush=True)
sys.stdin.read()
sleeper.kill()
sleeper.wait()
"""


@pytest.mark.parametrize("name", ["postgres", "a b", "odd) R 1 (name"], ids=["plain", "with a space", "with brackets"])
def test_cpu_times_are_parsed_with_any_program_name(name: str) -> None:
    fields = "S 1 17 17 0 -1 4194560 100 200 0 0 250 50 1000 200 20 0 1 0 99"
    assert parse_stat(f"17 ({name}) {fields}\n") == CpuUsage(300 / TICKS_PER_SECOND, 1200 / TICKS_PER_SECOND)


def test_a_shared_page_counts_in_part() -> None:
    assert (
        parse_pss("55d0-7fff ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nPss:  120 kB\nPss_Dirty: 9 kB\n") == 122880
    )
    assert parse_pss("") == 0  # the process has just ended


def test_the_cpu_time_of_ended_children_is_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list(process_tree(process.pid))) == 2
        assert 0.3 <= cpu_seconds(process.pid) < 3
        assert memory_bytes(process.pid) > 1_000_000
        process.communicate()
    assert list(process_tree(process.pid)) == [process.pid]
    assert cpu_seconds(process.pid) == memory_bytes(process.pid) == 0


def test_the_size_of_a_folder_is_that_of_its_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)
    deadline = time.monotonic() + 5
    while folder_bytes(tmp_path) < 100_000 and time.monotonic() < deadline:
        time.sleep(0.1)  # some file systems allocate blocks late
    assert 100_000 <= folder_bytes(tmp_path) <= 140_000

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.bench.engines.process_usage import (
    TICKS,
    Used,
    cpu_seconds,
    family,
    folder_bytes,
    memory_bytes,
    parse_pss,
    parse_stat,
)

# A child that works, and then one that waits: the first one's work is known from its parent alone.
WORK = "end = __import__('time').process_time() + 0.3\nwhile __import__('time').process_time() < end: pass"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {WORK!r}])
waiting = subprocess.Popen(["sleep", "60"])
print("ready", flush=True)
sys.stdin.read()
waiting.kill()
waiting.wait()
"""


@pytest.mark.parametrize("name", ["postgres", "a b", "odd) R 1 (name"], ids=["plain", "with a space", "with brackets"])
def test_times_are_found_whatever_a_program_is_called(name: str) -> None:
    fields = "S 1 17 17 0 -1 4194560 100 200 0 0 250 50 1000 200 20 0 1 0 99"
    assert parse_stat(f"17 ({name}) {fields}\n") == Used(300 / TICKS, 1200 / TICKS)


def test_shared_pages_count_in_parts() -> None:
    assert (
        parse_pss("55d0-7fff ---p 00000000 00:00 0  [rollup]\nRss:  900 kB\nPss:  120 kB\nPss_Dirty: 9 kB\n") == 122880
    )
    assert parse_pss("") == 0  # of a process that has just ended


def test_what_ended_children_used_is_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list(family(process.pid))) == 2
        assert 0.3 <= cpu_seconds(process.pid) < 3
        assert memory_bytes(process.pid) > 1_000_000
        process.communicate()
    assert list(family(process.pid)) == [process.pid]
    assert cpu_seconds(process.pid) == memory_bytes(process.pid) == 0


def test_a_folder_is_as_large_as_its_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)
    deadline = time.monotonic() + 5
    while folder_bytes(tmp_path) < 100_000 and time.monotonic() < deadline:
        time.sleep(0.1)  # some file systems give out blocks late
    assert 100_000 <= folder_bytes(tmp_path) <= 140_000

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.engines.pipelines import Pipeline, Taken, run_pipelines

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def _run(folder: Path, *pipelines: Pipeline, patience: float = 30) -> Taken:
    scratch = folder / "scratch"
    scratch.mkdir()
    return run_pipelines(pipelines, ENVIRONMENT, {}, scratch, folder / "log", patience)


def _words(taken: Taken) -> Sequence[str]:
    return [line for _, line in taken.lines]


def test_programs_of_a_pipeline_feed_one_another_and_pipelines_come_in_turn(tmp_path: Path) -> None:
    taken = _run(tmp_path, [["echo", "one two"], ["tr", " ", "\n"]], [["echo", "three"]])
    assert _words(taken) == ["one", "two", "three"]
    assert taken.failure is None
    assert [at for at, _ in taken.lines] == sorted(at for at, _ in taken.lines)
    assert taken.begun <= taken.lines[0][0] <= taken.begun + taken.seconds


def test_a_failure_is_told_with_its_words_and_ends_the_run(tmp_path: Path) -> None:
    taken = _run(tmp_path, [["sh", "-c", "echo no such table >&2; exit 3"], ["cat"]], [["echo", "never"]])
    assert taken.failure == "sh ended with 3: no such table\n"
    assert _words(taken) == []


def test_what_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    stubborn = "trap '' TERM; sleep 321.5 & wait; sleep 321.5"
    taken = _run(tmp_path, [["sh", "-c", stubborn]], patience=0.5)
    assert taken.failure == "sh ended with -9: "
    assert time.monotonic() - begun < 10
    assert subprocess.run(["pgrep", "-f", "sleep 321.5"], check=False, stdout=subprocess.PIPE).stdout == b""


def test_work_memory_and_scratch_are_counted(tmp_path: Path) -> None:
    program = (
        f"open({str(tmp_path / 'scratch' / 'file')!r}, 'wb').write(b'x' * 3_000_000); held = b'y' * 50_000_000;"
        "import time\nwhile time.process_time() < 1: pass"
    )
    taken = _run(tmp_path, [[sys.executable, "-c", program]])
    assert taken.failure is None
    assert 1 <= taken.cpu["client"] < 5
    assert 50_000_000 < taken.memory_bytes < 100_000_000
    assert 3_000_000 <= taken.scratch_bytes < 4_000_000

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.engines.pipelines import EngineRun, Pipeline, run_pipelines

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def _measure(folder: Path, *pipelines: Pipeline, timeout_seconds: float = 30) -> EngineRun:
    scratch = folder / "scratch"
    scratch.mkdir()
    return run_pipelines(pipelines, ENVIRONMENT, {}, scratch, folder / "log", timeout_seconds)


def _output(run: EngineRun) -> Sequence[str]:
    return [line for _, line in run.lines]


def test_programs_of_a_pipeline_are_connected_and_pipelines_run_in_turn(tmp_path: Path) -> None:
    run = _measure(tmp_path, [["echo", "one two"], ["tr", " ", "\n"]], [["echo", "three"]])
    assert _output(run) == ["one", "two", "three"]
    assert run.failure is None
    assert [at for at, _ in run.lines] == sorted(at for at, _ in run.lines)
    assert run.started_at <= run.lines[0][0] <= run.started_at + run.seconds


def test_a_failure_is_reported_with_its_output_and_ends_the_run(tmp_path: Path) -> None:
    run = _measure(tmp_path, [["sh", "-c", "echo no such table >&2; exit 3"], ["cat"]], [["echo", "never"]])
    assert run.failure == "sh ended with 3: no such table\n"
    assert _output(run) == []


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    started_at = time.monotonic()
    stubborn = "trap '' TERM; sleep 321.5 & wait; sleep 321.5"
    run = _measure(tmp_path, [["sh", "-c", stubborn]], timeout_seconds=0.5)
    assert run.failure == "sh ended with -9: "
    assert time.monotonic() - started_at < 10
    assert subprocess.run(["pgrep", "-f", "sleep 321.5"], check=False, stdout=subprocess.PIPE).stdout == b""


def test_cpu_memory_and_scratch_are_measured(tmp_path: Path) -> None:
    program = (
        f"open({str(tmp_path / 'scratch' / 'file')!r}, 'wb').write(b'x' * 3_000_000); held = b'y' * 50_000_000;"
        "import time\nwhile time.process_time() < 1: pass"
    )
    run = _measure(tmp_path, [[sys.executable, "-c", program]])
    assert run.failure is None
    assert 1 <= run.cpu["client"] < 5
    assert 50_000_000 < run.memory_bytes < 100_000_000
    assert 3_000_000 <= run.scratch_bytes < 4_000_000

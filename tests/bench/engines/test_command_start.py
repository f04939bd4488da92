import sys
from pathlib import Path

import pytest
from tests.bench.engines.command_start import RUNS, measure_help_cpu


def _write_program(folder: Path, *lines: str) -> Path:
    program = folder / "program"
    program.write_text("\n".join([f"#!{sys.executable}", *lines]))
    program.chmod(0o755)
    return program


@pytest.mark.slow
def test_cpu_seconds_are_measured_and_the_first_run_is_not_counted(tmp_path: Path) -> None:
    program = _write_program(tmp_path, "import time", "while time.process_time() < 0.1: pass")
    seconds = measure_help_cpu(program)
    assert len(seconds) == RUNS
    assert all(0.1 <= one_run < 1 for one_run in seconds)


def test_a_command_that_fails_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="--help ended with 3"):
        measure_help_cpu(_write_program(tmp_path, "raise SystemExit(3)"))

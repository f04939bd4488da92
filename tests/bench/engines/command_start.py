"""Measures how much CPU time the command line takes to start."""

import os
import subprocess
from pathlib import Path

RUNS = 11


def measure_help_cpu(pgimport: Path) -> list[float]:
    """Run `pgimport --help` several times; return the CPU seconds of each run but the first, which warms the cache."""
    return [_run_help(pgimport) for _ in range(RUNS + 1)][1:]


def _run_help(pgimport: Path) -> float:
    """Run the command once; return its CPU seconds. Raises RuntimeError if it fails."""
    process = subprocess.Popen([pgimport, "--help"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{pgimport} --help ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime

"""Reads the memory and the CPU time of a process of this host."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.engines.process_usage import parse_stat

MIB_KB = 1024


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What a process used until a moment."""

    resident_mib: float
    peak_mib: float
    cpu_seconds: float


def read_usage(pid: int) -> ProcessUsage:
    """Reads /proc. Raises OSError if the process has ended."""
    folder = Path("/proc") / str(pid)
    lines = (line.partition(":") for line in (folder / "status").read_text().splitlines())
    status = {name: value.split() for name, _, value in lines}
    return ProcessUsage(
        resident_mib=int(status["VmRSS"][0]) / MIB_KB,
        peak_mib=int(status["VmHWM"][0]) / MIB_KB,
        cpu_seconds=parse_stat((folder / "stat").read_text()).own,
    )

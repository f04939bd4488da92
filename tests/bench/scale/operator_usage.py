"""Reads the memory and the CPU time of a process of this host."""

import os
from dataclasses import dataclass
from pathlib import Path

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
    # The second field is the program's name in parentheses. utime and stime are fields 14 and 15.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return ProcessUsage(
        resident_mib=int(status["VmRSS"][0]) / MIB_KB,
        peak_mib=int(status["VmHWM"][0]) / MIB_KB,
        cpu_seconds=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
    )

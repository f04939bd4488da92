"""Reads from /proc what processes and their children use of processors, memory and disk."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """CPU seconds of a process itself, and of the children that it has waited for."""

    own: float
    children: float


def parse_stat(text: str) -> CpuUsage:
    """Parse /proc/PID/stat.

    A program's name may contain any character, so the fields are counted from its closing bracket.
    """
    fields = text[text.rindex(")") + 2 :].split()
    user, system, children_user, children_system = (int(field) / TICKS_PER_SECOND for field in fields[11:15])
    return CpuUsage(user + system, children_user + children_system)


def parse_pss(text: str) -> int:
    """Parse the bytes of memory from /proc/PID/smaps_rollup. A page that n processes share counts as 1/n."""
    match = re.search(r"(?m)^Pss:\s+(\d+) kB$", text)
    return int(match[1]) * 1024 if match else 0


def _read(pid: int, name: str) -> str:
    """Read a file of the process; return an empty text if the process has ended."""
    try:
        return (_PROC / str(pid) / name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def process_tree(pid: int) -> Iterator[int]:
    """Yield the process and all its living descendants."""
    yield pid
    try:
        tasks = os.listdir(_PROC / str(pid) / "task")
    except FileNotFoundError:
        return
    for task in tasks:
        for child in _read(pid, f"task/{task}/children").split():
            yield from process_tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of all its descendants, those that have ended included.

    The figure of an ended process is in its parent's, provided that the parent has waited for it.
    """
    stats = [parse_stat(text) for descendant in process_tree(pid) if (text := _read(descendant, "stat"))]
    return sum(usage.own + usage.children for usage in stats)


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and all its living descendants."""
    return sum(parse_pss(_read(descendant, "smaps_rollup")) for descendant in process_tree(pid))


def folder_bytes(folder: Path) -> int:
    """Return the bytes on disk below a folder. Files may appear and disappear meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total

"""Process ids come in; what they and their children use of processors, memory and disk goes out: read in /proc."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds of processors: of the process itself, and of the children that it has waited for."""

    own: float
    children: float


def parse_stat(text: str) -> Used:
    """Of /proc/PID/stat; the program's name may hold anything, so fields are counted from its closing bracket."""
    fields = text[text.rindex(")") + 2 :].split()
    user, system, children_user, children_system = (int(field) / TICKS for field in fields[11:15])
    return Used(user + system, children_user + children_system)


def parse_pss(text: str) -> int:
    """Bytes, of /proc/PID/smaps_rollup: pages that n processes share count for one n-th."""
    found = re.search(r"(?m)^Pss:\s+(\d+) kB$", text)
    return int(found[1]) * 1024 if found else 0


def _read(pid: int, name: str) -> str:
    """Empty where the process has just ended."""
    try:
        return (_PROC / str(pid) / name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def family(pid: int) -> Iterator[int]:
    """The process, its children, theirs, and so on."""
    yield pid
    try:
        tasks = os.listdir(_PROC / str(pid) / "task")
    except FileNotFoundError:
        return
    for task in tasks:
        for child in _read(pid, f"task/{task}/children").split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """Of a process and all that ever descended from it: those that ended were waited for by their parent."""
    stats = [parse_stat(text) for one in family(pid) if (text := _read(one, "stat"))]
    return sum(used.own + used.children for used in stats)


def memory_bytes(pid: int) -> int:
    """Of a process and all its living descendants."""
    return sum(parse_pss(_read(one, "smaps_rollup")) for one in family(pid))


def folder_bytes(folder: Path) -> int:
    """On disk; files may come and go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total

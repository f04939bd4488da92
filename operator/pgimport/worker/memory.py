"""What the worker needs of memory, and what it may use: the kernel's control groups come in, bytes go out."""

from pathlib import Path

MIB = 1024 * 1024
OWN_MEMORY = 150 * MIB  # of the worker without its streams
STREAM_MEMORY = 16 * MIB
COPIES_OF_A_ROW = 4  # at most at once: every client holds a CopyData message whole
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT = 1 << 60  # the older kind writes a number near 2^63 where there is none


def read_memory_limit(files: tuple[Path, ...] = _LIMITS) -> int | None:
    """None where nothing is said, or no limit."""
    for file in files:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            return int(text)
    return None

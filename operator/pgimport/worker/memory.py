"""What the worker needs of memory, and what it may use: the kernel's control groups come in, bytes go out."""

import ctypes
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
OWN_MEMORY = 150 * MIB  # of the worker without its streams
STREAM_MEMORY = 16 * MIB
COPIES_OF_A_ROW = 4  # at most at once: every client holds a CopyData message whole
_KEPT = 16 * MIB  # of a thread's freed memory
_BY_ITSELF = 8 * MIB  # what is at least as large goes back to the kernel as soon as it is freed
# Of malloc.h of the GNU C library.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
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


def keep_freed_memory() -> None:
    """For a process through which gigabytes pass in pieces.

    The GNU C library gives a few freed hundred kilobytes back to the kernel, which fills them with zeros for the next
    piece: a third of what a relay takes of the processor. Other libraries are left as they are.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _BY_ITSELF)

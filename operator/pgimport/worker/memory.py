"""Says how much memory the worker needs and may use."""

import ctypes
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
OWN_MEMORY = 150 * MIB  # what the worker needs without its streams
STREAM_MEMORY = 16 * MIB
COPIES_OF_A_ROW = 4  # at most at once: each client library buffers a whole CopyData message
_KEPT = 16 * MIB  # bytes of freed memory that a thread keeps
_RETURNED = 8 * MIB  # bytes; larger allocations go back to the kernel as soon as they are freed
# Options of mallopt(3), from malloc.h of the GNU C library.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT = 1 << 60  # version 1 of control groups writes a number near 2^63 if there is no limit


def read_memory_limit(files: tuple[Path, ...] = _LIMITS) -> int | None:
    """Returns the limit of the worker's control group in bytes; None without a limit."""
    for file in files:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            return int(text)
    return None


def keep_freed_memory() -> None:
    """Makes the C library keep freed memory for later allocations. Meant for a process that copies gigabytes in pieces.

    By default, the GNU C library returns freed memory above a few hundred kilobytes to the kernel. The kernel fills
    new memory with zeros, which takes a third of a relay's CPU time. Does nothing with other C libraries.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _RETURNED)

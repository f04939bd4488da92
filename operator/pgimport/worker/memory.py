"""Says how much memory the worker needs and may use."""

import ctypes
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
OWN_MEMORY = 150 * MIB  # what the worker needs without its streams
STREAM_MEMORY = 16 * MIB
COPIES_OF_A_ROW = 4  # at most at the same time: each client library holds a CopyData message as a whole
_KEPT = 16 * MIB  # freed memory that a thread keeps
_RETURNED = 8 * MIB  # larger pieces go back to the kernel when they are freed
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
    """Lets the C library keep freed memory, in a process through which gigabytes pass in pieces.

    By default the GNU C library returns a few hundred freed kilobytes to the kernel, which then fills new ones with
    zeros: a third of the CPU time of a relay. Other C libraries are not changed.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _RETURNED)

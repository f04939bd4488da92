"""Unmounts everything below folders."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tests.cluster.errors import ClusterError

# umount2(2): detach now, and let the kernel finish when the last user is gone.
MNT_DETACH = 2


def _plain(field: str) -> str:
    """Decodes a path of mountinfo, which writes space, tab, newline and backslash as octal escapes."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        field = field.replace(code, chr(int(code[1:], 8)))
    return field


def mounts_below(*folders: Path) -> list[Path]:
    """Lists mount points, the latest first, because a mount over another one must be removed before it."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    paths = [Path(_plain(line.split()[4])) for line in lines]
    return [path for path in reversed(paths) if any(path.is_relative_to(folder) for folder in folders)]


def unmount_below(*folders: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for path in mounts_below(*folders):
        if libc.umount2(os.fsencode(path), MNT_DETACH) != 0 and path in mounts_below(*folders):
            raise ClusterError(f"{path} cannot be unmounted: {os.strerror(ctypes.get_errno())}")

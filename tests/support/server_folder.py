"""Folders for the files of test servers: in memory where there is enough of it.

Most of the CPU time of the unit tests was the kernel's, which wrote 300 files for each CREATE DATABASE. On a tmpfs, a
database costs a third: 0.05 instead of 0.17 seconds of CPU.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")  # a tmpfs on Linux; containers often have only 64 MB of it
ENOUGH = 4 * 1024**3  # bytes; a server rarely needs more than 300 MB, and a test run has up to twelve
PREFIX = "pgimport-tests-pg"
LOCK = "folder-is-in-use"
ORPHAN_SECONDS = 60  # a younger folder may belong to a process that does not hold its lock yet


@contextmanager
def open_server_folder(major: int, memory: Path = MEMORY, disk: Path | None = None) -> Iterator[Path]:
    """Creates a folder for a server's files, and removes it at the end of the block.

    `disk`: a folder in which to create it instead of memory. Also removes the folders that killed test runs left in
    memory.
    """
    remove_orphans(memory)
    parent = disk or (memory if _has_room(memory) else None)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{major}-", dir=parent))
    try:
        with (home / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def remove_orphans(parent: Path) -> None:
    """Removes the folders of servers whose test run no longer holds the lock."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r+") as file:  # of another user, in use, or removed meanwhile
            if time.time() - os.fstat(file.fileno()).st_mtime > ORPHAN_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ENOUGH

"""Locks an instance or a part of the cache against other processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.commands import print_progress
from tests.cluster.instance import Instance, cache_folder


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(descriptor: int, path: Path) -> bool:
    """Tells whether the locked file still exists; `down` removes it, and a lock on a removed file is useless."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def lock_until_exit(instance: Instance) -> None:
    """Locks the instance until this process ends; the kernel releases the lock then.

    It is not released earlier, because the next `up` ends all processes that this one has left.
    """
    path = instance.folder / "lock"
    while True:
        instance.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(descriptor):
            print_progress("another `up` or `down` of this cluster is running: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_current(descriptor, path):
            return
        os.close(descriptor)


def _open_in_cache(part: str) -> int:
    cache_folder().mkdir(parents=True, exist_ok=True)
    return os.open(cache_folder() / f"{part}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def nobody_else_in_cache(part: str) -> Iterator[bool]:
    """Tries to lock a part of the cache for the block, and yields whether that succeeded."""
    descriptor = _open_in_cache(part)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_one_in_cache(part: str) -> Iterator[None]:
    """Locks a part of the cache for the block. Of two checkouts, the second finds what the first has built."""
    descriptor = _open_in_cache(part)
    try:
        if not _try_lock(descriptor):
            print_progress(f"another process builds {part} in {cache_folder()}: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

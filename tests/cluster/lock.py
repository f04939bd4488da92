"""An instance or a part of the cache goes in; nobody else changes the same one at the same time."""

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
    """`down` removes the file with the folder: a lock on the removed file locks nobody out."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def lock_until_exit(instance: Instance) -> None:
    """The kernel ends the lock with its process, so a killed `up` never leaves a stale one.

    It is never given back before: the next `up` ends all that is left of this one, which must be nothing.
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
    """Whether the part is free, and if so, keeps it for the context."""
    descriptor = _open_in_cache(part)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_one_in_cache(part: str) -> Iterator[None]:
    """Checkouts share the cache: of two that build the same thing, the second finds it made by the first."""
    descriptor = _open_in_cache(part)
    try:
        if not _try_lock(descriptor):
            print_progress(f"another process builds {part} in {cache_folder()}: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Mounts a file system for the servers that is like those of real servers.

Some machines have ext4 without a journal. When it creates a file, it scans the inodes of all recently deleted files.
An engine would then pay for the thousands of files of the engine that ran before it.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = "12GiB"  # `big` at both servers, with their write-ahead logs, takes about 8 GB
DISK = "ext4 with a journal, in a file of its own"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system and the program that creates it."""

    name: str
    title: str
    make: Sequence[str]


EXT4 = FileSystem("ext4", "ext4", ("mkfs.ext4", "-q", "-E", "nodiscard", "-O", "has_journal"))
XFS = FileSystem("xfs", "XFS with reflinks", ("mkfs.xfs", "-q", "-K", "-m", "reflink=1"))


@contextmanager
def mounted_disk(folder: Path, file_system: FileSystem = EXT4, size: str = SIZE) -> Iterator[Path]:
    """Mount a file system below `folder`, and yield a folder on it that every user may write to.

    Call it in a separate mount namespace: then nothing stays mounted if this process is killed. Raises
    CalledProcessError.
    """
    image, disk = folder / "disk.img", folder / "disk"
    disk.mkdir()
    folder.chmod(0o711)  # the servers run as other users
    _run("fallocate", "--length", size, image)
    _run(*file_system.make, image)
    # Direct I/O: the page cache of the image file would keep everything a second time.
    device = _run("losetup", "--find", "--show", "--direct-io=on", image)
    try:
        _run("mount", device, disk)
    finally:
        _run("losetup", "--detach", device)  # takes effect when it is unmounted
    try:
        disk.chmod(0o1777)
        yield disk
    finally:
        _run("umount", disk)


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

"""A disk for the servers: a folder comes in; a file system like those of real servers is mounted below it.

ext4 without a journal, as some machines have it, walks past every inode of the last minutes' deleted files when it
makes a new one. An engine would pay for the thousands of files of the one that ran before it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "12GiB"  # `big` twice, with the logs of both servers, is about 8 GB
TOLD = "ext4 with a journal, in a file of its own"


@contextmanager
def mounted_disk(folder: Path) -> Iterator[Path]:
    """A folder for everybody, for the length of the block. Raises CalledProcessError.

    To be called in a mount namespace of its own: what is killed leaves nothing mounted.
    """
    image, disk = folder / "disk.img", folder / "disk"
    disk.mkdir()
    folder.chmod(0o711)  # servers run as users of their own
    _run("fallocate", "--length", SIZE, image)
    _run("mkfs.ext4", "-q", "-E", "nodiscard", "-O", "has_journal", image)
    # Past the page cache of the file, which would keep all of it twice.
    device = _run("losetup", "--find", "--show", "--direct-io=on", image)
    try:
        _run("mount", device, disk)
    finally:
        _run("losetup", "--detach", device)  # as soon as it is mounted no more
    try:
        disk.chmod(0o1777)
        yield disk
    finally:
        _run("umount", disk)


def _run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

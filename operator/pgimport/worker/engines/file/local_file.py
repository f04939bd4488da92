"""Opens a dump on the machine that runs the worker: a file, a folder that pg_dump wrote, or a pipe."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import TOC_FILE
from pgimport.worker.engines.file.download import Download, open_download
from pgimport.worker.engines.file.tar_reader import BLOCK
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import DumpLocation, FileLocation

FOLDER = "dump"  # of the files in the tar that the worker reads
SPOOLED_IN_MEMORY = 64 * 1024 * 1024  # bytes that the preflight reads of a pipe; more of them go to a temporary file


@contextmanager
def open_file(source: DumpLocation, limit: int | None = None) -> Iterator[Download]:
    """Opens a dump for reading, wherever it is. `limit`: its largest size in bytes. Raises ImportStopped."""
    if isinstance(source, FileLocation):
        with open_download(source, limit) as download:
            yield download
        return
    try:
        if source.is_pipe:
            yield Download(source, limit, None, _open_pipe(source.path).replay())
        elif source.path.is_dir():
            folder = _FolderReader(source.path)
            yield Download(source, limit, None, folder)
        else:
            with source.path.open("rb") as file:
                yield Download(source, limit, source.path.stat().st_size, file)
    except OSError as error:
        raise ImportStopped(
            Failure(Reason.DUMP_NOT_FOUND, f"the dump {source.address} cannot be read: {error.strerror}")
        ) from None


class _Pipe:
    """Reads a pipe for the preflight, and keeps what was read, so that the import can read it again."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._spool = SpooledTemporaryFile(SPOOLED_IN_MEMORY)  # noqa: SIM115 (closed when it was replayed)
        self._replaying = False
        self._readers = 0

    def replay(self) -> "_Pipe":
        """Starts again at the beginning. Only the first reader's bytes are kept."""
        self._readers += 1
        self._spool.seek(0)
        self._replaying = self._readers > 1
        return self

    def read(self, count: int, /) -> bytes:
        if self._replaying:
            if content := self._spool.read(count):
                return content
            self._replaying = False
            self._spool.close()
        content = self._pipe.read(count)
        if self._readers == 1:
            self._spool.write(content)
        return content


@cache
def _open_pipe(path: Path) -> _Pipe:
    """Opens an inherited pipe once for all steps of this process.

    Opening its path again would wait for another writer.
    """
    return _Pipe(open(int(path.name), "rb"))


class _FolderReader:
    """Reads the files of a folder as one tar."""

    def __init__(self, folder: Path) -> None:
        if not (folder / TOC_FILE).is_file():
            names = {path.name for path in folder.iterdir()}
            what = "is a dump of all databases by pg_dumpall" if "map.dat" in names else f"contains no {TOC_FILE}"
            message = f"the folder {folder} {what}: name a dump of one database, as pg_dump writes it"
            raise ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))
        self._pieces = _pack(folder)
        self._buffer = b""

    def read(self, count: int, /) -> bytes:
        while not self._buffer:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._buffer = piece
        content, self._buffer = self._buffer[:count], self._buffer[count:]
        return content


def _pack(folder: Path) -> Iterator[bytes]:
    # The table of contents comes first, as in a tar of pg_dump, so that the preflight reads little.
    paths = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.name != TOC_FILE)
    for path in paths:
        info = tarfile.TarInfo(f"{FOLDER}/{path.name}")
        with path.open("rb") as file:
            info.size = path.stat().st_size
            yield info.tobuf(tarfile.GNU_FORMAT)
            left = info.size
            while left and (piece := file.read(min(left, 1024 * 1024))):
                left -= len(piece)
                yield piece
            yield bytes(left + -info.size % BLOCK)  # a file that shrinks meanwhile is noticed by its last rows
    yield bytes(2 * BLOCK)

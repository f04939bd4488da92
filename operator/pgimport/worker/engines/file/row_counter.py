"""Counts the rows in the data of an archive's entries."""

import zlib
from typing import Protocol

import lz4.frame

from pgimport.worker.archive.toc import Compression, corrupt
from pgimport.worker.engines.file import zstd

_END = b"\\.\n"  # last line of a COPY; pg_dump writes two empty lines after it
_PIECE = 1024 * 1024


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class RowCounter:
    """Counts the rows of one COPY in text format, which has one line per row: newlines in values are escaped."""

    def __init__(self, compression: Compression, title: str) -> None:
        self._title = title
        self._newlines = 0
        self._tail = b""
        self._compression = compression
        self._unpacker: object | None = None
        match compression:
            case Compression.GZIP:
                self._unpacker = zlib.decompressobj(47)  # zlib in a custom archive, gzip in a directory
            case Compression.LZ4:
                self._unpacker = lz4.frame.LZ4FrameDecompressor()
            case Compression.ZSTD:
                self._unpacker = zstd.ZstdDecompressor()

    def feed(self, data: bytes) -> None:
        """Unpacks the next piece of data and counts its rows. Raises ImportStopped if it is damaged."""
        try:
            self._unpack(data)
        except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
            raise corrupt(f"the rows of {self._title} cannot be unpacked: {error}") from None

    def _unpack(self, data: bytes) -> None:
        unpacker = self._unpacker
        if unpacker is None:
            self._count(data)
        elif self._compression is Compression.GZIP:
            while data:
                self._count(unpacker.decompress(data, _PIECE))  # type: ignore[attr-defined]
                data = unpacker.unconsumed_tail  # type: ignore[attr-defined]
        else:
            self._count(unpacker.decompress(data, _PIECE))  # type: ignore[attr-defined]
            while not unpacker.needs_input and not unpacker.eof:  # type: ignore[attr-defined]
                self._count(unpacker.decompress(b"", _PIECE))  # type: ignore[attr-defined]

    def _count(self, text: bytes) -> None:
        self._newlines += text.count(b"\n")
        self._tail = (self._tail + text)[-8:]

    def finish(self) -> int:
        """Returns the number of rows. Raises ImportStopped if the last line of the COPY is missing."""
        if self._unpacker is not None and not self._unpacker.eof:  # type: ignore[attr-defined]
            raise corrupt(f"the rows of {self._title} are truncated")
        end, empty_lines = self._tail.rfind(_END), b""
        if end >= 0:
            empty_lines = self._tail[end + len(_END) :]
        if end < 0 or empty_lines.strip(b"\n"):
            raise corrupt(f"the rows of {self._title} lack their last line (\\.)")
        return self._newlines - 1 - empty_lines.count(b"\n")

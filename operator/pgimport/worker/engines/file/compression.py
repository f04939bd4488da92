"""Unpacks dump files that are compressed with gzip or zstd, and detects the dump's format by its first bytes.

File names are ignored. One chunk is held in memory. A file that unpacks to far more than any dump does is refused.
"""

import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Literal, Protocol

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import MAGIC, corrupt
from pgimport.worker.engines.file import zstd
from pgimport.worker.postgres.errors import ImportStopped

CHUNK = 256 * 1024  # bytes that one call reads from the source
HEAD = 4096  # bytes at the beginning of a file that tell its format
# Ratio of unpacked to packed bytes: usually 10 for dumps, 100 for very regular ones, 1000 for decompression bombs.
MAX_RATIO = 500
MIN_BYTES_FOR_RATIO = 64 * 1024 * 1024  # unpacked bytes below which the ratio is not checked
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_TAR_MAGIC_AT = 257
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ByteReader(Protocol):
    """Source of the bytes of a file."""

    def read(self, count: int, /) -> bytes:
        """Returns at most `count` bytes, and b"" at the end."""
        ...


class DumpFormat(StrEnum):
    """Format of a dump. A TAR is either pg_dump's tar format, or a directory archive that was packed with tar."""

    CUSTOM = "custom"
    TAR = "tar"
    PLAIN = "plain"


Compression = Literal["none", "gzip", "zstd"]


class Decoder(Protocol):
    """Unpacks a file of one or more compressed frames."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """Returns at most `limit` bytes and keeps the rest of `data`. Raises ValueError if the data is damaged."""
        ...

    @property
    def has_pending_output(self) -> bool:
        """Whether `decode` returns more without further data."""
        ...

    @property
    def at_frame_end(self) -> bool:
        """Whether all data up to now consists of complete frames."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._frame = zlib.decompressobj(31)
        self._rest = b""
        self._started = False

    def decode(self, data: bytes, limit: int) -> bytes:
        data = self._rest + data
        self._rest = b""
        if not data:
            return b""
        if self._frame.eof:
            self._frame, self._started = zlib.decompressobj(31), False
        self._started = True
        try:
            unpacked = self._frame.decompress(data, limit)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        self._rest = self._frame.unused_data if self._frame.eof else self._frame.unconsumed_tail
        return unpacked

    @property
    def has_pending_output(self) -> bool:
        return bool(self._rest)

    @property
    def at_frame_end(self) -> bool:
        return not self._started or (self._frame.eof and not self._rest)


class _Zstd:
    def __init__(self) -> None:
        self._frame = zstd.ZstdDecompressor()
        self._started = False

    def decode(self, data: bytes, limit: int) -> bytes:
        if self._frame.eof:
            data = self._frame.unused_data + data
            if not data:
                return b""
            self._frame = zstd.ZstdDecompressor()
        self._started = self._started or bool(data)
        try:
            return bytes(self._frame.decompress(data, limit))
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from None

    @property
    def has_pending_output(self) -> bool:
        return bool(self._frame.unused_data) if self._frame.eof else self._started and not self._frame.needs_input

    @property
    def at_frame_end(self) -> bool:
        return not self._started or (self._frame.eof and not self._frame.unused_data)


class DumpStream:
    """Reads the unpacked bytes of a dump file."""

    def __init__(self, reader: ByteReader, limit: int | None = None) -> None:
        """Reads the first chunk. `limit`: the most bytes that the file may unpack to. Raises ImportStopped."""
        self._reader = reader
        self._limit = limit
        self._buffer = bytearray()
        self._ended = False
        self.bytes_read = 0  # of the file itself, compressed or not
        self.bytes_unpacked = 0
        first = self._read_chunk()
        self.compression: Compression = "none"
        self._decoder: Decoder | None = None
        if first.startswith(_GZIP):
            self.compression, self._decoder = "gzip", _Gzip()
        elif first.startswith(_ZSTD):
            self.compression, self._decoder = "zstd", _Zstd()
        self._absorb(first)

    def read(self, count: int) -> bytes:
        """Returns `count` bytes, and fewer only at the end. Raises ImportStopped."""
        self._fill(count)
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def peek(self, count: int) -> bytes:
        """Returns the next bytes without consuming them. Raises ImportStopped."""
        self._fill(count)
        return bytes(self._buffer[:count])

    def read_some(self) -> bytes:
        """Returns all buffered bytes. Reads a chunk if none are buffered. Returns b"" at the end."""
        self._fill(1)
        content = bytes(self._buffer)
        self._buffer.clear()
        return content

    def _read_chunk(self) -> bytes:
        chunk = self._reader.read(CHUNK)
        self.bytes_read += len(chunk)
        return chunk

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and not self._ended:
            if self._decoder is not None and self._decoder.has_pending_output:
                self._absorb(b"")
                continue
            data = self._read_chunk()
            if not data:
                if self._decoder is not None and not self._decoder.at_frame_end:
                    raise corrupt(f"its {self.compression} stream is truncated after {self.bytes_read} bytes")
                self._ended = True
            else:
                self._absorb(data)

    def _absorb(self, data: bytes) -> None:
        if self._decoder is not None:
            try:
                data = self._decoder.decode(data, CHUNK)
            except ValueError as error:
                raise corrupt(f"its {self.compression} stream is broken near byte {self.bytes_read}: {error}") from None
        self.bytes_unpacked += len(data)
        self._buffer += data
        if self._limit is not None and self.bytes_unpacked > self._limit:
            raise ImportStopped(
                Failure(
                    Reason.SOURCE_TOO_LARGE,
                    f"the dump file unpacks to more than {self._limit} bytes, which is more than the plan allows",
                )
            )
        if self._decoder is not None and self.bytes_unpacked > max(MIN_BYTES_FOR_RATIO, MAX_RATIO * self.bytes_read):
            raise ImportStopped(
                Failure(
                    Reason.DUMP_UNSUPPORTED,
                    f"the file unpacks to more than {MAX_RATIO} times its size, which no dump does"
                    f" ({self.bytes_unpacked} bytes from {self.bytes_read})",
                )
            )


_USE_FILE_OPTION = "write the dump with `pg_dump --file`, because your shell changes text that is redirected"
# First bytes of a file → what the file is.
_OTHER_FILES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image, not a dump"),
    (b"\xff\xd8\xff", "a JPEG image, not a dump"),
    (b"GIF8", "a GIF image, not a dump"),
    (b"%PDF", "a PDF document, not a dump"),
    (b"PK\x03\x04", "a zip archive, not a dump: unpack it, or compress the dump with gzip or zstd"),
    (b"BZh", "compressed with bzip2: use gzip or zstd"),
    (b"\xfd7zXZ", "compressed with xz: use gzip or zstd"),
    (b"7z\xbc\xaf", "a 7z archive, not a dump: use gzip or zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4: use gzip or zstd"),
    (_GZIP, "compressed twice: unpack it once"),
    (_ZSTD, "compressed twice: unpack it once"),
    (b"SQLite format 3", "an SQLite database, not a dump"),
    (b"\x7fELF", "a program, not a dump"),
    (b"\xff\xfe", f"text in UTF-16: {_USE_FILE_OPTION}"),
    (b"\xfe\xff", f"text in UTF-16: {_USE_FILE_OPTION}"),
)
# Text near the beginning of a dump → which dump it is.
_OTHER_DUMPS: tuple[tuple[bytes, str], ...] = (
    (b"-- PostgreSQL database cluster dump", "of all databases by pg_dumpall: dump one database with pg_dump"),
    (b"-- MySQL dump", "of MySQL"),
    (b"-- MariaDB dump", "of MariaDB"),
    (b"/*!40", "of MySQL or MariaDB"),
    (b"/*M!", "of MariaDB"),
    (b"PRAGMA foreign_keys", "of SQLite"),
)
_PLAIN = b"-- PostgreSQL database dump\n"
_HEADERS = (*(header for header, _ in _OTHER_DUMPS), _PLAIN)


def find_format(stream: DumpStream) -> DumpFormat:
    """Detects the format by the first bytes, and leaves them in the stream.

    Raises ImportStopped if the file is not a dump of one database.
    """
    head = stream.peek(HEAD)
    if not head:
        raise corrupt("it is empty")
    if head.startswith(MAGIC):
        return DumpFormat.CUSTOM
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return DumpFormat.TAR
    for magic, description in _OTHER_FILES:
        if head.startswith(magic):
            raise _unsupported(f"the file is {description}")
    # A name or comment in a dump may contain the header of another program, but only after the dump's own header.
    first_header = min((header for header in _HEADERS if header in head), key=head.index, default=None)
    for header, description in _OTHER_DUMPS:
        if header == first_header:
            raise _unsupported(f"the file is a dump {description}")
    if first_header == _PLAIN and head.startswith(_BYTE_ORDER_MARK):
        raise _unsupported(f"the file begins with a byte order mark: {_USE_FILE_OPTION}")
    if first_header == _PLAIN:
        return DumpFormat.PLAIN
    if _PLAIN.replace(b"\n", b"\r\n") in head:
        raise _unsupported(f"the lines of the file end with CR LF, which would change its values: {_USE_FILE_OPTION}")
    raise _unsupported(_describe_other_file(head))


def _describe_other_file(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "the file is a web page, not a dump: check that the URL leads to the dump itself and has not expired"
    if text.startswith((b"{", b"<?xml")):
        return "the file is JSON or XML, most likely an error message of the server that stores the dump: open the URL"
    if b"\x00" not in head:
        return "the file is text without pg_dump's header: write it with pg_dump, so that a truncated file is noticed"
    return "the file is not a dump: use pg_dump's custom, tar or plain format, or put its directory into a tar"


def _unsupported(message: str) -> ImportStopped:
    return ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))


Write = Callable[[bytes], object]

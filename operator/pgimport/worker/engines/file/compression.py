"""A file's bytes come in; what it is by its first bytes, and its bytes without gzip or zstd around them, go out.

Never by a name. Nothing is held but one chunk; what unpacks to far more than any dump does is refused.
"""

import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Literal, Protocol

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import MAGIC, corrupt
from pgimport.worker.engines.file import zstd
from pgimport.worker.postgres.errors import ImportStopped

CHUNK = 256 * 1024  # bytes asked of the source at once
HEAD = 4096  # bytes that tell what a file is
# Real dumps shrink to a tenth, very even ones to a hundredth; a bomb of zeros to a thousandth and less.
MAX_RATIO = 500
FREE = 64 * 1024 * 1024  # bytes that no ratio is asked of
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_TAR_MAGIC_AT = 257
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ByteReader(Protocol):
    """Where bytes come from."""

    def read(self, count: int, /) -> bytes:
        """Up to so many, none at the end."""
        ...


class DumpFormat(StrEnum):
    """By the first bytes; whether a tar is an archive or holds a directory is seen when it is read."""

    CUSTOM = "custom"
    TAR = "tar"
    PLAIN = "plain"


Compression = Literal["none", "gzip", "zstd"]


class Decoder(Protocol):
    """One compressed stream of frames."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """At most `limit` bytes; what is left of `data` is remembered. Raises ValueError where it is damaged."""
        ...

    @property
    def waiting(self) -> bool:
        """It has more to give before it takes more."""
        ...

    @property
    def whole(self) -> bool:
        """It stands between two frames."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)
        self._rest = b""
        self._begun = False

    def decode(self, data: bytes, limit: int) -> bytes:
        data = self._rest + data
        self._rest = b""
        if not data:
            return b""
        if self._inner.eof:
            self._inner, self._begun = zlib.decompressobj(31), False
        self._begun = True
        try:
            found = self._inner.decompress(data, limit)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        self._rest = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
        return found

    @property
    def waiting(self) -> bool:
        return bool(self._rest)

    @property
    def whole(self) -> bool:
        return not self._begun or (self._inner.eof and not self._rest)


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor()
        self._begun = False

    def decode(self, data: bytes, limit: int) -> bytes:
        if self._inner.eof:
            data = self._inner.unused_data + data
            if not data:
                return b""
            self._inner = zstd.ZstdDecompressor()
        self._begun = self._begun or bool(data)
        try:
            return bytes(self._inner.decompress(data, limit))
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from None

    @property
    def waiting(self) -> bool:
        return bool(self._inner.unused_data) if self._inner.eof else self._begun and not self._inner.needs_input

    @property
    def whole(self) -> bool:
        return not self._begun or (self._inner.eof and not self._inner.unused_data)


class DumpStream:
    """The file without what is wrapped around it."""

    def __init__(self, reader: ByteReader, limit: int | None = None) -> None:
        """`limit`: bytes that may come out in all; none where absent. Raises Stopped where the first bytes tell."""
        self._reader = reader
        self._limit = limit
        self._buffer = bytearray()
        self._ended = False
        self.bytes_read = 0  # bytes of the file as it is
        self.bytes_unpacked = 0  # bytes that came out of it
        first = self._take(CHUNK)
        self.compression: Compression = "none"
        self._decoder: Decoder | None = None
        if first.startswith(_GZIP):
            self.compression, self._decoder = "gzip", _Gzip()
        elif first.startswith(_ZSTD):
            self.compression, self._decoder = "zstd", _Zstd()
        self._absorb(first)

    def read(self, count: int) -> bytes:
        """Up to so many bytes; fewer only at the end. Raises Stopped."""
        self._fill(count)
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay."""
        self._fill(count)
        return bytes(self._buffer[:count])

    def read_some(self) -> bytes:
        """A piece of a convenient size; none at the end."""
        self._fill(1)
        found = bytes(self._buffer)
        self._buffer.clear()
        return found

    def _take(self, count: int) -> bytes:
        found = self._reader.read(count)
        self.bytes_read += len(found)
        return found

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and not self._ended:
            if self._decoder is not None and self._decoder.waiting:
                self._absorb(b"")
                continue
            data = self._take(CHUNK)
            if not data:
                if self._decoder is not None and not self._decoder.whole:
                    raise corrupt(f"its {self.compression} stream ends in the middle, after {self.bytes_read} bytes")
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
                    f"the dump file unpacks to more than {self._limit} bytes, which is more than the plan can hold",
                )
            )
        if self._decoder is not None and self.bytes_unpacked > max(FREE, MAX_RATIO * self.bytes_read):
            raise ImportStopped(
                Failure(
                    Reason.DUMP_UNSUPPORTED,
                    f"the file unpacks to more than {MAX_RATIO} times its size, as no dump does"
                    f" ({self.bytes_unpacked} bytes out of {self.bytes_read})",
                )
            )


_RECODED = "write the dump with `pg_dump --file`, not through a shell that recodes it"
_NOT_A_DUMP: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive: unpack it, or compress the dump with gzip or zstd"),
    (b"BZh", "compressed with bzip2: use gzip or zstd"),
    (b"\xfd7zXZ", "compressed with xz: use gzip or zstd"),
    (b"7z\xbc\xaf", "a 7z archive: use gzip or zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4 as a whole: use gzip or zstd"),
    (_GZIP, "compressed twice: unpack it once"),
    (_ZSTD, "compressed twice: unpack it once"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"\xff\xfe", f"text in UTF-16: {_RECODED}"),
    (b"\xfe\xff", f"text in UTF-16: {_RECODED}"),
)
_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"-- PostgreSQL database cluster dump", "of a whole server by pg_dumpall: dump the one database with pg_dump"),
    (b"-- MySQL dump", "of MySQL"),
    (b"-- MariaDB dump", "of MariaDB"),
    (b"/*!40", "of MySQL or MariaDB"),
    (b"/*M!", "of MariaDB"),
    (b"PRAGMA foreign_keys", "of SQLite"),
)
_PLAIN = b"-- PostgreSQL database dump\n"
_MARKS = (*(mark for mark, _ in _TEXTS), _PLAIN)


def find_format(stream: DumpStream) -> DumpFormat:
    """By its first bytes, which stay in the stream. Raises Stopped for what is no dump of one database."""
    head = stream.peek(HEAD)
    if not head:
        raise corrupt("it is empty")
    if head.startswith(MAGIC):
        return DumpFormat.CUSTOM
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return DumpFormat.TAR
    for magic, what in _NOT_A_DUMP:
        if head.startswith(magic):
            raise _unsupported(f"the file is no dump but {what}")
    # Each of them may stand in a dump of another kind, but not before that one's own.
    first = min((mark for mark in _MARKS if mark in head), key=head.index, default=None)
    for mark, what in _TEXTS:
        if mark == first:
            raise _unsupported(f"the file is a dump {what}")
    if first == _PLAIN and head.startswith(_BYTE_ORDER_MARK):
        raise _unsupported(
            f"the file begins with a byte order mark, as text does that went through a shell: {_RECODED}"
        )
    if first == _PLAIN:
        return DumpFormat.PLAIN
    if _PLAIN.replace(b"\n", b"\r\n") in head:
        raise _unsupported(f"the file's lines end with CR LF, and so would its values: {_RECODED}")
    raise _unsupported(_describe(head))


def _describe(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "the file is a web page: the URL leads to a page about the dump, or to one that says why there is none"
    if text.startswith((b"{", b"<?xml")):
        return "the file is JSON or XML, most likely an error message of the server that holds the dump"
    if b"\x00" not in head:
        return "the file is text without pg_dump's header: only SQL that pg_dump wrote can be checked for wholeness"
    return "the file is no dump that pg_dump wrote (custom, tar, directory in a tar, plain SQL; in gzip, zstd or bare)"


def _unsupported(what: str) -> ImportStopped:
    return ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, what))


Write = Callable[[bytes], object]

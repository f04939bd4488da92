"""Reads the members of a zip one after the other, without storing it.

A zip program writes a header before each member, and a directory of all members at the end. The worker reads the
headers, and compares sizes, checksums and the number of members.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.file_kinds import unsupported

_MEMBER, _DESCRIPTOR = b"PK\x03\x04", b"PK\x07\x08"
_DIRECTORY, _END, _END_64, _LOCATOR_64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_HEADER = struct.Struct("<HHHHHIIIHH")  # after the signature, up to the length of the extra fields
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 1 << 0, 1 << 3
_ZIP64_FIELD, _IN_ZIP64 = 1, 0xFFFFFFFF
MAX_MEMBERS = 1_000_000
PIECE = 256 * 1024  # bytes


@dataclass
class ZipMember:
    """A file in the zip. Read its content before you ask for the next member."""

    name: str  # without folders
    path: str
    size: int  # 0 if the header does not contain it
    _stream: DumpStream = field(repr=False)
    _packed: int | None = None  # bytes of packed data that are left; None: the data ends by itself
    _inflate: "zlib._Decompress | None" = None
    _waiting: bytes = b""  # packed data that was read
    checksum: int = 0
    bytes_read: int = 0
    packed_bytes: int = 0
    ended: bool = False

    def read(self, count: int) -> bytes:
        """Returns at most `count` bytes, and b"" at the end. Raises ImportStopped."""
        while not self.ended and count:
            content = self._read_stored(count) if self._inflate is None else self._read_deflated(count)
            if content:
                self.checksum = zlib.crc32(content, self.checksum)
                self.bytes_read += len(content)
                return content
        return b""

    def _read_stored(self, count: int) -> bytes:
        left = self._packed or 0
        content = self._stream.read(min(count, left))
        if left and not content:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, inside {self.path}")
        self._packed = left - len(content)
        self.packed_bytes += len(content)
        self.ended = not self._packed
        return content

    def _read_deflated(self, count: int) -> bytes:
        assert self._inflate is not None  # noqa: S101 (the caller checked it)
        if not self._waiting:
            self._waiting = self._stream.peek(min(PIECE, self._packed if self._packed is not None else PIECE))
        before = len(self._waiting)
        try:
            content = self._inflate.decompress(self._waiting, count)
        except zlib.error as error:
            raise corrupt(f"{self.path} in the zip cannot be unpacked: {error}") from None
        rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        used = before - len(rest)
        self._stream.read(used)
        self.packed_bytes += used
        if self._packed is not None:
            self._packed -= used
        self._waiting = b"" if self._inflate.eof else rest
        self.ended = self._inflate.eof
        if not before and not content and not self.ended:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, inside {self.path}")
        return content


def walk_zip(stream: DumpStream) -> Iterator[ZipMember]:
    """Yields the files in order. Raises ImportStopped if the zip is damaged, encrypted, or followed by other data."""
    count = 0
    paths: set[str] = set()
    while (signature := _take(stream, 4)) == _MEMBER:
        count += 1
        member, flags, checksum, sizes = _parse_header(stream)
        if member.path in paths or count > MAX_MEMBERS:
            raise corrupt(
                f"{member.path} is in the zip twice" if member.path in paths else "the zip has too many files"
            )
        paths.add(member.path)
        if not member.path.endswith("/"):
            yield member
        while member.read(PIECE):
            pass
        if flags & _SIZES_FOLLOW:
            checksum, sizes = _read_descriptor(stream, member)
        if (checksum, *sizes) != (member.checksum, member.packed_bytes, member.bytes_read):
            raise corrupt(f"the size or checksum of {member.path} in the zip is wrong")
    _check_directory(stream, signature, count)


def _parse_header(stream: DumpStream) -> tuple[ZipMember, int, int, tuple[int, int]]:
    fields = _HEADER.unpack(_take(stream, _HEADER.size))
    _, flags, method, _, _, checksum, packed, size, name_length, extra_length = fields
    path = _take(stream, name_length).decode("utf-8", "replace").removeprefix("./")
    extra = _take(stream, extra_length)
    if flags & _ENCRYPTED:
        raise unsupported(f"{path} in the zip is encrypted: decrypt it and import the dump in it")
    if method not in (_STORED, _DEFLATED) or (method == _STORED and flags & _SIZES_FOLLOW and not packed):
        raise unsupported(f"{path} in the zip is stored in a way that cannot be read as a stream: unpack the zip")
    if path.startswith("/") or ".." in path.split("/") or not path or not path.isprintable():
        raise corrupt("the name of a file in the zip leads out of its folder")
    if _IN_ZIP64 in (packed, size):
        size, packed = _parse_zip64(extra, size, packed)
    member = ZipMember(
        name=path.rpartition("/")[2],
        path=path,
        size=size,
        _stream=stream,
        _packed=None if flags & _SIZES_FOLLOW else packed,
        _inflate=zlib.decompressobj(-zlib.MAX_WBITS) if method == _DEFLATED else None,
        ended=method == _STORED and packed == 0,
    )
    return member, flags, checksum, (packed, size)


def _parse_zip64(extra: bytes, size: int, packed: int) -> tuple[int, int]:
    while len(extra) >= 4:
        identifier, length = struct.unpack_from("<HH", extra)
        if identifier == _ZIP64_FIELD and length >= 16:
            return struct.unpack_from("<QQ", extra, 4)
        extra = extra[4 + length :]
    return size, packed


def _read_descriptor(stream: DumpStream, member: ZipMember) -> tuple[int, tuple[int, int]]:
    """Reads checksum and sizes that follow a member: with or without signature, in four or in eight bytes each."""
    start = 4 if stream.peek(4) == _DESCRIPTOR else 0
    head = stream.peek(start + 24)
    for layout in ("<III", "<IQQ"):
        length = start + struct.calcsize(layout)
        if len(head) >= length:
            checksum, packed, size = struct.unpack_from(layout, head, start)
            if (packed, size) == (member.packed_bytes, member.bytes_read):
                stream.read(length)
                return checksum, (packed, size)
    raise corrupt(f"the size of {member.path} in the zip is wrong")


def _check_directory(stream: DumpStream, signature: bytes, count: int) -> None:
    """Reads the directory at the end. Raises ImportStopped if it is truncated or lists another number of members."""
    listed = 0
    while signature == _DIRECTORY:
        listed += 1
        lengths = struct.unpack_from("<HHH", _take(stream, 42), 24)
        for length in lengths:  # of the name, the extra fields and the comment
            _take(stream, length)
        signature = _take(stream, 4)
    if signature == _END_64:
        (length,) = struct.unpack("<Q", _take(stream, 8))
        if length > PIECE:
            raise corrupt("the directory of the zip is damaged")
        _take(stream, length)
        signature = _take(stream, 4)
    if signature == _LOCATOR_64:
        _take(stream, 16)
        signature = _take(stream, 4)
    if signature != _END or listed != count:
        raise corrupt("the zip's directory is missing or lists other files")
    (comment_length,) = struct.unpack_from("<H", _take(stream, 18), 16)
    _take(stream, comment_length)
    if stream.peek(1):
        raise corrupt("bytes follow after the zip's end")


def _take(stream: DumpStream, count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        raise corrupt(f"the zip ends after {stream.bytes_read} bytes, before its directory")
    return content

"""Decoders of the compressions that a whole dump file may have: gzip, zstd, bzip2, xz and lz4."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import lz4.frame

from pgimport.worker.engines.file import zstd

XZ_MEMORY = 192 * 1024 * 1024  # bytes; `xz -9` needs 65 MiB to unpack


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


class _Frames:
    """Unpacks with an object that has the interface of `bz2.BZ2Decompressor`. Each frame needs a new object."""

    def __init__(self, create: Callable[[], Any], *, padded: bool = False) -> None:
        """`padded`: zeros may follow a frame."""
        self._create, self._padded = create, padded
        self._frame = create()
        self._started = False

    @property
    def _rest(self) -> bytes:
        rest = bytes(self._frame.unused_data or b"") if self._frame.eof else b""
        return rest.lstrip(b"\x00") if self._padded else rest

    def decode(self, data: bytes, limit: int) -> bytes:
        if self._frame.eof:
            data = self._rest + (data.lstrip(b"\x00") if self._padded and not self._rest else data)
            if not data:
                return b""
            self._frame = self._create()
        self._started = self._started or bool(data)
        try:
            return bytes(self._frame.decompress(data, limit))
        except (OSError, lzma.LZMAError, zstd.ZstdError, RuntimeError, EOFError) as error:
            raise ValueError(str(error)) from None

    @property
    def has_pending_output(self) -> bool:
        return bool(self._rest) if self._frame.eof else self._started and not self._frame.needs_input

    @property
    def at_frame_end(self) -> bool:
        return not self._started or (self._frame.eof and not self._rest)


@dataclass(frozen=True, slots=True)
class CompressionKind:
    """A compression of whole files."""

    name: str
    magic: bytes
    create: Callable[[], Decoder]


COMPRESSION_KINDS = (
    CompressionKind("gzip", b"\x1f\x8b\x08", _Gzip),
    CompressionKind("zstd", b"\x28\xb5\x2f\xfd", lambda: _Frames(zstd.ZstdDecompressor)),
    CompressionKind("bzip2", b"BZh", lambda: _Frames(bz2.BZ2Decompressor)),
    CompressionKind(
        "xz", b"\xfd7zXZ\x00", lambda: _Frames(lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), padded=True)
    ),
    CompressionKind("lz4", b"\x04\x22\x4d\x18", lambda: _Frames(lz4.frame.LZ4FrameDecompressor)),
)


def find_compression(head: bytes) -> CompressionKind | None:
    """Returns the compression of a file that begins with these bytes, or None. Pure."""
    return next((kind for kind in COMPRESSION_KINDS if head.startswith(kind.magic)), None)

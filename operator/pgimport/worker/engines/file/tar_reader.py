"""A tar as it passes by: its members come out one after the other, each whole, to the very end of the tar.

Stricter than tar programs are: every checksum, every size and both blocks of zeros at the end must be there. (A
restore from half a tar was seen to end without an error.) Links, devices and names that leave the folder are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.compression import DumpStream

BLOCK = 512
_ZEROS = bytes(BLOCK)
_REGULAR, _FOLDER = (b"0", b"\x00"), b"5"
_EXTENDED = (b"x", b"g")  # POSIX: times and owners, which nobody needs
MAX_EXTENDED = 1024 * 1024
MAX_MEMBERS = 1_000_000
PIECE = 256 * 1024


@dataclass
class TarMember:
    """A regular file; its content must be read before the next one comes."""

    name: str  # without the folder that holds them all
    path: str
    size: int
    _stream: DumpStream
    remaining: int = 0

    def read(self, count: int) -> bytes:
        """Up to so many bytes, none at its end. Raises Stopped."""
        found = self._stream.read(min(count, self.remaining))
        if not found and self.remaining and count:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, inside of {self.path}")
        self.remaining -= len(found)
        return found


def walk_members(stream: DumpStream) -> Iterator[TarMember]:
    """Regular files in their order; nothing must follow the tar's end. Raises Stopped."""
    seen: set[str] = set()
    while (header := _read_block(stream)) != _ZEROS:
        kind, path, size = _parse_header(header)
        if kind in _EXTENDED:
            _skip_extended(stream, size)
            continue
        if kind == _FOLDER:
            continue
        if kind not in _REGULAR:
            raise corrupt(f"{path} in the tar is no regular file")
        if path in seen or len(seen) >= MAX_MEMBERS:
            raise corrupt(f"{path} is in the tar twice" if path in seen else "the tar holds too many files")
        seen.add(path)
        member = TarMember(path.rpartition("/")[2], path, size, stream, size)
        yield member
        while member.remaining:
            member.read(PIECE)
        _skip_padding(stream, size)
    if _read_block(stream) != _ZEROS:
        raise corrupt("the tar's second closing block is not there")
    while rest := stream.read_some():
        if rest.strip(b"\x00"):
            raise corrupt("something follows after the tar's end")


def _read_block(stream: DumpStream) -> bytes:
    found = stream.read(BLOCK)
    if len(found) != BLOCK:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")
    return found


def _parse_header(header: bytes) -> tuple[bytes, str, int]:
    wanted = _number(header[148:156], "checksum")
    if sum(header[:148]) + 8 * 32 + sum(header[156:]) != wanted:
        raise corrupt("a header in the tar has a wrong checksum")
    name = _text(header[0:100])
    if header[257:263] == b"ustar\x00" and (prefix := _text(header[345:500])):
        name = f"{prefix}/{name}"
    path = name.removeprefix("./")
    if not path.strip("/") and header[156:157] == _FOLDER:
        path = "."
    if path.startswith("/") or ".." in path.split("/") or not path or not path.isprintable():
        raise corrupt("a name in the tar leads out of its folder")
    return header[156:157], path, _number(header[124:136], "size")


def _number(field: bytes, what: str) -> int:
    if field[0] & 0x80:  # GNU: binary, for sizes of 8 GB and more
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b" \x00")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise corrupt(f"a {what} in the tar is no number") from None


def _text(field: bytes) -> str:
    return field.partition(b"\x00")[0].decode("utf-8", "replace")


def _skip_padding(stream: DumpStream, size: int) -> None:
    padding = -size % BLOCK
    if padding and len(stream.read(padding)) != padding:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")


def _skip_extended(stream: DumpStream, size: int) -> None:
    if size > MAX_EXTENDED:
        raise corrupt("an extended header in the tar is too large")
    found = stream.read(size)
    if len(found) != size:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")
    if b" path=" in found or b" linkpath=" in found or b" size=" in found:
        raise corrupt("the tar renames its files by extended headers: make it with `tar --format=ustar`")
    _skip_padding(stream, size)

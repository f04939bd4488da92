"""Reads the members of a tar one after the other, without storing it.

It is stricter than tar programs: all checksums, sizes and both closing blocks of zeros must be correct, because
pg_restore may restore a truncated tar without an error. In a tar of pg_dump, links, devices, long names and names
outside the folder are refused. A backup of an application may contain them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.dump_stream import DumpStream

BLOCK = 512
_ZEROS = bytes(BLOCK)
_REGULAR, _FOLDER = (b"0", b"\x00"), b"5"
_EXTENDED = (b"x", b"g")  # POSIX headers: of the next member, of all that follow
_LONG_NAME, _LONG_LINK = b"L", b"K"  # GNU: the content is the next member's name
MAX_EXTENDED = 1024 * 1024  # bytes
MAX_MEMBERS = 1_000_000
PIECE = 256 * 1024  # bytes


@dataclass
class TarMember:
    """A regular file in the tar. Read its content before you ask for the next member."""

    name: str  # without folders
    path: str
    size: int
    _stream: DumpStream
    remaining: int = 0

    def read(self, count: int) -> bytes:
        """Returns at most `count` bytes, and b"" at the end. Raises ImportStopped."""
        content = self._stream.read(min(count, self.remaining))
        if not content and self.remaining and count:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, inside {self.path}")
        self.remaining -= len(content)
        return content


def walk_members(stream: DumpStream, *, of_backup: bool = False) -> Iterator[TarMember]:
    """Yields the regular files in order. Raises ImportStopped if the tar is damaged, or if data follows its end.

    `of_backup`: the tar is not pg_dump's own, so files that are not needed may be links or have long names.
    """
    paths: set[str] = set()
    long_path, long_size = None, None
    while (header := _read_block(stream)) != _ZEROS:
        kind, path, size = _parse_header(header, of_backup=of_backup)
        if kind in (*_EXTENDED, _LONG_NAME, _LONG_LINK) and (of_backup or kind in _EXTENDED):
            content = _read_extended(stream, size, of_backup=of_backup)
            if kind == _LONG_NAME:
                long_path = content.rstrip(b"\x00").decode("utf-8", "replace")
            elif kind == _EXTENDED[0]:
                long_path, long_size = _parse_extended(content)
            continue
        path, size = long_path or path, size if long_size is None else long_size
        long_path, long_size = None, None
        if kind == _FOLDER:
            continue
        if kind not in _REGULAR:
            if not of_backup:
                raise corrupt(f"{path} in the tar is not a regular file")
            continue
        if (path in paths and not of_backup) or len(paths) >= MAX_MEMBERS:
            raise corrupt(f"{path} is in the tar twice" if path in paths else "the tar holds too many files")
        paths.add(path)
        member = TarMember(path.rpartition("/")[2], path, size, stream, size)
        yield member
        while member.remaining:
            member.read(PIECE)
        _skip_padding(stream, size)
    if _read_block(stream) != _ZEROS:
        raise corrupt("the tar's second closing block is missing")
    while rest := stream.read_some():
        if rest.strip(b"\x00"):
            raise corrupt("bytes follow after the tar's end")


def _read_block(stream: DumpStream) -> bytes:
    block = stream.read(BLOCK)
    if len(block) != BLOCK:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")
    return block


def _parse_header(header: bytes, *, of_backup: bool) -> tuple[bytes, str, int]:
    checksum = _parse_number(header[148:156], "checksum")
    if sum(header[:148]) + 8 * 32 + sum(header[156:]) != checksum:
        raise corrupt("a header in the tar has a wrong checksum")
    name = _decode_text(header[0:100])
    if header[257:263] == b"ustar\x00" and (prefix := _decode_text(header[345:500])):
        name = f"{prefix}/{name}"
    path = name.removeprefix("./")
    if not path.strip("/") and header[156:157] == _FOLDER:
        path = "."
    is_inside = not path.startswith("/") and ".." not in path.split("/") and path and path.isprintable()
    if not is_inside and not of_backup:
        raise corrupt("the name of a file in the tar leads out of its folder")
    return header[156:157], path, _parse_number(header[124:136], "size")


def _parse_number(field: bytes, name: str) -> int:
    if field[0] & 0x80:  # GNU format: binary, for sizes of 8 GiB and more
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.strip(b" \x00")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise corrupt(f"a {name} in the tar is not a number") from None


def _decode_text(field: bytes) -> str:
    return field.partition(b"\x00")[0].decode("utf-8", "replace")


def _skip_padding(stream: DumpStream, size: int) -> None:
    padding = -size % BLOCK
    if padding and len(stream.read(padding)) != padding:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")


def _read_extended(stream: DumpStream, size: int, *, of_backup: bool) -> bytes:
    if size > MAX_EXTENDED:
        raise corrupt("an extended header in the tar is too large")
    content = stream.read(size)
    if len(content) != size:
        raise corrupt(f"the tar ends after {stream.bytes_read} bytes, before its closing blocks")
    if not of_backup and any(keyword in content for keyword in (b" path=", b" linkpath=", b" size=")):
        raise corrupt("the tar has names or sizes in extended headers: create it with `tar --format=ustar`")
    _skip_padding(stream, size)
    return content


def _parse_extended(content: bytes) -> tuple[str | None, int | None]:
    """Returns path and size of a POSIX header, whose lines are `length keyword=value`."""
    path, size = None, None
    while content:
        length, space, _ = content.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length) <= len(content):
            raise corrupt("an extended header in the tar is damaged")
        keyword, _, value = content[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        if keyword == b"path":
            path = value.decode("utf-8", "replace")
        elif keyword == b"size" and value.isdigit():
            size = int(value)
        content = content[int(length) :]
    return path, size

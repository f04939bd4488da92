"""An archive's own bytes, changed: what pg_dump would not write, and what this machine's pg_dump cannot."""

import io
import tarfile
import zlib
from collections.abc import Callable, Mapping

from pgimport.worker.archive.toc import ArchiveHeader, Compression, parse_table_of_contents
from pgimport.worker.engines.file.compression import DumpFormat, DumpStream, find_format
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.plain_sql_lexer import PlainSqlLexer
from pgimport.worker.engines.file.tar_reader import walk_members

# Offset of the byte that tells how rows are compressed, in archives of version 1.15 and newer: after the magic, three
# bytes of version, the sizes of an integer and of an offset, and the format.
COMPRESSION_AT = 11


def text(content: bytes) -> bytes:
    """As the archiver writes one: sign, length in four bytes, bytes."""
    return integer(len(content)) + content


def integer(value: int) -> bytes:
    return b"\x00" + value.to_bytes(4, "little")


def recompress(archive: bytes, compression: Compression, pack: Callable[[bytes], bytes]) -> bytes:
    """A custom archive in zlib → the same one in another compression, each block as one piece."""
    source = io.BytesIO(archive)
    header, entries = parse_table_of_contents(source.read)
    assert header.compression is Compression.GZIP
    list(entries)
    made = bytearray(archive[: source.tell()])
    made[COMPRESSION_AT] = compression
    while kind := source.read(1):
        made += kind + source.read(5)
        if kind == b"\x01":
            made += _repack(source, pack)
            continue
        while int.from_bytes((oid := source.read(5))[1:], "little"):
            made += oid + _repack(source, pack)
        made += integer(0)
    return bytes(made)


def _repack(source: io.BytesIO, pack: Callable[[bytes], bytes]) -> bytes:
    packed = b""
    while length := int.from_bytes(source.read(5)[1:], "little"):
        packed += source.read(length)
    content = pack(zlib.decompress(packed)) if packed else b""
    return (integer(len(content)) + content if content else b"") + integer(0)


def read_header(archive: bytes) -> tuple[ArchiveHeader, int]:
    """The header, and where the rows of a custom archive begin."""
    source = io.BytesIO(archive)
    header, entries = parse_table_of_contents(source.read)
    list(entries)
    return header, source.tell()


def pack_tar(files: Mapping[str, bytes]) -> bytes:
    """A directory dump in a tar, of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"dump/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def unpack_tar(content: bytes) -> dict[str, bytes]:
    """File name → bytes of a directory dump in a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = {one.name.rpartition("/")[2]: tar.extractfile(one) for one in tar.getmembers() if one.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


def read_whole_dump(content: bytes) -> None:
    """Reads a dump to its end, as an import does, but without a server. Raises ImportStopped if it is not whole."""
    stream = DumpStream(io.BytesIO(content))
    match find_format(stream):
        case DumpFormat.CUSTOM:
            header, entries = parse_table_of_contents(stream.read)
            forward_rows(stream, header, list(entries), lambda _: None)
        case DumpFormat.TAR:
            for member in walk_members(stream):
                if member.name == "toc.dat":
                    list(parse_table_of_contents(member.read)[1])
        case DumpFormat.PLAIN:
            for _ in PlainSqlLexer(stream).items():
                pass
    while stream.read_some():
        pass


def build_plain_dump(rows: str) -> bytes:
    """Returns a plain SQL dump with pg_dump's own first and last lines around `rows`."""
    return (
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 16.4\n"
        "-- Dumped by pg_dump version 16.4\n\n"
        f"SET statement_timeout = 0;\n\n{rows}\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    ).encode()

"""Builds and changes bytes of archives that pg_dump, or the installed pg_dump, does not write."""

import io
import tarfile
import zlib
from collections.abc import Callable, Mapping

from pgimport.worker.archive.toc import ArchiveHeader, Compression, parse_table_of_contents
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.dump_opening import open_dump, walk_archive
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.file_kinds import DumpFormat
from pgimport.worker.engines.file.plain_sql_lexer import PlainSqlLexer

# Offset of the compression of rows in archives of version 1.15 and newer: it follows the magic, three bytes of version,
# the sizes of an integer and of an offset, and the format.
COMPRESSION_OFFSET = 11


def encode_text(content: bytes) -> bytes:
    """Encodes a text of an archive: sign, length in four bytes, bytes."""
    return encode_integer(len(content)) + content


def encode_integer(value: int) -> bytes:
    """Encodes a number of an archive: sign, four bytes."""
    return b"\x00" + value.to_bytes(4, "little")


def recompress(archive: bytes, compression: Compression, pack: Callable[[bytes], bytes]) -> bytes:
    """Returns a custom archive of zlib in another compression. Each block becomes one piece."""
    source = io.BytesIO(archive)
    header, entries = parse_table_of_contents(source.read)
    assert header.compression is Compression.GZIP
    list(entries)
    archive_bytes = bytearray(archive[: source.tell()])
    archive_bytes[COMPRESSION_OFFSET] = compression
    while kind := source.read(1):
        archive_bytes += kind + source.read(5)
        if kind == b"\x01":
            archive_bytes += _repack(source, pack)
            continue
        while int.from_bytes((oid := source.read(5))[1:], "little"):
            archive_bytes += oid + _repack(source, pack)
        archive_bytes += encode_integer(0)
    return bytes(archive_bytes)


def _repack(source: io.BytesIO, pack: Callable[[bytes], bytes]) -> bytes:
    packed = b""
    while length := int.from_bytes(source.read(5)[1:], "little"):
        packed += source.read(length)
    content = pack(zlib.decompress(packed)) if packed else b""
    return (encode_integer(len(content)) + content if content else b"") + encode_integer(0)


def read_header(archive: bytes) -> tuple[ArchiveHeader, int]:
    """Returns the header of a custom archive, and the offset at which its data begins."""
    source = io.BytesIO(archive)
    header, entries = parse_table_of_contents(source.read)
    list(entries)
    return header, source.tell()


def pack_tar(files: Mapping[str, bytes]) -> bytes:
    """Packs the files of a directory archive into a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"dump/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def unpack_tar(content: bytes) -> dict[str, bytes]:
    """Returns file name → bytes of a directory archive in a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {
            member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar.getmembers() if member.isfile()
        }
        return {name: file.read() for name, file in files.items() if file is not None}


def read_whole_dump(content: bytes) -> None:
    """Reads a dump to its end, as an import does, but without a server. Raises ImportStopped if it is truncated."""
    opened = open_dump(io.BytesIO(content))
    stream = opened.stream
    match opened.format:
        case DumpFormat.CUSTOM:
            header, entries = parse_table_of_contents(stream.read)
            forward_rows(stream, header, list(entries), lambda _: None)
        case DumpFormat.TAR:
            for member in walk_archive(stream):
                if member.name == "toc.dat":
                    list(parse_table_of_contents(member.read)[1])
        case DumpFormat.PLAIN:
            for _ in PlainSqlLexer(stream).items():
                pass
    stream.read_to_the_end()


def build_plain_dump(statements: str) -> bytes:
    """Returns a plain SQL dump with pg_dump's own first and last lines around `statements`."""
    return (
        "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 16.4\n"
        "-- Dumped by pg_dump version 16.4\n\n"
        f"SET statement_timeout = 0;\n\n{statements}\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    ).encode()


def count_rows(archive: bytes) -> dict[str, int]:
    """Counts the rows of a custom archive by table, as an import does. Raises ImportStopped."""
    stream = DumpStream(io.BytesIO(archive))
    header, parsed_entries = parse_table_of_contents(stream.read)
    entries = list(parsed_entries)
    row_counts = forward_rows(stream, header, entries, lambda _: None)
    return {entry.tag: row_counts[entry.dump_id] for entry in entries if entry.dump_id in row_counts}

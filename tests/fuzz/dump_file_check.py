"""Reads any bytes as a dump file, and checks that they are accepted or refused, and that nothing else happens."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
import zlib

import lz4.frame

from pgimport.model.reasons import Reason
from pgimport.worker.archive.toc import TOC_FILE, parse_table_of_contents
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.dump_opening import open_dump, walk_archive
from pgimport.worker.engines.file.file_kinds import DumpFormat
from pgimport.worker.engines.file.plain_sql_lexer import PlainSqlLexer
from pgimport.worker.postgres.errors import ImportStopped

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 16 * 1024 * 1024  # bytes that a file may unpack to
REFUSALS = frozenset({Reason.DUMP_CORRUPT, Reason.DUMP_UNSUPPORTED, Reason.SOURCE_TOO_LARGE})
PLAIN = (
    b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 16.4\n\nSET statement_timeout = 0;\n"
    b"COPY public.t (a) FROM stdin;\n1\n\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n"
)


def _integer(value: int) -> bytes:
    return b"\x00" + value.to_bytes(4, "little")


def _text(text: str) -> bytes:
    return _integer(len(text)) + text.encode()


def build_archive(*, appended: bool = False) -> bytes:
    """Returns a custom archive of one table; with `appended`, with a second table of contents."""
    rows = zlib.compress(b"1\n2\n\\.\n\n\n")
    entry = _integer(1) + _integer(1) + _text("0") + _text("0") + _text("t") + _text("TABLE DATA") + _integer(3)
    entry += _text("") + _text("") + _text("COPY public.t (a) FROM stdin;\n") + _text("public") + _text("")
    entry += _text("") + _integer(0) + _text("owner") + _text("false") + b"\x01\x01\x00\x00\x00"
    head = b"PGDMP\x01\x10\x00\x04\x08\x01\x01" + b"".join(_integer(value) for value in (1, 2, 3, 4, 5, 120, 0))
    head += _text("shop") + _text("16.4") + _text("16.4")
    block = b"\x01" + _integer(1) + _integer(len(rows)) + rows + _integer(0)
    tail = _integer(1) + entry + b"\x02" + bytes(8) if appended else b""
    return head + _integer(1) + entry + b"\x01" + bytes(8) + block + tail


def _pack_tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _pack_zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("notes.txt", b"x")
        packed.writestr(name, content)
    return buffer.getvalue()


SEEDS: dict[str, bytes] = {
    "custom": build_archive(),
    "custom, redirected": build_archive(appended=True),
    "plain": PLAIN,
    "tar": _pack_tar(f"dump/{TOC_FILE}", build_archive()),
    "tar of a backup": _pack_tar("ä" * 120 + "/dump.sql", PLAIN),
    "zip": _pack_zip("dump.sql", PLAIN),
    "gzip": gzip.compress(PLAIN),
    "zstd": zstd.compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "lz4": lz4.frame.compress(PLAIN),
    "zip in gzip": gzip.compress(_pack_zip("x.dump", build_archive())),
}


def check_dump(content: bytes) -> bool:
    """Returns whether the file is accepted. Raises AssertionError for an unknown refusal."""
    failure = None
    try:
        _read_whole_file(content)
    except ImportStopped as stopped:
        failure = stopped.failure
    assert failure is None or failure.reason in REFUSALS, failure
    if failure is not None:
        failure.message.encode()  # a message with half of a surrogate pair fits into no JSON
    return failure is None


def _read_whole_file(content: bytes) -> None:
    opened = open_dump(io.BytesIO(content), LIMIT)
    match opened.format:
        case DumpFormat.CUSTOM:
            header, entries = parse_table_of_contents(opened.stream.read)
            forward_rows(opened.stream, header, list(entries), lambda _: None)
        case DumpFormat.TAR:
            for member in walk_archive(opened.stream):
                if member.name == TOC_FILE:
                    list(parse_table_of_contents(member.read)[1])
        case DumpFormat.PLAIN:
            for _ in PlainSqlLexer(opened.stream).items():
                pass
    opened.stream.read_to_the_end()

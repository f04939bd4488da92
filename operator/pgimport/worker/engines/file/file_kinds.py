"""Recognises dumps by their first bytes, and says for other files what they are and what to do instead. Pure."""

import re
from enum import StrEnum

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import MAGIC, corrupt
from pgimport.worker.engines.file.dump_stream import CRLF_DAMAGE, has_only_crlf
from pgimport.worker.postgres.errors import ImportStopped

HEAD = 64 * 1024  # bytes at the beginning of a file that tell what it is
TEXT_HEAD = 4096  # bytes in which the header of plain SQL must be
ZIP_MAGIC = b"PK\x03\x04"
_TAR_MAGIC_AT = 257
_ARCHIVE_FORMAT_AT = 10  # in a custom archive: magic, version (3 bytes), sizes of an integer and of an offset
_CUSTOM = 1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_REPLACEMENT = b"\xef\xbf\xbd"  # U+FFFD in UTF-8: takes the place of bytes that are not text


class DumpFormat(StrEnum):
    """Format of a dump. A TAR is pg_dump's tar format, or a directory archive that was packed with tar or zip."""

    CUSTOM = "custom"
    TAR = "tar"
    PLAIN = "plain"


_USE_FILE_OPTION = "write the dump with `pg_dump --file`, because your shell changes text that is redirected"
_RESTORE_FIRST = (
    "restore it into a server of its kind, copy that database into PostgreSQL, for example with pgloader, and import"
    " the copy"
)
_LOAD_FIRST = "load it into PostgreSQL, for example with pgloader, and import that database"
_DECRYPT = "an encrypted file: decrypt it and import the result"
_UTF16 = f"text in UTF-16: {_USE_FILE_OPTION}"
# First bytes of a file → what the file is.
_OTHER_FILES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image, not a dump"),
    (b"\xff\xd8\xff", "a JPEG image, not a dump"),
    (b"GIF8", "a GIF image, not a dump"),
    (b"%PDF", "a PDF document, not a dump"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it, and import the dump in it"),
    (b"Rar!", "a RAR archive: unpack it, and import the dump in it"),
    (b"PK\x05\x06", "an empty zip archive: pack the dump again"),
    (b"PK\x07\x08", "a part of a zip archive: import it as one file"),
    (b"\x1f\x9d", "compressed with compress (.Z): use gzip or zstd"),
    (b"\x5d\x00\x00", "compressed with LZMA: use xz, gzip or zstd"),
    (b"\x02\x21\x4c\x18", "compressed with an old version of lz4: use gzip or zstd"),
    (b"\x89LZO", "compressed with lzop: use gzip or zstd"),
    (b"age-encryption.org/", _DECRYPT),
    (b"-----BEGIN AGE ENCRYPTED FILE", _DECRYPT),
    (b"-----BEGIN PGP MESSAGE", _DECRYPT),
    (b"Salted__", _DECRYPT),
    (b"\x8c\x0d\x04", _DECRYPT),  # OpenPGP with a passphrase
    (b"\x85\x01\x0c\x03", _DECRYPT),  # OpenPGP for a key of 2048 bits
    (b"\x85\x01\x8c\x03", _DECRYPT),  # of 3072
    (b"\x85\x02\x0c\x03", _DECRYPT),  # of 4096
    (b"\x84\x5e\x03", _DECRYPT),  # of curve 25519
    (b"\xc1\xc0\x4c\x03", _DECRYPT),
    (b"SQLite format 3", f"an SQLite database, not a dump of PostgreSQL: {_LOAD_FIRST}"),
    (b"\x03\x00EXPORT:V", "an export of Oracle, not a dump of PostgreSQL"),
    (b"TAPE\x00\x00", "a backup of SQL Server, not a dump of PostgreSQL"),
    (b"REDIS", "a dump of Redis, not of PostgreSQL"),
    (b"\x6d\xe2\x99\x81", "an archive of MongoDB, not a dump of PostgreSQL"),
    (b"PAR1", "a Parquet file, not a dump: load it with COPY into a table of your own"),
    (b"PGCOPY\n\xff\r\n\x00", "the rows of one COPY in binary format, not a dump: write the dump with pg_dump"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the dump itself: fetch the file with `git lfs pull`"),
    (b"\x7fELF", "a program, not a dump"),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
)
# Text near the beginning of a dump → which dump it is.
_OTHER_DUMPS: tuple[tuple[bytes, str], ...] = (
    (b"-- MySQL dump", f"of MySQL, not of PostgreSQL: {_RESTORE_FIRST}"),
    (b"-- MariaDB dump", f"of MariaDB, not of PostgreSQL: {_RESTORE_FIRST}"),
    (b"-- phpMyAdmin SQL Dump", f"of MySQL, not of PostgreSQL: {_RESTORE_FIRST}"),
    (b"/*!40", f"of MySQL or MariaDB, not of PostgreSQL: {_RESTORE_FIRST}"),
    (b"/*M!", f"of MariaDB, not of PostgreSQL: {_RESTORE_FIRST}"),
    (b"PRAGMA foreign_keys", f"of SQLite, not of PostgreSQL: {_LOAD_FIRST}"),
)
_PLAIN = b"-- PostgreSQL database dump\n"
_CLUSTER = b"-- PostgreSQL database cluster dump\n"  # by pg_dumpall: imported if one of its databases has objects
_HEADERS = (*(header for header, _ in _OTHER_DUMPS), _PLAIN, _CLUSTER)
# First statements of pg_dump and pg_dumpall. Tools such as the Supabase CLI remove all comments, the header included.
_FIRST_STATEMENTS = re.compile(
    rb"(?:SET session_replication_role = '?replica'?;\s*)?"
    rb"SET (?:statement_timeout = 0|default_transaction_read_only = off);"
)
# Lines that programs write to a terminal, at the beginning of a file into which standard error went too.
_MESSAGE = re.compile(
    rb"(pg_dump|pg_dumpall|psql|mesg|stty|tput|bash|sh|ssh|kubectl|docker|heroku|sudo|WARNING|Warning|warning|error|Error)"
    rb"(:|\[)|Password|Defaulted container|Unable to use a TTY|Pseudo-terminal|Defaulting|Connecting|Dumping|time="
)


def find_format(head: bytes) -> DumpFormat:
    """Returns the format of a file that begins with `head`, which is neither compressed nor a zip.

    Raises ImportStopped with what the file is, if it is not a dump of one database.
    """
    if not head:
        raise corrupt("it is empty: read the messages of pg_dump or of the upload, which wrote nothing")
    if head.startswith(MAGIC):
        _check_archive(head)
        return DumpFormat.CUSTOM
    if is_tar(head):
        return DumpFormat.TAR
    for magic, description in _OTHER_FILES:
        if head.startswith(magic):
            raise unsupported(f"the file is {description}")
    return _find_text_format(head[:TEXT_HEAD])


def is_tar(head: bytes) -> bool:
    """True if the first block is a header of tar. Pure."""
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def unsupported(message: str) -> ImportStopped:
    """Returns the error for a file that is not a dump, or for a dump that cannot be imported."""
    return ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))


def _check_archive(head: bytes) -> None:
    """Raises ImportStopped if a shell or a terminal changed the archive, or if its rows are in other files."""
    # Each archive begins with statements that end with a line feed.
    if has_only_crlf(head, minimum=2):
        raise corrupt(CRLF_DAMAGE)
    if head.count(_REPLACEMENT) > 2 and b"\r\n" in head:
        raise corrupt(f"its bytes were read as text and replaced: {_USE_FILE_OPTION}")
    if len(head) > _ARCHIVE_FORMAT_AT and head[_ARCHIVE_FORMAT_AT] in (3, 5):
        raise unsupported(
            "the file is the table of contents (toc.dat) of a dump in several files: pack the whole folder with tar"
        )


def _find_text_format(head: bytes) -> DumpFormat:
    # A name or comment in a dump may contain the header of another program, but only after the dump's own header.
    first_header = min((header for header in _HEADERS if header in head), key=head.index, default=None)
    for header, description in _OTHER_DUMPS:
        if header == first_header:
            raise unsupported(f"the file is a dump {description}")
    start = head.index(MAGIC + b"\x01") if MAGIC + b"\x01" in head else -1
    if start > 0 or (first_header == _PLAIN and _MESSAGE.match(head)):
        line = head[: start if start > 0 else None].strip().split(b"\n")[0].strip()
        raise unsupported(
            f"the file begins with a message of a program ({quote_text(line)}) before the dump: send only the dump's"
            " standard output to the file, without 2>&1 and without a terminal (-t), or use `pg_dump --file`"
        )
    if first_header in (_PLAIN, _CLUSTER) or _FIRST_STATEMENTS.match(head.removeprefix(_BYTE_ORDER_MARK).lstrip()):
        return DumpFormat.PLAIN
    if _PLAIN.replace(b"\n", b"\r\n") in head:
        raise unsupported(
            "the lines of the file end with CR LF, which would change its values: dump without a terminal"
            " (`docker exec` without -t), or with `pg_dump --file`"
        )
    raise unsupported(_describe_other_file(head))


def quote_text(content: bytes, length: int = 80) -> str:
    """Returns the printable beginning of a text in quotes, for a message. Pure."""
    text = content[:length].decode("utf-8", "replace")
    return repr("".join(letter if letter.isprintable() else " " for letter in text).strip())


def _describe_other_file(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "the file is a web page, not a dump: check that the link leads to the dump itself and has not expired"
    if text.startswith((b"{", b"[{", b"<?xml", b"<error")):
        return (
            "the file is JSON or XML, not a dump. Open it and read it: most likely it holds an error message of the"
            " server that stores the dump"
        )
    if b"\x00" in head:
        return "the file is not a dump: use pg_dump's custom, tar or plain format, or put its directory into a tar"
    if _is_table_of_values(head):
        return (
            "the file holds rows of one table, as COPY or a spreadsheet writes them. If they are of a PostgreSQL"
            " database, dump that database with pg_dump. Otherwise create a table with these columns in a database,"
            " load the rows into it with \\copy of psql, and dump that database"
        )
    if _MESSAGE.match(head):
        line = head.strip().split(b"\n")[0].strip()
        return f"the file holds a message instead of a dump ({quote_text(line)}): correct its cause and dump again"
    return (
        "the file is text without pg_dump's header. If it is a dump, write it again with pg_dump: its header and its"
        " end show that a file is complete"
    )


def _is_table_of_values(head: bytes) -> bool:
    """True if at least three lines have the same number of separators, and none is SQL."""
    lines = head.split(b"\n")[:-1][:20]
    if len(lines) < 3 or b";" in lines[0].rstrip()[-1:] or any(line.startswith(b"--") for line in lines):
        return False
    return any(
        lines[0].count(separator) > 0 and len({line.count(separator) for line in lines}) == 1
        for separator in (b",", b"\t", b";", b"|")
    )

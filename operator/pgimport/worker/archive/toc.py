"""Parses the header and the table of contents of an archive of pg_dump. Pure.

The layout is the one of `pg_backup_archiver.c` (`ReadHead`, `ReadToc`): custom archives begin with it, tar and
directory archives contain it as `toc.dat`. The worker does not parse the output of `pg_restore --list`, because a
crafted name could look like another entry there.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.postgres.errors import ImportStopped

MAGIC = b"PGDMP"
OLDEST, NEWEST = (1, 12), (1, 16)  # pg_dump 9.0 and up; 17 and 18 write 1.16
NEWEST_CLIENT = 18  # major of the newest pg_dump that writes the newest version
ENCODING = "ENCODING"
MAX_TEXT = 64 * 1024 * 1024  # bytes of one definition; PostgreSQL's own limit is 1 GB
# Limits of a whole table of contents. A database of 100,000 tables with keys, sequences and comments has about
# 900,000 entries, with two dependencies and 500 bytes of texts each.
MAX_ENTRIES = 2_000_000
MAX_DEPENDENCIES = 20_000_000
MAX_TEXTS = 1024 * 1024 * 1024  # bytes
_MAX_HEAD = 2048  # bytes of a definition in which the name of its table is searched; a name has up to 63

# pg_restore opens a file of any name beside the table of contents, so names must stay in its folder.
_MAX_DIGITS = 10  # of an OID or a dump id
_PLAIN_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]*")

_NAME = r'(?:(?:"(?:[^"]|"")*"|[^\s".]+)\.)?("(?:[^"]|"")*"|[^\s".;(]+)'
_ALTER_TABLE = re.compile(rf"ALTER TABLE (?:ONLY )?{_NAME}\s")
# Kind of an object that belongs to a table → where its definition names the table.
_TABLE_OF_KIND = {
    "CHECK CONSTRAINT": _ALTER_TABLE,
    "CONSTRAINT": _ALTER_TABLE,
    "DEFAULT": _ALTER_TABLE,
    "FK CONSTRAINT": _ALTER_TABLE,
    "POLICY": re.compile(rf"CREATE POLICY .*? ON {_NAME}\s", re.DOTALL),
    "RULE": re.compile(rf"CREATE (?:OR REPLACE )?RULE .*?\s+ON \w+ TO {_NAME}\s", re.DOTALL),
    "TRIGGER": re.compile(rf"CREATE (?:CONSTRAINT )?TRIGGER .*? ON {_NAME}\s", re.DOTALL),
}

Read = Callable[[int], bytes]  # returns that many bytes, or fewer at the end of the file
TOC_FILE = "toc.dat"  # the table of contents of a directory or tar archive


class Compression(IntEnum):
    """How rows are compressed. The numbers are those of the header."""

    NONE = 0
    GZIP = 1
    LZ4 = 2
    ZSTD = 3


class Section(IntEnum):
    """The part of a restore that creates an entry. The numbers are those of the file."""

    NONE = 1
    PRE_DATA = 2
    DATA = 3
    POST_DATA = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHeader:
    """The header of an archive."""

    version: tuple[int, int]
    integer_bytes: int
    offset_bytes: int
    custom: bool  # rows follow in the same file
    compression: Compression
    dbname: str
    server_version: str  # as the source printed it: `17.5 (Debian 17.5-1)`
    client_version: str
    entries: int

    @property
    def server_major(self) -> int | None:
        """Returns 17 for `17.5 (Debian …)` and 18 for `18beta1`; None if the text does not begin with a number."""
        digits = ""
        for letter in self.server_version:
            if not letter.isdigit():
                break
            digits += letter
        return int(digits) if digits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TocEntry:
    """An object, or something that belongs to an object: its rows, a comment, a sequence's value."""

    dump_id: int
    catalog: int  # oid of the catalog that the object is in; 0 for rows, comments and the like
    oid: int
    kind: str  # `TABLE`, `TABLE DATA`, `FK CONSTRAINT` …
    schema: str  # empty where the kind has none
    tag: str  # for most kinds the name; `orders orders_pkey` for what belongs to a table
    owner: str
    section: Section
    definition: str
    copy_statement: str  # empty where rows are INSERTs
    has_rows: bool
    dependencies: tuple[int, ...]  # dump ids
    file: str  # of its rows, in a tar or directory archive
    access_method: str = ""  # of a table or materialized view; empty in archives before version 1.14

    @property
    def title(self) -> str:
        """Kind and name for messages: `TABLE public.orders`, `TRIGGER public.orders audit`, `EVENT TRIGGER watch`.

        Bytes that are not text in the dump's encoding become U+FFFD, because no JSON can contain them.
        """
        title = f"{self.kind} {self.schema}.{self.tag}" if self.schema else f"{self.kind} {self.tag}"
        return title.encode(UTF8, "surrogateescape").decode(UTF8, "replace")


def parse_table_of_contents(read: Read) -> tuple[ArchiveHeader, Iterator[TocEntry]]:
    """Returns the header and an iterator over the entries. Both raise ImportStopped if the archive is damaged."""
    reader = _TocReader(read)
    header = _parse_header(reader)
    return header, _parse_entries(reader, header)


class _TocReader:
    """Reads numbers and texts as the archiver writes them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.integer_bytes = 4
        self.codec = UTF8
        self._texts = 0  # bytes of all texts
        self.dependencies = 0  # of all entries

    def take(self, count: int) -> bytes:
        content = self._read(count)
        if len(content) != count:
            raise corrupt("it ends inside its table of contents")
        return content

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        content = self.take(1 + self.integer_bytes)
        value = int.from_bytes(content[1:], "little")
        return -value if content[0] else value

    def text(self) -> str | None:
        length = self.integer()
        if length < 0:
            return None
        if length > MAX_TEXT:
            raise corrupt(f"its table of contents holds a text of {length} bytes")
        self._texts += length
        if self._texts > MAX_TEXTS:
            raise _too_large(f"more than {MAX_TEXTS} bytes of texts")
        return self.take(length).decode(self.codec, "surrogateescape")


def find_owner_entries(entries: Iterable[TocEntry]) -> dict[int, TocEntry]:
    """Maps each dump id to the entry that owns it: the entry itself, or for a comment or ACL the entry it describes."""
    owners: dict[int, TocEntry] = {}
    for entry in entries:
        described = next((owners[dump_id] for dump_id in entry.dependencies if dump_id in owners), None)
        owners[entry.dump_id] = described if entry.section is Section.NONE and described else entry
    return owners


def format_text(text: str, header: ArchiveHeader, codec: str) -> bytes:
    """Returns a text as the archiver writes it: sign, length, bytes."""
    raw = text.encode(codec, "surrogateescape")
    return b"\0" + len(raw).to_bytes(header.integer_bytes, "little") + raw


def corrupt(what: str) -> ImportStopped:
    """Returns the error for a dump that is truncated or otherwise damaged."""
    return ImportStopped(Failure(Reason.DUMP_CORRUPT, f"the dump file is damaged: {what}"))


def _too_large(what: str) -> ImportStopped:
    return ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, f"the dump's table of contents has {what}"))


def _parse_header(reader: _TocReader) -> ArchiveHeader:
    if reader.take(len(MAGIC)) != MAGIC:
        raise corrupt("it does not begin as an archive of pg_dump does")
    version = (reader.byte(), reader.byte())
    if version < OLDEST:
        message = (
            f"the dump is an archive of version {format_version(version)}, which is older than pg_dump 9.0: restore it"
            " into a server of its time, and dump that with a current pg_dump"
        )
        raise ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))
    if version > NEWEST:
        raise ImportStopped(_describe_newer_archive(reader, version))
    reader.take(1)  # revision
    reader.integer_bytes, offset_bytes, archive_format = reader.byte(), reader.byte(), reader.byte()
    if not (1 <= reader.integer_bytes <= 8 and 1 <= offset_bytes <= 8):
        raise corrupt("its header has impossible sizes of numbers")
    if version >= (1, 15):
        compression = reader.byte()
    else:
        compression = Compression.GZIP if reader.integer() != 0 else Compression.NONE
    if compression not in set(Compression):
        raise ImportStopped(
            Failure(Reason.DUMP_UNSUPPORTED, f"the dump's rows are compressed in an unknown way ({compression})")
        )
    for _ in range(7):  # time of creation (seconds, minutes, …) in an unknown time zone
        reader.integer()
    dbname, server_version, client_version = (reader.text() or "" for _ in range(3))
    entries = reader.integer()
    if entries < 0:
        raise corrupt("its table of contents has an impossible length")
    if entries > MAX_ENTRIES:
        raise _too_large(f"{entries} entries, and at most {MAX_ENTRIES} can be imported")
    return ArchiveHeader(
        version=version,
        integer_bytes=reader.integer_bytes,
        offset_bytes=offset_bytes,
        custom=archive_format == 1,
        compression=Compression(compression),
        dbname=dbname,
        server_version=server_version,
        client_version=client_version,
        entries=entries,
    )


def format_version(version: tuple[int, ...]) -> str:
    """Returns `1.16`."""
    return f"{version[0]}.{version[1]}"


def _describe_newer_archive(reader: _TocReader, version: tuple[int, int]) -> Failure:
    """Names pg_dump and server of the archive, if its header still has the layout of the newest known version."""
    client, server = "", None
    with suppress(ImportStopped):
        reader.take(1)
        reader.integer_bytes = min(reader.byte(), 8)
        reader.take(3)
        for _ in range(7):
            reader.integer()
        texts = [reader.text() or "" for _ in range(3)]
        client = texts[2].split(" ")[0] if texts[2][:1].isdigit() else ""
        server = re.match(r"\d+", texts[1])
    major = re.match(r"\d+", client)
    if major is not None and int(major[0]) <= NEWEST_CLIENT:
        return Failure(
            Reason.DUMP_CORRUPT,
            f"the dump file says that pg_dump {client} wrote it as an archive of version {format_version(version)}."
            " That program does not write this version, so the file is damaged, or another program changed it",
        )
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        f"pg_dump{f' {client}' if client else ''} wrote the dump as an archive of version {format_version(version)},"
        f" but this worker reads up to version {format_version(NEWEST)}, which pg_dump {NEWEST_CLIENT} writes."
        f" {_advise_newer_archive(int(server[0]) if server is not None else None)}",
    )


def _advise_newer_archive(server_major: int | None) -> str:
    again = f"dump it again with pg_dump {NEWEST_CLIENT}"
    if server_major is None:
        return f"If the dumped server has PostgreSQL {NEWEST_CLIENT} or older, {again}"
    if server_major <= NEWEST_CLIENT:
        return f"The dumped server has PostgreSQL {server_major}: {again}"
    return (
        f"The dumped server has PostgreSQL {server_major}, which an older pg_dump refuses too: ask the admin of"
        f" pgimport for a release that imports from PostgreSQL {server_major}"
    )


def check_appended_contents(read: Read, header: ArchiveHeader, entries: Iterable[TocEntry]) -> None:
    """Reads a second table of contents, and raises ImportStopped if it does not list the same entries.

    pg_dump writes it after the rows of a custom archive, to add the offsets of the rows to the first one: it seeks back
    and writes again (`_CloseArchive` in `pg_backup_custom.c`). Since version 16, pg_dump opens standard output for
    appending. If standard output is a file, the second table of contents then lands at its end.
    """
    reader = _TocReader(read)
    reader.integer_bytes = header.integer_bytes
    if reader.integer() != header.entries:
        raise corrupt("bytes follow after its rows that are not its table of contents")
    for expected, entry in zip(entries, _parse_entries(reader, header), strict=True):
        if entry != expected:
            raise corrupt(f"the table of contents after its rows differs from the first at {expected.title}")


def _parse_entries(reader: _TocReader, header: ArchiveHeader) -> Iterator[TocEntry]:
    for _ in range(header.entries):
        entry = _parse_entry(reader, header)
        if entry.kind == ENCODING:  # one of the first, before any name that is not ASCII
            reader.codec = find_client_encoding_codec(entry.definition)
        yield entry


def _parse_entry(reader: _TocReader, header: ArchiveHeader) -> TocEntry:
    dump_id, has_rows = reader.integer(), reader.integer() != 0
    catalog, oid = _parse_oid(reader.text()), _parse_oid(reader.text())
    tag, kind, section = reader.text() or "", reader.text() or "", reader.integer()
    definition, _drop, copy_statement, schema = (reader.text() or "" for _ in range(4))
    reader.text()  # tablespace
    access_method = (reader.text() or "") if header.version >= (1, 14) else ""
    if header.version >= (1, 16):
        reader.integer()  # relkind
    owner = reader.text() or ""
    reader.text()  # whether rows have OIDs: never since 12
    dependencies = []
    while (dependency := reader.text()) is not None:
        dependencies.append(_parse_oid(dependency))
        reader.dependencies += 1
        if reader.dependencies > MAX_DEPENDENCIES:
            raise _too_large(f"more than {MAX_DEPENDENCIES} dependencies")
    file = ""
    if header.custom:
        reader.take(1 + header.offset_bytes)  # offset of its rows in the file, which may be unset
    else:
        file = reader.text() or ""
        if not _PLAIN_NAME.fullmatch(file):
            raise corrupt(f"the file of its entry {dump_id} has a name that is not inside its folder")
    if section not in set(Section):
        raise corrupt(f"its entry {dump_id} has an unknown section")
    if header.version <= OLDEST:
        tag = _add_table_name(kind, tag, definition)
    return TocEntry(
        dump_id=dump_id,
        catalog=catalog,
        oid=oid,
        kind=kind,
        schema=schema,
        tag=tag,
        owner=owner,
        section=Section(section),
        definition=definition,
        copy_statement=copy_statement,
        has_rows=has_rows,
        dependencies=tuple(dependencies),
        file=file,
        access_method=access_method,
    )


def _add_table_name(kind: str, tag: str, definition: str) -> str:
    """Returns `orders orders_pkey` for `orders_pkey`: the tags of pg_dump 9.0 to 9.5 do not contain the table."""
    match = _TABLE_OF_KIND[kind].match(definition[:_MAX_HEAD]) if kind in _TABLE_OF_KIND else None
    table = match[1].replace('""', '"').removeprefix('"').removesuffix('"') if match else ""
    return f"{table} {tag}" if table and not tag.startswith(f"{table} ") else tag


def _parse_oid(text: str | None) -> int:
    if text is None or not (len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit()):
        raise corrupt("its table of contents has a text where a number must be")
    return int(text)

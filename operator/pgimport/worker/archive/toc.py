"""An archive's table of contents: the bytes of pg_dump's header come in; header and entries go out. Pure.

The layout is the one of `pg_backup_archiver.c` (`ReadHead`, `ReadToc`): custom archives begin with it, tar and
directory archives hold it as `toc.dat`. Reading it ourselves keeps schema, name, definition and dependencies of each
entry apart, which the text of `pg_restore --list` does not: there, a name may be made to look like anything.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.postgres.errors import ImportStopped

MAGIC = b"PGDMP"
OLDEST, NEWEST = (1, 12), (1, 16)  # pg_dump 9.0 and up; 17 and 18 write 1.16
ENCODING = "ENCODING"
MAX_TEXT = 64 * 1024 * 1024  # bytes of one definition: PostgreSQL itself stops at 1 GB, nobody has come near this

# pg_restore opens it, whatever it is called, beside the table of contents.
_PLAIN_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]*")

Read = Callable[[int], bytes]  # exactly that many bytes, or fewer at the end of the file


TOC_FILE = "toc.dat"  # the table of contents of a directory or tar archive


class Compression(IntEnum):
    """Of an archive's rows; the numbers are those of the header."""

    NONE = 0
    GZIP = 1
    LZ4 = 2
    ZSTD = 3


class Section(IntEnum):
    """Which part of a restore makes an entry; the numbers are those of the file."""

    NONE = 1
    PRE_DATA = 2
    DATA = 3
    POST_DATA = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHeader:
    """What an archive tells of itself."""

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
        """17 of `17.5 (Debian …)`, also of `18beta1`; None where it is no version."""
        digits = ""
        for letter in self.server_version:
            if not letter.isdigit():
                break
            digits += letter
        return int(digits) if digits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TocEntry:
    """One object, or what belongs to one: rows, a comment, a sequence's position."""

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

    @property
    def title(self) -> str:
        """For a person: `TABLE public.orders`, `TRIGGER public.orders audit`, `EVENT TRIGGER watch`."""
        return f"{self.kind} {self.schema}.{self.tag}" if self.schema else f"{self.kind} {self.tag}"


def parse_table_of_contents(read: Read) -> tuple[ArchiveHeader, Iterator[TocEntry]]:
    """Header now, entries as they are asked for; both come from `read`. Raises Stopped."""
    source = _Bytes(read)
    header = _parse_header(source)
    return header, _parse_entries(source, header)


class _Bytes:
    """Numbers and texts as the archiver writes them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.integer_bytes = 4
        self.codec = UTF8

    def take(self, count: int) -> bytes:
        found = self._read(count)
        if len(found) != count:
            raise corrupt("it ends inside its table of contents")
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        found = self.take(1 + self.integer_bytes)
        value = int.from_bytes(found[1:], "little")
        return -value if found[0] else value

    def text(self) -> str | None:
        length = self.integer()
        if length < 0:
            return None
        if length > MAX_TEXT:
            raise corrupt(f"its table of contents holds a text of {length} bytes")
        return self.take(length).decode(self.codec, "surrogateescape")


def find_owner_entries(entries: Iterable[TocEntry]) -> dict[int, TocEntry]:
    """Dump id → the entry itself, or of a comment, which has no section of its own, what it is about."""
    homes: dict[int, TocEntry] = {}
    for entry in entries:
        about = next((homes[one] for one in entry.dependencies if one in homes), None)
        homes[entry.dump_id] = about if entry.section is Section.NONE and about else entry
    return homes


def format_text(text: str, header: ArchiveHeader, codec: str) -> bytes:
    """As the archiver writes it: a sign, the length, the bytes."""
    raw = text.encode(codec, "surrogateescape")
    return b"\0" + len(raw).to_bytes(header.integer_bytes, "little") + raw


def corrupt(what: str) -> ImportStopped:
    """For a file that is no whole dump."""
    return ImportStopped(Failure(Reason.DUMP_CORRUPT, f"the dump file is damaged: {what}"))


def _parse_header(source: _Bytes) -> ArchiveHeader:
    if source.take(len(MAGIC)) != MAGIC:
        raise corrupt("it does not begin as an archive of pg_dump does")
    version = (source.byte(), source.byte())
    if not OLDEST <= version <= NEWEST:
        raise ImportStopped(
            Failure(
                Reason.DUMP_UNSUPPORTED,
                f"the dump is an archive of version {version[0]}.{version[1]};"
                f" {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} can be restored",
            )
        )
    source.take(1)  # revision
    source.integer_bytes, offset_bytes, archive_format = source.byte(), source.byte(), source.byte()
    if not (1 <= source.integer_bytes <= 8 and 1 <= offset_bytes <= 8):
        raise corrupt("its header tells impossible sizes of numbers")
    if version >= (1, 15):
        compression = source.byte()
    else:
        compression = Compression.GZIP if source.integer() != 0 else Compression.NONE
    if compression not in set(Compression):
        raise ImportStopped(
            Failure(Reason.DUMP_UNSUPPORTED, f"the dump's rows are compressed in an unknown way ({compression})")
        )
    for _ in range(7):  # seconds, minutes, … of its making, in a time zone that it does not tell
        source.integer()
    dbname, server_version, client_version = (source.text() or "" for _ in range(3))
    entries = source.integer()
    if entries < 0:
        raise corrupt("its table of contents tells an impossible length")
    return ArchiveHeader(
        version=version,
        integer_bytes=source.integer_bytes,
        offset_bytes=offset_bytes,
        custom=archive_format == 1,
        compression=Compression(compression),
        dbname=dbname,
        server_version=server_version,
        client_version=client_version,
        entries=entries,
    )


def _parse_entries(source: _Bytes, header: ArchiveHeader) -> Iterator[TocEntry]:
    for _ in range(header.entries):
        entry = _parse_entry(source, header)
        if entry.kind == ENCODING:  # among the first ones, before anything that may be named otherwise than in ASCII
            source.codec = find_client_encoding_codec(entry.definition)
        yield entry


def _parse_entry(source: _Bytes, header: ArchiveHeader) -> TocEntry:
    dump_id, has_rows = source.integer(), source.integer() != 0
    catalog, oid = _oid(source.text()), _oid(source.text())
    tag, kind, section = source.text() or "", source.text() or "", source.integer()
    definition, _drop, copy_statement, schema = (source.text() or "" for _ in range(4))
    source.text()  # tablespace
    if header.version >= (1, 14):
        source.text()  # access method
    if header.version >= (1, 16):
        source.integer()  # relkind
    owner = source.text() or ""
    source.text()  # whether rows have OIDs: none have since 12
    dependencies = []
    while (found := source.text()) is not None:
        dependencies.append(_oid(found))
    file = ""
    if header.custom:
        source.take(1 + header.offset_bytes)  # where its rows are, if that was known when it was written
    else:
        file = source.text() or ""
        if not _PLAIN_NAME.fullmatch(file):
            raise corrupt(f"the file of its entry {dump_id} has a name that leads out of its folder")
    if section not in set(Section):
        raise corrupt(f"its entry {dump_id} is of an unknown section")
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
    )


def _oid(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()):
        raise corrupt("a number in its table of contents is none")
    return int(text)

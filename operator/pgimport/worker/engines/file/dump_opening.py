"""Opens the dump in a file: bare, compressed, or inside a tar or zip, as backups of applications contain it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import TOC_FILE, corrupt
from pgimport.worker.engines.file.decoders import find_compression
from pgimport.worker.engines.file.dump_stream import CRLF_DAMAGE, ByteReader, DumpStream, has_only_crlf
from pgimport.worker.engines.file.file_kinds import (
    HEAD,
    ZIP_MAGIC,
    DumpFormat,
    find_format,
    is_tar,
    unsupported,
)
from pgimport.worker.engines.file.tar_reader import TarMember, walk_members
from pgimport.worker.engines.file.zip_reader import ZipMember, walk_zip
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.text import some_of

MAX_NESTING = 5  # compressions, tars and zips around a dump
NAMES_IN_A_MESSAGE = 10
_DIRECTORY_FILE = re.compile(r"toc\.dat|restore\.sql|(blob_)?\d+\.dat(\.gz|\.lz4|\.zst)?|blobs(_\d+)?\.toc")
# Files of a physical backup → which tool writes it.
_PHYSICAL_FILES = frozenset({"backup_label", "backup_manifest", "PG_VERSION", "pg_control", "pg_hba.conf"})
# Files of pg_dumpall in an archive format, since PostgreSQL 19.
_CLUSTER_FILES = frozenset({"map.dat", "toc.glo", "global.dat"})


_PACK_THE_DUMP = "Pack the file that pg_dump wrote, or import that file without a tar or zip around it."


@dataclass(frozen=True, slots=True)
class OpenedDump:
    """A dump of one database."""

    stream: DumpStream  # of the dump itself
    format: DumpFormat
    path: str | None = None  # of the dump in a tar or zip
    compression: str = "none"  # the innermost compression around the dump


def open_dump(reader: ByteReader, limit: int | None = None) -> OpenedDump:
    """Finds the dump in a file, and reads its first bytes.

    When the dump's stream has been read, the rest of the file is read too, so that a second dump is detected. `limit`:
    the most bytes that the file may unpack to. Raises ImportStopped if the file does not contain exactly one dump.
    """
    return _open(DumpStream(reader, limit), 1)


def walk_archive(stream: DumpStream) -> Iterator[TarMember] | Iterator[ZipMember]:
    """Yields the files of a dump with the format TAR. Raises ImportStopped."""
    return walk_zip(stream) if stream.peek(len(ZIP_MAGIC)) == ZIP_MAGIC else walk_members(stream)


def _open(stream: DumpStream, depth: int) -> OpenedDump:
    head = stream.peek(HEAD)
    if depth > MAX_NESTING:
        raise unsupported(f"the dump is packed more than {MAX_NESTING} times: unpack it")
    if find_compression(head) is not None:
        inner = DumpStream(_Inner(stream), stream.limit, outermost=stream.outermost)
        inner.after_its_end(stream.read_to_the_end)
        opened = _open(inner, depth + 1)
        return OpenedDump(opened.stream, opened.format, opened.path, _describe_compression(opened, stream))
    is_zip = head.startswith(ZIP_MAGIC)
    if is_zip or is_tar(head):
        names = _read_first_names(head, is_zip=is_zip)
        _refuse_other_backups(names)
        if names and _DIRECTORY_FILE.fullmatch(names[0]):
            if names[0] == TOC_FILE and has_only_crlf(head, minimum=2):
                raise corrupt(CRLF_DAMAGE)
            return OpenedDump(stream, DumpFormat.TAR, None, stream.compression)
        members = walk_zip(stream) if is_zip else walk_members(stream, of_backup=True)
        return _open_only_dump(members, stream, depth)
    return OpenedDump(stream, find_format(head), None, stream.compression)


def _describe_compression(opened: OpenedDump, outer: DumpStream) -> str:
    return opened.compression if opened.compression != "none" else outer.compression


class _Inner:
    """Lets one stream be the compressed input of another."""

    def __init__(self, stream: DumpStream) -> None:
        self._stream = stream

    def read(self, count: int, /) -> bytes:
        return self._stream.read_some() if count else b""


def _read_first_names(head: bytes, *, is_zip: bool) -> list[str]:
    """Returns the names of the files at the beginning of a tar or zip, without their folders."""
    names: list[str] = []
    stream = DumpStream(BytesIO(head))
    try:
        for member in walk_zip(stream) if is_zip else walk_members(stream, of_backup=True):
            if not member.name.startswith("._"):  # macOS stores attributes of a file in such a file
                names.append(member.name)
    except ImportStopped:  # the head ends inside a file
        pass
    return names


def _refuse_other_backups(names: list[str]) -> None:
    if _CLUSTER_FILES.intersection(names):
        raise unsupported("the file is a dump of all databases by pg_dumpall: dump one database with pg_dump")
    if _PHYSICAL_FILES.intersection(names) and TOC_FILE not in names:
        raise unsupported(
            "the file is a physical backup of a server, as pg_basebackup writes it, not a dump: dump the database with"
            " pg_dump"
        )


def _open_only_dump(members: Iterator[TarMember] | Iterator[ZipMember], stream: DumpStream, depth: int) -> OpenedDump:
    """Returns the first dump of a tar or zip. Raises ImportStopped.

    When it is read to its end, searches the remaining members for another dump.
    """
    names: list[str] = []
    refusals: list[Failure] = []
    for member in members:
        names.append(member.path)
        opened_member = _try_member(member, stream, depth, refusals)
        if opened_member is None:
            continue
        member_stream, opened = opened_member
        path = member.path if opened.path is None else f"{member.path}: {opened.path}"
        directories = [name for name in names if _is_directory(name)]
        member_stream.after_its_end(partial(_read_other_members, members, [path, *directories], stream, depth))
        return OpenedDump(opened.stream, opened.format, path, opened.compression)
    _refuse_other_backups([name.rpartition("/")[2] for name in names])
    if len(refusals) == 1:
        message = f"the only file in the tar or zip, {names[0]}, cannot be imported: {refusals[0].message}"
        raise ImportStopped(Failure(refusals[0].reason, message, _PACK_THE_DUMP))
    if any(map(_is_directory, names)):
        raise unsupported("the file contains a directory of pg_dump among other files: pack only that directory")
    content = some_of(names, NAMES_IN_A_MESSAGE) if names else "no file"
    raise unsupported(f"the file contains no dump of pg_dump, but {content}: pack a dump, or import the dump itself")


def _read_other_members(
    members: Iterator[TarMember] | Iterator[ZipMember], found: list[str], stream: DumpStream, depth: int
) -> None:
    """Reads a tar or zip to its end. Raises ImportStopped if it contains another dump, also one in a directory."""
    for other in members:
        if _is_directory(other.path) or _try_member(other, stream, depth, []) is not None:
            found.append(other.path)
    if len(found) > 1:
        raise _refuse_several_dumps(found)
    stream.read_to_the_end()


def _refuse_several_dumps(paths: list[str]) -> ImportStopped:
    """Returns the error for a tar or zip with several dumps."""
    return unsupported(
        f"the file contains {len(paths)} dumps, and an import takes one: pack only one of"
        f" {some_of(paths, NAMES_IN_A_MESSAGE)}"
    )


def belongs_to_directory(member: TarMember | ZipMember, stream: DumpStream) -> bool:
    """Says whether a file is one of a directory archive. Reads the beginning of another file.

    Raises ImportStopped if the other file is a dump.
    """
    if _DIRECTORY_FILE.fullmatch(member.name):
        return True
    if _try_member(member, stream, 1, []) is not None:
        raise _refuse_several_dumps([TOC_FILE, member.path])
    return False


def _is_directory(path: str) -> bool:
    """Whether the file is the table of contents of a dump in several files."""
    return path.rpartition("/")[2] == TOC_FILE


def _try_member(
    member: TarMember | ZipMember, stream: DumpStream, depth: int, refusals: list[Failure]
) -> tuple[DumpStream, OpenedDump] | None:
    """Returns the member's stream and the dump in it, or None if it has none. Adds the reason to `refusals`."""
    try:
        member_stream = DumpStream(member, stream.limit, outermost=stream.outermost)
        return member_stream, _open(member_stream, depth + 1)
    except ImportStopped as stopped:
        if stopped.failure.reason not in (Reason.DUMP_UNSUPPORTED, Reason.DUMP_CORRUPT):
            raise
        refusals.append(stopped.failure)
        return None

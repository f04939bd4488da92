"""Forwards the data of a custom archive and counts the rows of every COPY.

The layout of the data is defined in `pg_backup_custom.c`. A block consists of its type, the dump id of its entry, and
pieces of data. Each piece has its length before it. A length of zero ends the block. After the last block the file
ends, or contains the table of contents again.
"""

from collections.abc import Iterable

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import MAGIC, ArchiveHeader, TocEntry, check_appended_contents, corrupt
from pgimport.worker.engines.file.dump_stream import DumpStream, Write
from pgimport.worker.engines.file.file_kinds import quote_text
from pgimport.worker.engines.file.row_counter import RowCounter
from pgimport.worker.postgres.errors import ImportStopped

_SPLIT = "Import each dump alone, as pg_dump wrote it, into a database of its own."
_DATA, _LARGE_OBJECTS = 1, 3
_TAIL = 200  # bytes after the end that tell whether they are text; an appended table of contents begins with zeros
MAX_PIECE = 256 * 1024 * 1024  # bytes; pg_dump writes pieces of some KiB


class _ForwardingReader:
    """Reads numbers and pieces, and writes their bytes to the consumer."""

    def __init__(self, stream: DumpStream, header: ArchiveHeader, write: Write) -> None:
        self._stream, self._size, self._write = stream, header.integer_bytes, write

    def read(self, count: int) -> bytes:
        content = self._stream.read(count)
        if len(content) != count:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, in the middle of its rows")
        self._write(content)
        return content

    def read_integer(self) -> int:
        content = self.read(1 + self._size)  # a sign, then the absolute value
        value = int.from_bytes(content[1:], "little")
        return -value if content[0] else value

    def read_pieces(self) -> Iterable[bytes]:
        while (length := self.read_integer()) != 0:
            if not 0 < length <= MAX_PIECE:
                raise corrupt(f"a piece of its rows has an impossible length ({length})")
            yield self.read(length)


def forward_rows(
    stream: DumpStream, header: ArchiveHeader, entries: Iterable[TocEntry], write: Write
) -> dict[int, int]:
    """Forwards the rows. Returns dump id → rows of its COPY. Reads the file to its end. Raises ImportStopped."""
    entries = list(entries)
    missing_entries = {entry.dump_id: entry for entry in entries if entry.has_rows}
    reader, row_counts = _ForwardingReader(stream, header, write), {}
    while missing_entries:
        if not stream.peek(1):
            missing = next(iter(missing_entries.values()))
            raise corrupt(f"it ends after {stream.bytes_read} bytes, before {missing.title}")
        kind, dump_id = reader.read(1)[0], reader.read_integer()
        entry = missing_entries.pop(dump_id, None)
        if entry is None:
            raise corrupt(f"it holds rows of entry {dump_id}, which its table of contents does not list")
        if kind == _LARGE_OBJECTS:
            while reader.read_integer() != 0:  # the oid of a large object
                for _ in reader.read_pieces():
                    pass
        elif kind == _DATA:
            counter = RowCounter(header.compression, entry.title) if entry.copy_statement else None
            for piece in reader.read_pieces():
                if counter is not None:
                    counter.feed(piece)
            if counter is not None:
                row_counts[dump_id] = counter.finish()
        else:
            raise corrupt(f"it holds a block of an unknown type ({kind})")
    _refuse_other_content(stream)
    if stream.peek(1):
        check_appended_contents(stream.read, header, entries)
    _refuse_other_content(stream)
    if stream.peek(1):
        raise corrupt("bytes follow after its end")
    return row_counts


def _refuse_other_content(stream: DumpStream) -> None:
    """Raises ImportStopped if a second archive or text, such as a program's error message, follows."""
    if stream.peek(len(MAGIC)) == MAGIC:
        message = "the dump file holds two archives, one after the other: it was joined from two dumps"
        raise ImportStopped(Failure(Reason.DUMP_CORRUPT, message, _SPLIT))
    tail = stream.peek(_TAIL)
    if tail and b"\x00" not in tail:
        raise corrupt(
            f"text follows after its end ({quote_text(tail.strip())}): send only the dump's standard output to the"
            " file, without 2>&1 and without a terminal (-t), or use `pg_dump --file`"
        )

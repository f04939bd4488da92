"""A custom archive as it passes by: its bytes come in and go on, the rows of every COPY are counted on the way.

The layout of what follows the table of contents is that of `pg_backup_custom.c`: blocks of a type, an entry's
number and pieces of data, each with its length; a length of zero ends a block.
"""

from collections.abc import Iterable

from pgimport.worker.archive.toc import ArchiveHeader, TocEntry, corrupt
from pgimport.worker.engines.file.compression import DumpStream, Write
from pgimport.worker.engines.file.row_counter import RowCounter

_DATA, _LARGE_OBJECTS = 1, 3
MAX_PIECE = 256 * 1024 * 1024  # bytes; pg_dump writes pieces of some KiB


class _ForwardingReader:
    """Numbers and pieces, handed on as they are read."""

    def __init__(self, stream: DumpStream, header: ArchiveHeader, write: Write) -> None:
        self._stream, self._size, self._write = stream, header.integer_bytes, write

    def take(self, count: int) -> bytes:
        found = self._stream.read(count)
        if len(found) != count:
            raise corrupt(f"it ends after {self._stream.bytes_read} bytes, in the middle of its rows")
        self._write(found)
        return found

    def integer(self) -> int:
        found = self.take(1 + self._size)
        value = int.from_bytes(found[1:], "little")
        return -value if found[0] else value

    def pieces(self) -> Iterable[bytes]:
        while (length := self.integer()) != 0:
            if not 0 < length <= MAX_PIECE:
                raise corrupt(f"a piece of its rows tells an impossible length ({length})")
            yield self.take(length)


def forward_rows(
    stream: DumpStream, header: ArchiveHeader, entries: Iterable[TocEntry], write: Write
) -> dict[int, int]:
    """Everything after the table of contents, to the end of the file. Dump id → rows of each COPY. Raises Stopped."""
    awaited = {entry.dump_id: entry for entry in entries if entry.has_rows}
    passing, counted = _ForwardingReader(stream, header, write), {}
    while awaited:
        if not stream.peek(1):
            missing = next(iter(awaited.values()))
            raise corrupt(f"it ends after {stream.bytes_read} bytes, before {missing.title}")
        kind, dump_id = passing.take(1)[0], passing.integer()
        entry = awaited.pop(dump_id, None)
        if entry is None:
            raise corrupt(f"it holds rows of an entry that its table of contents does not know ({dump_id})")
        if kind == _LARGE_OBJECTS:
            while passing.integer() != 0:  # the oid of a large object
                for _ in passing.pieces():
                    pass
        elif kind == _DATA:
            counter = RowCounter(header.compression, entry.title) if entry.copy_statement else None
            for piece in passing.pieces():
                if counter is not None:
                    counter.feed(piece)
            if counter is not None:
                counted[dump_id] = counter.finish()
        else:
            raise corrupt(f"it holds a block of an unknown kind ({kind})")
    if stream.peek(1):
        raise corrupt("something follows after its end")
    return counted

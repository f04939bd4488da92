"""Reads dump files that may be compressed, with limits for what they unpack to.

One chunk is held in memory. A file that unpacks to far more than any dump does is refused.
"""

from collections.abc import Callable
from typing import Protocol

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.decoders import find_compression
from pgimport.worker.postgres.errors import ImportStopped

CHUNK = 256 * 1024  # bytes that one call reads from the source
# Ratio of unpacked to packed bytes: usually 10 for dumps, 100 for very regular ones, 1000 for decompression bombs.
MAX_RATIO = 500
MIN_BYTES_FOR_RATIO = 64 * 1024 * 1024  # unpacked bytes below which the ratio is not checked
MIN_LINE_FEEDS = 8  # a chance of 1 in 256 each that a byte CR stands before them
CRLF_DAMAGE = (
    "each line feed became CR LF, as by `docker exec -t`, `kubectl exec -t` or a transfer in text mode. Dump again"
    " without a terminal (-t), or with `pg_dump --file`"
)
SMALLER_DUMP = (
    "Dump fewer rows with pg_dump --exclude-table-data, or ask the platform's admin to raise the Project's"
    " storageLimitBytes."
)

Write = Callable[[bytes], object]


class ByteReader(Protocol):
    """Source of the bytes of a file."""

    def read(self, count: int, /) -> bytes:
        """Returns at most `count` bytes, and b"" at the end."""
        ...


def has_only_crlf(content: bytes, minimum: int = MIN_LINE_FEEDS) -> bool:
    """True if the content has line feeds, and a carriage return before each of them. Pure."""
    line_feeds = content.count(b"\n")
    return line_feeds >= minimum and line_feeds == content.count(b"\r\n")


class DumpStream:
    """Reads the unpacked bytes of a dump file, or of a file inside it."""

    def __init__(self, reader: ByteReader, limit: int | None = None, *, outermost: "DumpStream | None" = None) -> None:
        """Reads the first chunk. Raises ImportStopped.

        `limit`: the most bytes that the file may unpack to. `outermost`: the stream of the downloaded file, if this one
        reads a file inside it.
        """
        self._reader = reader
        self.limit = limit
        self.outermost = outermost or self
        self._finish: Callable[[], None] = lambda: None
        self._buffer = bytearray()
        self._ended = False
        self.bytes_read = 0  # of the file itself, compressed or not
        self.bytes_unpacked = 0
        first = self._read_chunk()
        kind = find_compression(first)
        self.compression = kind.name if kind is not None else "none"
        self._decoder = kind.create() if kind is not None else None
        if kind is not None and has_only_crlf(first):
            raise corrupt(CRLF_DAMAGE)
        self._absorb(first)

    def read(self, count: int) -> bytes:
        """Returns `count` bytes, and fewer only at the end. Raises ImportStopped."""
        self._fill(count)
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def peek(self, count: int) -> bytes:
        """Returns the next bytes without consuming them. Raises ImportStopped."""
        self._fill(count)
        return bytes(self._buffer[:count])

    def read_some(self) -> bytes:
        """Returns all buffered bytes. Reads a chunk if none are buffered. Returns b"" at the end."""
        self._fill(1)
        content = bytes(self._buffer)
        self._buffer.clear()
        return content

    def after_its_end(self, finish: Callable[[], None]) -> None:
        """Sets a callback that runs at the end of this stream; it reads and checks the rest of the enclosing file."""
        self._finish = finish

    def read_to_the_end(self) -> None:
        """Reads what is left of the stream and of the file around it. Raises ImportStopped."""
        while self.read_some():
            pass
        self._finish()

    def _read_chunk(self) -> bytes:
        chunk = self._reader.read(CHUNK)
        self.bytes_read += len(chunk)
        return chunk

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and not self._ended:
            if self._decoder is not None and self._decoder.has_pending_output:
                self._absorb(b"")
                continue
            data = self._read_chunk()
            if not data:
                if self._decoder is not None and not self._decoder.at_frame_end:
                    raise corrupt(f"its {self.compression} stream is truncated after {self.bytes_read} bytes")
                self._ended = True
            else:
                self._absorb(data)

    def _absorb(self, data: bytes) -> None:
        if self._decoder is not None:
            try:
                data = self._decoder.decode(data, CHUNK)
            except ValueError as error:
                raise corrupt(f"its {self.compression} stream is broken near byte {self.bytes_read}: {error}") from None
        self.bytes_unpacked += len(data)
        self._buffer += data
        if self.limit is not None and self.bytes_unpacked > self.limit:
            raise ImportStopped(
                Failure(
                    Reason.SOURCE_TOO_LARGE,
                    f"the dump file unpacks to more than {self.limit} bytes, which is more than the Project allows",
                    SMALLER_DUMP,
                )
            )
        packed_bytes = self.outermost.bytes_read
        if self._decoder is not None and self.bytes_unpacked > max(MIN_BYTES_FOR_RATIO, MAX_RATIO * packed_bytes):
            raise ImportStopped(
                Failure(
                    Reason.DUMP_UNSUPPORTED,
                    f"the file unpacks to more than {MAX_RATIO} times its size, which no dump does"
                    f" ({self.bytes_unpacked} bytes from {packed_bytes})",
                )
            )

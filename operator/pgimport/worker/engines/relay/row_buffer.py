"""Buffers rows between the two ends of a stream, a few MiB at most.

A backend that waits in COPY FROM STDIN blocks every DROP DATABASE of its server (ProcSignalBarrier). So the target's
COPY is open only while rows arrive: the buffer ends it at a row's end when the source is silent.
"""

import asyncio
from contextlib import suppress

MAX_BYTES = 4 * 1024 * 1024  # of waiting chunks; a single chunk may be larger
WAKE_BYTES = 64 * 1024  # buffered bytes that wake the reader, so that small packets do not wake it each time
SILENCE_SECONDS = 2.0  # longest time for which a COPY at the target waits for rows
ROW_END = b"\n"  # of COPY text, in which newlines of values are escaped


class RowBuffer:
    """Passes chunks of COPY text from one writer to one reader in the same event loop, and joins small chunks.

    The reader iterates over the rows several times: an iteration ends when no more rows arrive for SILENCE_SECONDS.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = False
        self._writer_waits = False  # if true, the reader takes even less than WAKE_BYTES
        self._at_row_end = True  # whether the reader has got whole rows
        self._changed = asyncio.Event()

    async def put(self, chunk: bytes) -> None:
        """Waits until there is space for the chunk, and adds it."""
        while self._chunks and self._size + len(chunk) > self._max_bytes:
            self._writer_waits = True
            self._changed.set()
            await self._wait()
        self._writer_waits = False
        is_first = not self._chunks
        self._chunks.append(chunk)
        self._size += len(chunk)
        if is_first or self._size >= WAKE_BYTES:
            self._changed.set()

    def close(self) -> None:
        """Ends the reader's iterations after the waiting chunks."""
        self._closed = True
        self._changed.set()

    async def wait_for_rows(self) -> bool:
        """Waits for rows, however long the source is silent. Returns False if the buffer is closed and empty."""
        while not self._chunks and not self._closed:
            await self._wait()
        return bool(self._chunks)

    def __aiter__(self) -> "RowBuffer":
        return self

    async def __anext__(self) -> bytes:
        """Waits for enough bytes, but not for long, and returns all waiting chunks as one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SILENCE_SECONDS
        while self._size < WAKE_BYTES and not self._closed and not (self._writer_waits and self._chunks):
            timeout = deadline - loop.time()
            if timeout <= 0 and (self._chunks or self._at_row_end):
                break
            await self._wait(max(timeout, 0.1))
        if not self._chunks:
            raise StopAsyncIteration
        chunks, self._chunks, self._size = self._chunks, [], 0
        self._changed.set()
        self._at_row_end = chunks[-1].endswith(ROW_END)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _wait(self, timeout: float | None = None) -> None:
        """Waits until the other end changes something, or for so many seconds."""
        self._changed.clear()
        if timeout is None:
            await self._changed.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()

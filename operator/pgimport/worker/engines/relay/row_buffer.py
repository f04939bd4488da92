"""Buffers rows between the two ends of a stream, a few MiB at most."""

import asyncio

MAX_BYTES = 4 * 1024 * 1024  # of waiting chunks; a single chunk may be larger
WAKE_BYTES = 64 * 1024  # buffered bytes that wake the reader, so that small packets do not wake it each time


class RowBuffer:
    """Passes chunks from one writer to one reader in the same event loop, and joins small chunks."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = False
        self._writer_waits = False  # if true, the reader takes even less than WAKE_BYTES
        self._changed = asyncio.Event()

    async def put(self, chunk: bytes) -> None:
        """Waits until there is space for the chunk, and adds it."""
        while self._chunks and self._size + len(chunk) > self._max_bytes:
            self._writer_waits = True
            self._changed.set()
            await self._wait()
        self._writer_waits = False
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= WAKE_BYTES:
            self._changed.set()

    def close(self) -> None:
        """Ends the reader's iteration after the waiting chunks."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "RowBuffer":
        return self

    async def __anext__(self) -> bytes:
        """Waits for enough bytes, and returns all waiting chunks as one."""
        while self._size < WAKE_BYTES and not self._closed and not (self._writer_waits and self._chunks):
            await self._wait()
        if not self._chunks:
            raise StopAsyncIteration
        chunks, self._chunks, self._size = self._chunks, [], 0
        self._changed.set()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

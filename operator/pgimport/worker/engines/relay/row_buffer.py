"""Between the two ends of a stream: pieces of rows come in as fast as they go out, a few MiB at once."""

import asyncio

MAX_BYTES = 4 * 1024 * 1024  # bytes that wait; a single piece may be larger
WAKE_BYTES = 64 * 1024  # bytes that are worth waking the other end; a slow line brings a few kilobytes at a time


class RowBuffer:
    """One writes, one reads; both in the same event loop."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._waiting: list[bytes] = []
        self._size = 0
        self._closed = False
        self._full = False  # a piece waits for room, so what is here must go, however little
        self._changed = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Returns when there is room for it."""
        while self._waiting and self._size + len(piece) > self._limit:
            self._full = True
            self._changed.set()
            await self._wait()
        self._full = False
        self._waiting.append(piece)
        self._size += len(piece)
        if self._size >= WAKE_BYTES:
            self._changed.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "RowBuffer":
        return self

    async def __anext__(self) -> bytes:
        """All that waits, as one piece."""
        while self._size < WAKE_BYTES and not self._closed and not (self._full and self._waiting):
            await self._wait()
        if not self._waiting:
            raise StopAsyncIteration
        pieces, self._waiting, self._size = self._waiting, [], 0
        self._changed.set()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

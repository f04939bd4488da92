"""Between the two ends of a stream: pieces of rows come in as fast as they go out, a few MiB at once."""

import asyncio
from collections import deque

LIMIT = 4 * 1024 * 1024  # bytes that wait; a single piece may be larger


class Pipe:
    """One writes, one reads; both in the same event loop."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._changed = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Returns when there is room for it."""
        while self._waiting and self._size + len(piece) > self._limit:
            await self._wait()
        self._waiting.append(piece)
        self._size += len(piece)
        self._changed.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "Pipe":
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            await self._wait()
        piece = self._waiting.popleft()
        self._size -= len(piece)
        self._changed.set()
        return piece

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

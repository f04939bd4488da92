"""Pieces between the ends of a stream: all pass, in order, little ones together; neither end waits for ever."""

import asyncio

import pytest

from pgimport.worker.engines.relay.row_buffer import WAKE_BYTES, RowBuffer


async def add_bytes(pieces: list[bytes], limit: int) -> list[bytes]:
    pipe, passed = RowBuffer(limit), list[bytes]()

    async def write() -> None:
        for piece in pieces:
            await pipe.put(piece)
        pipe.close()

    async def read() -> None:
        async for piece in pipe:
            passed.append(piece)
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(write(), read()), 5)
    return passed


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([], id="nothing"),
        pytest.param([1] * 10, id="less than a piece"),
        pytest.param([WAKE_BYTES] * 40, id="pieces"),
        pytest.param([7, 9 * WAKE_BYTES, 5, 9 * WAKE_BYTES], id="one with no room for it behind a little"),
        pytest.param([100] * 5000, id="many little ones"),
    ],
)
def test_everything_passes_in_its_order(sizes: list[int]) -> None:
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    assert b"".join(asyncio.run(add_bytes(pieces, limit=8 * WAKE_BYTES))) == b"".join(pieces)


def test_little_ones_are_put_together() -> None:
    passed = asyncio.run(add_bytes([b"x" * 1000] * 1000, limit=8 * WAKE_BYTES))
    assert min(map(len, passed[:-1])) >= WAKE_BYTES

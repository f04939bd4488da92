"""Chunks in the buffer between the two ends of a stream."""

import asyncio

import pytest

from pgimport.worker.engines.relay import row_buffer
from pgimport.worker.engines.relay.row_buffer import WAKE_BYTES, RowBuffer


async def write_and_read(chunks: list[bytes], max_bytes: int) -> list[bytes]:
    """Writes the chunks and returns what the reader gets. Fails if an end waits for more than five seconds."""
    buffer, received = RowBuffer(max_bytes), list[bytes]()

    async def write() -> None:
        for chunk in chunks:
            await buffer.put(chunk)
        buffer.close()

    async def read() -> None:
        async for chunk in buffer:
            received.append(chunk)
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(write(), read()), 5)
    return received


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([], id="nothing"),
        pytest.param([1] * 10, id="less than WAKE_BYTES"),
        pytest.param([WAKE_BYTES] * 40, id="large chunks"),
        pytest.param([7, 9 * WAKE_BYTES, 5, 9 * WAKE_BYTES], id="chunk without space behind a small one"),
        pytest.param([100] * 5000, id="many small chunks"),
    ],
)
def test_all_bytes_arrive_in_order(sizes: list[int]) -> None:
    chunks = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    assert b"".join(asyncio.run(write_and_read(chunks, max_bytes=8 * WAKE_BYTES))) == b"".join(chunks)


def test_small_chunks_are_joined() -> None:
    received = asyncio.run(write_and_read([b"x" * 1000] * 1000, max_bytes=8 * WAKE_BYTES))
    assert min(map(len, received[:-1])) >= WAKE_BYTES


@pytest.mark.isolation
@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([b"1\n", b"2\n"], [b"1\n", b"2\n"], id="whole rows"),
        pytest.param([b"1\n2", b"\n3\n"], [b"1\n2\n3\n"], id="a chunk ends within a row"),
        pytest.param([], [], id="no rows"),
    ],
)
def test_an_iteration_ends_at_a_row_end_when_no_rows_arrive(
    monkeypatch: pytest.MonkeyPatch, chunks: list[bytes], expected: list[bytes]
) -> None:
    """Each iteration is one COPY at the target, so each must have whole rows."""
    monkeypatch.setattr(row_buffer, "SILENCE_SECONDS", 0.05)

    async def pass_rows() -> list[bytes]:
        buffer, copies = RowBuffer(), list[bytes]()

        async def write() -> None:
            for chunk in chunks:
                await buffer.put(chunk)
                await asyncio.sleep(0.3)
            buffer.close()

        async def read() -> None:
            while await buffer.wait_for_rows():
                copies.append(b"".join([chunk async for chunk in buffer]))

        await asyncio.wait_for(asyncio.gather(write(), read()), 5)
        return copies

    assert asyncio.run(pass_rows()) == expected

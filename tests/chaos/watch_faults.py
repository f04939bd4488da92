"""What may become of a watch's events on their way: lost, told twice, told late and merged, or none at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from enum import StrEnum

MERGED_SECONDS = 3.0


class Hearing(StrEnum):
    """How well an operator hears."""

    WELL = "well"
    NOTHING_NEW = "events dropped"
    TWICE = "events doubled"
    MERGED = "events merged"
    SILENCE = "watches silent"


async def disturb(lines: AsyncIterator[bytes], hearing: Hearing) -> AsyncIterator[bytes]:
    """Events as lines of JSON."""
    match hearing:
        case Hearing.WELL:
            async for line in lines:
                yield line
        case Hearing.TWICE:
            async for line in lines:
                yield line
                yield line
        case Hearing.NOTHING_NEW:
            async for line in lines:
                if json.loads(line).get("type") in ("BOOKMARK", "ERROR"):
                    yield line
        case Hearing.MERGED:
            async for line in _merge(lines):
                yield line
        case Hearing.SILENCE:
            async for _ in lines:
                continue


async def _merge(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The last word about each object, every few seconds."""
    held: dict[str, bytes] = {}
    ended = asyncio.Event()

    async def collect() -> None:
        async for line in lines:
            meta = json.loads(line).get("object", {}).get("metadata", {})
            held[meta.get("uid", "")] = line
        ended.set()

    collector = asyncio.create_task(collect())
    try:
        while not ended.is_set() or held:
            await asyncio.sleep(MERGED_SECONDS)
            told, held = held, {}
            for line in told.values():
                yield line
    finally:
        collector.cancel()

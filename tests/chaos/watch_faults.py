"""Disturbs the events of a watch: drops, doubles, merges or withholds them."""

import asyncio
import json
from collections.abc import AsyncIterator
from enum import StrEnum

MERGE_SECONDS = 3.0


class WatchFault(StrEnum):
    """What happens to the events of a watch."""

    NONE = "none"
    DROPPED = "events dropped"
    DOUBLED = "events doubled"
    MERGED = "events merged"
    SILENT = "watches silent"


async def disturb(lines: AsyncIterator[bytes], watch_fault: WatchFault) -> AsyncIterator[bytes]:
    """Disturb events, each a line of JSON."""
    match watch_fault:
        case WatchFault.NONE:
            async for line in lines:
                yield line
        case WatchFault.DOUBLED:
            async for line in lines:
                yield line
                yield line
        case WatchFault.DROPPED:
            async for line in lines:
                if json.loads(line).get("type") in ("BOOKMARK", "ERROR"):
                    yield line
        case WatchFault.MERGED:
            async for line in _merge(lines):
                yield line
        case WatchFault.SILENT:
            async for _ in lines:
                continue


async def _merge(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the last event of each object, every few seconds."""
    pending: dict[str, bytes] = {}
    ended = asyncio.Event()

    async def collect() -> None:
        async for line in lines:
            metadata = json.loads(line).get("object", {}).get("metadata", {})
            pending[metadata.get("uid", "")] = line
        ended.set()

    collector = asyncio.create_task(collect())
    try:
        while not ended.is_set() or pending:
            await asyncio.sleep(MERGE_SECONDS)
            merged = dict(pending)
            pending.clear()
            for line in merged.values():
                yield line
    finally:
        collector.cancel()

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.chaos import watch_faults
from tests.chaos.watch_faults import WatchFault, disturb


def _event(kind: str, uid: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"uid": uid, "resourceVersion": version}}}).encode()


EVENTS = [_event("ADDED", "a", 1), _event("MODIFIED", "a", 2), _event("ADDED", "b", 3), _event("BOOKMARK", "", 4)]


async def _stream() -> AsyncIterator[bytes]:
    for event in EVENTS:
        yield event


def _disturb(watch_fault: WatchFault) -> list[bytes]:
    async def collect() -> list[bytes]:
        return [line async for line in disturb(_stream(), watch_fault)]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("watch_fault", "events"),
    [
        (WatchFault.NONE, EVENTS),
        (WatchFault.DOUBLED, [event for event in EVENTS for _ in range(2)]),
        (WatchFault.DROPPED, EVENTS[3:]),
        (WatchFault.MERGED, EVENTS[1:]),
        (WatchFault.SILENT, []),
    ],
)
def test_events_are_disturbed(watch_fault: WatchFault, events: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_faults, "MERGE_SECONDS", 0.05)
    assert _disturb(watch_fault) == events

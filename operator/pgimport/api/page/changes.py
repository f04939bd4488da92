"""Tells open pages that something has changed, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from pgimport.api.api_context import CurrentContext
from pgimport.api.page.page_access import Session
from pgimport.api.page.project_objects import list_namespaces

POLL_SECONDS = 2.0
KEEPALIVE_SECONDS = 15.0
# Then the browser connects again, and its session is checked again.
STREAM_SECONDS = 300.0
router = APIRouter()


@router.get("/changes")
async def stream_changes(session: Session, context: CurrentContext, seen: int = -1) -> StreamingResponse:
    """Sends `changed` after an object of the user's Projects has changed. Needs no thread while it waits.

    `seen`: the number of changes that the view shows, by `count_changes`.
    """
    organization = session.caller.organization
    namespaces = list_namespaces(session)
    context.page_stream_limit.begin(organization)

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield b"retry: 3000\n\n"
            shown, silent = seen, 0.0
            for _ in range(int(STREAM_SECONDS / POLL_SECONDS)):
                if (now := context.cache.count_changes(namespaces)) != shown:
                    shown, silent = now, 0.0
                    yield b"event: changed\ndata:\n\n"
                elif silent >= KEEPALIVE_SECONDS:
                    silent = 0.0
                    yield b":\n\n"
                await asyncio.sleep(POLL_SECONDS)
                silent += POLL_SECONDS
        finally:
            context.page_stream_limit.end(organization)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

"""Tells open pages that something has changed, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from pgimport.api.api_context import CurrentContext
from pgimport.api.authorization import CallerAccess
from pgimport.api.http_protocol import find_stop_event
from pgimport.api.page.page_access import Session
from pgimport.api.page.project_objects import list_namespaces, list_projects

POLL_SECONDS = 2.0
KEEPALIVE_SECONDS = 15.0
# Then the browser connects again, and its session is checked again.
STREAM_SECONDS = 300.0
router = APIRouter()


async def _hold_stream(session: Session, context: CurrentContext) -> AsyncIterator[CallerAccess]:
    """Counts the stream until its response has ended, also if the browser has left before the first byte."""
    with context.page_stream_limit.counted(session.caller.organization):
        yield session


@router.get("/changes")
async def stream_changes(
    request: Request, session: Annotated[CallerAccess, Depends(_hold_stream)], context: CurrentContext, seen: int = -1
) -> StreamingResponse:
    """Sends `changed` after an object of the user's Projects has changed. Needs no thread while it waits.

    `seen`: the number of changes that the view shows, by `count_changes`.
    """
    namespaces = list_namespaces(list_projects(session))
    stopping = find_stop_event(request.scope["state"])

    async def stream() -> AsyncIterator[bytes]:
        yield b"retry: 3000\n\n"
        shown, silent = seen, 0.0
        for _ in range(int(STREAM_SECONDS / POLL_SECONDS)):
            if stopping.is_set():
                return
            if (now := context.cache.count_changes(namespaces)) != shown:
                shown, silent = now, 0.0
                yield b"event: changed\ndata:\n\n"
            elif silent >= KEEPALIVE_SECONDS:
                silent = 0.0
                yield b":\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_SECONDS)
            silent += POLL_SECONDS

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

"""The embedded store's own routes: a signed URL comes in, a file is put, handed out, measured or deleted.

No API key opens them: whoever has the URL may do the one thing that it was signed for, until it expires.
"""

import logging
import threading
import time
from collections.abc import AsyncGenerator
from functools import partial

from anyio import CancelScope, fail_after
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from pgimport.api.api_context import ApiContext, CurrentContext
from pgimport.api.error_responses import RETRY_SECONDS, ApiError, not_there
from pgimport.kubernetes_client.custom_resources import parse_import
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.names import IMPORTS
from pgimport.store.embedded_store import (
    IncomingUpload,
    LocalStore,
    StoreFull,
    UploadRefused,
    UploadTooLarge,
    UploadURLUsed,
)

SILENT_SECONDS = 60.0  # of one who puts a file
PIECE = 1024 * 1024  # bytes that are written at once
SWEEP_SECONDS = 30.0
_STATUS = {UploadURLUsed: 409, UploadTooLarge: 413, StoreFull: 507}
_log = logging.getLogger(__name__)
router = APIRouter(prefix="/uploads/{project}/{name}", include_in_schema=False)


class _File(FileResponse):
    chunk_size = PIECE


def _enter(context: ApiContext, request: Request, project: str, name: str) -> tuple[LocalStore, str]:
    """The store, and the object's key. Raises 403, also where nothing is there."""
    store, query = context.store, request.query_params
    if not isinstance(store, LocalStore):
        raise ApiError(404, "no such route")
    key = f"uploads/{project}/{name}"
    if not store.is_signed(request.method, key, query.get("expires", ""), query.get("signature", "")):
        raise ApiError(403, "this URL is not valid, or its time is over: ask for a new one")
    return store, key


@router.put("")
async def put_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    """200 when the file is safe on disk. Raises 400, 403, 408, 409, 413, 503, 507; nothing is left then."""
    store, key = _enter(context, request, project, name)
    length = request.headers.get("content-length")
    if not context.uploads.acquire(blocking=False):
        raise ApiError(503, "too many uploads at once", RETRY_SECONDS)
    try:
        incoming = await run_sync(store.begin, key, int(length) if length is not None else None)
        try:
            await _take(incoming, request.stream())
            await run_sync(incoming.keep)
        finally:
            with CancelScope(shield=True):
                await run_sync(incoming.close)
    except UploadRefused as error:
        raise ApiError(_STATUS[type(error)], str(error)) from None
    except TimeoutError:
        raise ApiError(408, f"nothing came for {SILENT_SECONDS:g} seconds") from None
    except ClientDisconnect:
        raise ApiError(400, "the file was cut off") from None
    finally:
        context.uploads.release()
    return Response()


async def _take(incoming: IncomingUpload, stream: AsyncGenerator[bytes]) -> None:
    piece = bytearray()
    while True:
        with fail_after(SILENT_SECONDS):
            more = await anext(stream, None)
        piece += more or b""
        if len(piece) >= PIECE or (more is None and piece):
            await run_sync(incoming.write, bytes(piece))
            piece.clear()
        if more is None:
            return


@router.api_route("", methods=["GET", "HEAD"])
def get_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    store, key = _enter(context, request, project, name)
    path = store.find(key)
    if path is None:
        raise not_there("upload")
    return _File(path, media_type="application/octet-stream")


@router.delete("")
def delete_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    store, key = _enter(context, request, project, name)
    store.delete(key)
    return Response(status_code=204)


def start_sweeps(store: LocalStore, cache: WatchCache, stop: threading.Event) -> None:
    """In a thread of its own, until `stop`."""
    threading.Thread(target=partial(_sweep_again, store, cache, stop), name="uploads", daemon=True).start()


def _sweep_again(store: LocalStore, cache: WatchCache, stop: threading.Event) -> None:
    while not stop.wait(min(SWEEP_SECONDS, store.settings.expiry.total_seconds())):
        try:
            sweep_uploads(store, cache, time.time())
        except Exception:
            _log.exception("unused uploads could not be deleted")


def sweep_uploads(store: LocalStore, cache: WatchCache, now: float) -> None:
    """What was put longer than `expiry` ago and no import names is deleted: the operator deletes what one names."""
    old = store.list_old(now)
    if not old or not cache.ready:
        return
    named = {one.spec.source.upload_key for one in map(parse_import, cache.list_all(IMPORTS)) if one.spec}
    for key in set(old) - named:
        store.delete(key)
        _log.info("an upload that no import named was deleted: %s", key)

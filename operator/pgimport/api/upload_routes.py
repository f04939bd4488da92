"""Routes of the embedded upload store: upload, download, measure and delete a file.

They need no API key. A signed URL allows one method on one file until it expires.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import AsyncGenerator

from anyio import CancelScope, fail_after
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from pgimport.api.api_context import ApiContext, CurrentContext
from pgimport.api.error_responses import ApiError, not_found
from pgimport.api.http_protocol import RESPONSE_SECONDS
from pgimport.model.names import PROJECTS
from pgimport.store.embedded_store import (
    IncomingUpload,
    LocalStore,
    StoreFull,
    UploadEmpty,
    UploadRefused,
    UploadTooLarge,
    UploadURLUsed,
)

CHUNK_BYTES = 1024 * 1024  # of one write or read
CHUNK_SECONDS = 60.0  # in which a chunk must arrive, so that an upload that drips does not hold a place of others
_STATUS = {UploadEmpty: 400, UploadURLUsed: 409, UploadTooLarge: 413, StoreFull: 507}
router = APIRouter(prefix="/uploads/{project}/{name}", include_in_schema=False)


class _Download(FileResponse):
    chunk_size = CHUNK_BYTES


def _verify_url(context: ApiContext, request: Request, project: str, name: str) -> tuple[LocalStore, str]:
    """Returns the store and the file's key. Raises ApiError 403, whether the file exists or not."""
    store, query = context.store, request.query_params
    if not isinstance(store, LocalStore):
        raise ApiError(404, "no such route")
    key = f"uploads/{project}/{name}"
    if not store.is_signed(request.method, key, query.get("expires", ""), query.get("signature", "")):
        raise ApiError(403, "this upload URL is invalid or has expired; request a new one")
    return store, key


@router.put("")
async def put_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    """Responds with 200 after the file was synced to disk. An upload that fails leaves no file."""
    store, key = _verify_url(context, request, project, name)
    length, expected_md5 = request.headers.get("content-length"), _read_md5(request)
    if "content-range" in request.headers:  # RFC 9110, 14.4
        raise ApiError(400, "a part of a file cannot be uploaded; send the whole file without Content-Range")
    organization = _organization_of(context, project)
    context.upload_limit.begin(organization)
    try:
        upload = await run_sync(store.begin_upload, key, int(length) if length is not None else None)
        try:
            md5 = hashlib.md5(usedforsecurity=False) if expected_md5 is not None else None
            await _receive(upload, request.stream(), md5)
            if md5 is not None and md5.digest() != expected_md5:
                raise ApiError(400, "the file that arrived is not the one of Content-MD5; upload it again")
            await run_sync(upload.commit)
        finally:
            with CancelScope(shield=True):
                await run_sync(upload.close)
    except UploadRefused as error:
        raise ApiError(_STATUS[type(error)], str(error)) from None
    except TimeoutError:
        raise ApiError(
            408, f"{CHUNK_BYTES} bytes did not arrive in {CHUNK_SECONDS:g} seconds; upload the file again"
        ) from None
    except ClientDisconnect:
        raise ApiError(400, "the connection ended before the whole file arrived; upload it again") from None
    finally:
        context.upload_limit.end(organization)
    return Response()


def _read_md5(request: Request) -> bytes | None:
    """Returns what Content-MD5 says about the file, as of S3. Raises ApiError 400."""
    text = request.headers.get("content-md5")
    try:
        md5 = base64.b64decode(text, validate=True) if text is not None else None
    except (binascii.Error, ValueError):
        md5 = b""
    if md5 is not None and len(md5) != hashlib.md5(usedforsecurity=False).digest_size:
        raise ApiError(400, "Content-MD5 must be the file's MD5 checksum in base64")
    return md5


async def _receive(upload: IncomingUpload, stream: AsyncGenerator[bytes], md5: "hashlib._Hash | None") -> None:
    """Writes the request body in chunks of CHUNK_BYTES. Raises TimeoutError and ClientDisconnect.

    `md5`: gets the chunks, if the client has sent Content-MD5. A store of S3 compares it too.
    """

    def write(chunk: bytes) -> None:
        upload.write(chunk)
        if md5 is not None:
            md5.update(chunk)

    while chunk := await _read_chunk(stream):
        await run_sync(write, chunk)


async def _read_chunk(stream: AsyncGenerator[bytes]) -> bytes:
    """Returns at least CHUNK_BYTES, or fewer at the end of the body. Raises TimeoutError and ClientDisconnect."""
    chunk = bytearray()
    with fail_after(CHUNK_SECONDS):
        while len(chunk) < CHUNK_BYTES and (data := await anext(stream, None)) is not None:
            chunk += data
    return bytes(chunk)


def _organization_of(context: ApiContext, project: str) -> str:
    """Returns the organization that uploads with a URL of this Project."""
    body = context.cache.find(PROJECTS, "", project)
    return str(body["spec"]["organizationID"]) if body is not None else project


@router.api_route("", methods=["GET", "HEAD"])
def get_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    store, key = _verify_url(context, request, project, name)
    path = store.find_file(key)
    if path is None:
        raise not_found("upload")
    # An import that waits, for example for a lock at its target, reads nothing for as long.
    request.state.response_seconds = max(int(request.query_params["expires"]) - time.time(), RESPONSE_SECONDS)
    return _Download(path, media_type="application/octet-stream")


@router.delete("")
def delete_upload(project: str, name: str, request: Request, context: CurrentContext) -> Response:
    store, key = _verify_url(context, request, project, name)
    store.delete(key)
    return Response(status_code=204)

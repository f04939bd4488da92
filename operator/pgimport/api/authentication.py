"""Authenticates requests by API key or Clerk session token, before their body is read."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from pgimport.api.api_context import ApiContext, InvalidCredentials, context_of
from pgimport.api.authorization import CallerAccess
from pgimport.api.error_responses import ApiError, kubernetes_unreachable
from pgimport.api.request_shares import RequestShares

_log = logging.getLogger(__name__)
_bearer = HTTPBearer(auto_error=False, description="Send an API key (`capy_live_…`) or a Clerk session token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Send an API key in this header.")


class AuthenticatedRoute(APIRoute):
    """A route that needs credentials."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def authenticate_and_handle(request: Request) -> Response:
            request.state.access = await _authenticate(request)
            _check_media_type(request)
            return await handle(request)

        return authenticate_and_handle


async def _authenticate(request: Request) -> CallerAccess:
    """Returns what the caller may access. Raises ApiError 401, 429, and 503 while Kubernetes does not answer."""
    bearer, key = await _bearer(request), await _header(request)
    credentials = bearer.credentials if bearer else key
    if not credentials:
        raise ApiError(401, "credentials are missing; send the header Authorization: Bearer or X-API-Key")
    return await authenticate(request, credentials)


async def authenticate(request: Request, credentials: str) -> CallerAccess:
    """Returns what the owner of the credentials may access. Raises the same errors."""
    context = context_of(request)
    now = context.now()
    try:
        # In threads of their own: credentials that must be looked up hold no thread of a request.
        threads = request.app.state.authentication_threads
        caller = await run_sync(context.authenticate, credentials.strip(), now, limiter=threads)
    except InvalidCredentials as error:
        # Valid credentials never wait: many clients may share an address, for example behind a proxy.
        address = request.client.host if request.client else ""
        _warn_of_proxy(context, request, address)
        if (wait := context.throttle.check(address, now.timestamp())) is not None:
            text = "too many failed authentication attempts from this address; try again later"
            raise ApiError(429, text, wait) from None
        context.throttle.fail(address, now.timestamp())
        raise ApiError(401, str(error)) from None
    request.state.caller = caller  # for the access log
    if not context.cache.ready:
        raise kubernetes_unreachable()
    return CallerAccess(context.cluster, context.cache, caller)


def _check_media_type(request: Request) -> None:
    """Raises ApiError 415 if the request has a body that is not JSON."""
    has_body = request.headers.get("content-length", "0") not in ("", "0") or "transfer-encoding" in request.headers
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and has_body and media_type != "application/json":
        raise ApiError(415, "the body must be JSON; send the header Content-Type: application/json")


def _warn_of_proxy(context: ApiContext, request: Request, address: str) -> None:
    """Logs once that the limit of failed attempts applies to a proxy instead of its clients.

    The address of a proxy may change, for example when its pod does. The address of a trusted proxy's client is one of
    the header.
    """
    forwarded = request.headers.get("x-forwarded-for", "")
    if not forwarded or address in forwarded or context.warned_of_proxy.is_set():
        return
    context.warned_of_proxy.set()
    _log.warning(
        "requests from %s have X-Forwarded-For, so it is a proxy, and its clients share one limit of failed"
        " authentication attempts; add its address to api.trustedProxies",
        address,
    )


async def _take_thread(
    request: Request,
    _documented_bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _documented_header: Annotated[str | None, Security(_header)],
) -> AsyncIterator[CallerAccess]:
    """Yields what the caller may access, when its organization has a thread for the route's function."""
    access: CallerAccess = request.state.access
    async with hold_thread(request, access):
        yield access


@asynccontextmanager
async def hold_thread(request: Request, access: CallerAccess) -> AsyncIterator[None]:
    """Holds one of the threads of the caller's organization. Raises ApiError 429 and 503."""
    shares: RequestShares = request.app.state.shares
    await shares.take(access.caller.organization)
    try:
        yield
    finally:
        shares.give_back(access.caller.organization)


Access = Annotated[CallerAccess, Depends(_take_thread, scope="function")]

"""Authenticates requests by API key or Clerk session token."""

import logging
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from pgimport.api.api_context import ApiContext, InvalidCredentials, context_of
from pgimport.api.authorization import CallerAccess
from pgimport.api.error_responses import ApiError, kubernetes_unreachable

_log = logging.getLogger(__name__)
_bearer = HTTPBearer(auto_error=False, description="Send an API key (`capy_live_…`) or a Clerk session token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Send an API key in this header.")


def authenticate_request(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key: Annotated[str | None, Security(_header)],
) -> CallerAccess:
    """Returns what the caller may access. Raises ApiError 401, 429, and 503 while Kubernetes does not answer."""
    context = context_of(request)
    credentials, now = bearer.credentials if bearer else key, context.now()
    if not credentials:
        raise ApiError(401, "credentials are missing; send the header Authorization: Bearer or X-API-Key")
    try:
        caller = context.authenticate(credentials.strip(), now)
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


def _warn_of_proxy(context: ApiContext, request: Request, address: str) -> None:
    """Logs once that the limit of failed attempts applies to a proxy instead of its clients."""
    if context.trusts_proxies or "x-forwarded-for" not in request.headers or context.warned_of_proxy.is_set():
        return
    context.warned_of_proxy.set()
    _log.warning(
        "requests from %s have X-Forwarded-For, so it is a proxy, and its clients share one limit of failed"
        " authentication attempts; add its address to api.trustedProxies",
        address,
    )


Access = Annotated[CallerAccess, Depends(authenticate_request)]

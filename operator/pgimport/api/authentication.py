"""Authenticates requests by API key or Clerk session token."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from pgimport.api.api_context import InvalidCredentials, context_of
from pgimport.api.authorization import CallerAccess
from pgimport.api.error_responses import ApiError, kubernetes_unreachable

_bearer = HTTPBearer(auto_error=False, description="Send an API key (`capy_live_…`) or a Clerk session token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Send an API key in this header.")


def authenticate_request(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key: Annotated[str | None, Security(_header)],
) -> CallerAccess:
    """Returns what the caller may access. Raises ApiError 401, 429, and 503 while Kubernetes does not answer."""
    context = context_of(request)
    address, now = request.client.host if request.client else "", context.now()
    if (wait := context.throttle.check(address, now.timestamp())) is not None:
        raise ApiError(429, "too many failed authentication attempts from this address; try again later", wait)
    credentials = bearer.credentials if bearer else key
    if not credentials:
        raise ApiError(401, "credentials are missing; send the header Authorization: Bearer or X-API-Key")
    try:
        caller = context.authenticate(credentials.strip(), now)
    except InvalidCredentials as error:
        context.throttle.fail(address, now.timestamp())
        raise ApiError(401, str(error)) from None
    request.state.caller = caller  # for the access log
    if not context.cache.ready:
        raise kubernetes_unreachable()
    return CallerAccess(context.cluster, context.cache, caller)


Access = Annotated[CallerAccess, Depends(authenticate_request)]

"""What all routes work with, made once by the door; and who a request comes from."""

import re
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from pgimport.api.authorization import CallerAccess
from pgimport.api.error_responses import ApiError, away
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.api_caller import Caller
from pgimport.model.source_addresses import Resolve
from pgimport.store.upload_store import UploadStore

PREFLIGHTS_AT_ONCE = 32
UPLOADS_AT_ONCE = 16  # into the embedded store
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")


class InvalidCredentials(Exception):
    """Credentials that nobody has; the text is for a person and holds nothing of them."""


class Authenticate(Protocol):
    """A key's or a token's text → its caller. Raises InvalidCredentials."""

    def __call__(self, text: str, now: datetime) -> Caller: ...


class Throttle(Protocol):
    """Failures of one address."""

    def check(self, address: str, now: float) -> int | None:
        """Seconds to wait; None where it may go on."""
        ...

    def fail(self, address: str, now: float) -> None: ...


def resolve_host(host: str, port: int) -> list[str]:
    """Every address of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """The world of the routes."""

    cluster: KubernetesClient
    cache: WatchCache
    authenticate: Authenticate
    throttle: Throttle
    store: UploadStore | None = None  # for uploads, where there is one
    secret: bytes = field(repr=False)  # of all replicas; signs what must not be guessed
    resolve: Resolve = resolve_host
    now: Callable[[], datetime] = _now
    preflight_seconds: float = 30.0
    preflights: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(PREFLIGHTS_AT_ONCE)
    )
    uploads: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(UPLOADS_AT_ONCE))


def context_of(request: Request) -> ApiContext:
    found: ApiContext = request.app.state.context
    return found


def request_id_of(given: str | None) -> str:
    """The client's own, where it is one; else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


_bearer = HTTPBearer(auto_error=False, description="An API key (`capy_live_…`) or a Clerk session token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")


def tenancy_of(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key: Annotated[str | None, Security(_header)],
) -> CallerAccess:
    """Raises 401, 429, and 503 while Kubernetes is away."""
    context = context_of(request)
    address, now = request.client.host if request.client else "", context.now()
    if (wait := context.throttle.check(address, now.timestamp())) is not None:
        raise ApiError(429, "too many failed attempts from this address", wait)
    text = bearer.credentials if bearer else key
    if not text:
        raise ApiError(401, "no credentials: send Authorization: Bearer or X-API-Key")
    try:
        caller = context.authenticate(text.strip(), now)
    except InvalidCredentials as error:
        context.throttle.fail(address, now.timestamp())
        raise ApiError(401, str(error)) from None
    request.state.caller = caller
    if not context.cache.ready:
        raise away()
    return CallerAccess(context.cluster, context.cache, caller)


Access = Annotated[CallerAccess, Depends(tenancy_of)]


async def _context_of(request: Request) -> ApiContext:
    """Not a plain function: the framework would send it to a thread, and wait."""
    return context_of(request)


CurrentContext = Annotated[ApiContext, Depends(_context_of)]

"""Objects that all routes share. They are built once at start-up."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from pgimport.api.object_limits import ObjectLimits
from pgimport.api.progress_history import ProgressHistory
from pgimport.api.request_limits import HostResolver, RequestLimit
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.model.api_caller import Caller
from pgimport.model.source_addresses import Resolve
from pgimport.store.upload_store import UploadStore

# At the same time in one replica: in all, and of one organization or Project.
MAX_PREFLIGHTS, MAX_PREFLIGHTS_EACH = 32, 8
MAX_REPORTS, MAX_REPORTS_EACH = 4, 2  # a report has up to 10 MB
MAX_UPLOADS, MAX_UPLOADS_EACH = 16, 6  # into the embedded store
MAX_LOOKUPS, MAX_LOOKUPS_EACH = 32, 8  # of host names
MAX_PAGE_STREAMS, MAX_PAGE_STREAMS_EACH = 1000, 200  # open pages that show changes at once
LOOKUP_SECONDS = 5.0
MAX_DRY_RUNS = 16  # of one Project, started through any replica, that have not ended


class InvalidCredentials(Exception):
    """An API key or session token is not valid.

    The message is shown to the client and contains no part of the key or token.
    """


class Authenticate(Protocol):
    """Returns the caller that an API key or session token belongs to. Raises InvalidCredentials."""

    def __call__(self, credentials: str, now: datetime, /) -> Caller: ...


class Throttle(Protocol):
    """Limits failed authentication attempts of each client address."""

    def check(self, address: str, now: float) -> int | None:
        """Returns the seconds that the address must wait, or None if it may try now."""
        ...

    def fail(self, address: str, now: float) -> None:
        """Counts a failed attempt."""
        ...


def resolve_host(host: str, port: int) -> list[str]:
    """Returns all addresses of a host name. Raises OSError."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(socket_address[0]) for _, _, _, _, socket_address in addresses))


def build_resolver(resolve: Resolve) -> HostResolver:
    """Builds a resolver with the API's limits."""
    return HostResolver(resolve, LOOKUP_SECONDS, MAX_LOOKUPS, MAX_LOOKUPS_EACH)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Connections, settings and limits of one API process."""

    cluster: KubernetesClient
    cache: JsonCache
    authenticate: Authenticate
    throttle: Throttle
    store: UploadStore | None = None
    secret: bytes = field(repr=False)  # shared by all replicas; signs request bodies
    resolver: HostResolver = field(default_factory=lambda: build_resolver(resolve_host))
    now: Callable[[], datetime] = _now
    preflight_seconds: float = 30.0
    max_dry_runs: int = MAX_DRY_RUNS
    shows_page: bool = True
    warned_of_proxy: threading.Event = field(default_factory=threading.Event)
    preflight_limit: RequestLimit = field(
        default_factory=lambda: RequestLimit("preflights", MAX_PREFLIGHTS, MAX_PREFLIGHTS_EACH)
    )
    report_limit: RequestLimit = field(default_factory=lambda: RequestLimit("reports", MAX_REPORTS, MAX_REPORTS_EACH))
    page_stream_limit: RequestLimit = field(
        default_factory=lambda: RequestLimit("open pages", MAX_PAGE_STREAMS, MAX_PAGE_STREAMS_EACH)
    )
    upload_limit: RequestLimit = field(default_factory=lambda: RequestLimit("uploads", MAX_UPLOADS, MAX_UPLOADS_EACH))
    object_limits: ObjectLimits
    progress_history: ProgressHistory = field(default_factory=ProgressHistory)

    def start_cache(self) -> None:
        """Starts to read and watch all objects."""
        self.cache.start(self.progress_history.observe)


# A coroutine function, because FastAPI would run a plain function in a worker thread, which takes longer.
async def _get_context(request: Request) -> ApiContext:
    return context_of(request)


def context_of(request: Request) -> ApiContext:
    """Returns the context of the application that serves the request."""
    context: ApiContext = request.app.state.context
    return context


CurrentContext = Annotated[ApiContext, Depends(_get_context)]

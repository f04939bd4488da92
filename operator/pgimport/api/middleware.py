"""ASGI middleware that gives each request an id, limits its body, and writes its log line and metrics."""

import json
import logging
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

from anyio import current_time, fail_after
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgimport.api.error_responses import ApiError, build_error_response

MAX_BODY = 64 * 1024  # bytes of a JSON body
BODY_SECONDS = 30.0  # from the end of the headers to the end of a JSON body
MAX_LOG_LINE = 2048  # bytes
OTHER_METHOD = "other"  # label of methods that no route has; each label value takes memory for ever
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60)  # seconds; a preflight takes up to 30
_UNLOGGED_ROUTES = ("/healthz", "/readyz", "/metrics")
_UPLOADS = "/v1/uploads/"
_ABSOLUTE_TARGET = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_log = logging.getLogger(__name__)
_access_log = logging.getLogger("pgimport.access")


class RequestMiddleware:
    """Wraps the whole application, so that requests which the framework refuses are logged and counted too."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route", "status")
        self._requests = Counter("pgimport_api_requests", "Number of answered requests.", labels, registry=registry)
        self._seconds = Histogram(
            "pgimport_api_request_seconds",
            "Seconds until the response.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, scope = scope["method"], _translate_request(scope)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id, started, status = choose_request_id(headers.get("x-request-id")), time.perf_counter(), 0
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            error = _check_headers(scope, headers)
            if error is not None:
                await build_error_response(error)(scope, receive, send_with_id)
            else:
                await self._app(scope, receive if _is_upload(scope) else _limit_body(receive), send_with_id)
        except Exception:
            _log.exception("request %s failed with an unexpected error", request_id)
            if status:
                raise
            text = f"an unexpected error occurred; search the API's log for the request {request_id}"
            await build_error_response(ApiError(500, text))(scope, receive, send_with_id)
        finally:
            self._record({**scope, "method": method}, status or 500, time.perf_counter() - started, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Counts the request and writes its log line."""
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else OTHER_METHOD
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if route in _UNLOGGED_ROUTES:
            return
        caller = scope["state"].get("caller")
        line = {
            "request_id": request_id,
            "method": method if method != OTHER_METHOD else scope["method"][:20],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "address": (scope.get("client") or ("",))[0],
            "caller": caller.name if caller else None,
            "organization": caller.organization if caller else None,
        }
        _access_log.info(format_log_line(line))


def format_log_line(line: dict[str, Any]) -> str:
    """Returns the line as JSON in ASCII of at most MAX_LOG_LINE bytes; a path that is too long is cut. Pure.

    JSON escapes all characters that a terminal could interpret.
    """
    path = line["path"]
    while len(text := json.dumps({**line, "path": path})) > MAX_LOG_LINE:
        excess = len(text) - MAX_LOG_LINE
        path = path[: max(len(path) - max(excess // 12, 1), 0)]  # an escaped character has at most 12 bytes
    return text


def choose_request_id(header: str | None) -> str:
    """Returns the client's X-Request-Id if it is valid, else a new random id."""
    return header if header and _REQUEST_ID.fullmatch(header) else secrets.token_hex(16)


def _translate_request(scope: Scope) -> Scope:
    """Returns the request as the routes know it.

    HEAD is answered like GET, and uvicorn leaves out the body. A target with scheme and host (RFC 9112, 3.2.2) is its
    path, and its host counts instead of the header.
    """
    changes: dict[str, Any] = {}
    if scope["method"] == "HEAD" and not scope["path"].startswith(_UPLOADS):  # whose URLs are signed for one method
        changes["method"] = "GET"
    if match := _ABSOLUTE_TARGET.match(scope["path"]):
        path = scope["path"][match.end() :] or "/"
        headers = [header for header in scope["headers"] if header[0] != b"host"]
        changes |= {"path": path, "raw_path": quote(path).encode()}
        changes["headers"] = [*headers, (b"host", match[1].encode("latin-1", "replace"))]
    return {**scope, **changes} if changes else scope


def _route_of(scope: MutableMapping[str, Any]) -> str:
    """Returns the path pattern of the route. A path with ids would give each object a metric of its own."""
    path: str = getattr(scope.get("route"), "path", "-")
    return path if path == "-" else scope.get("root_path", "") + path


def _check_headers(scope: Scope, headers: dict[str, str]) -> ApiError | None:
    """Returns an error if the headers announce a body that is too large."""
    if "content-length" in headers and "transfer-encoding" in headers:  # RFC 9112, 6.1: may be a smuggled request
        text = "send either Content-Length or Transfer-Encoding, not both"
        return ApiError(400, text, closes_connection=True)
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY and not _is_upload(scope):
        return _body_too_large()
    return None


def _is_upload(scope: Scope) -> bool:
    """Returns whether the request uploads a file. The upload route has its own limits."""
    return bool(scope["method"] == "PUT" and scope["path"].startswith(_UPLOADS))


def _body_too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MAX_BODY} bytes")


def _limit_body(receive: Receive) -> Receive:
    """Wraps `receive` so that a body is refused when it exceeds MAX_BODY, or takes longer than BODY_SECONDS."""
    received, complete, deadline = 0, False, current_time() + BODY_SECONDS

    async def receive_limited() -> Message:
        nonlocal received, complete
        if complete:  # the framework waits for the client's disconnect
            return await receive()
        try:
            with fail_after(deadline - current_time()):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
        complete = not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            error = _body_too_large()
            raise HTTPException(error.status, error.text)  # the framework handles no other exception here
        return message

    return receive_limited

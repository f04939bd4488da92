"""Around every request: its id, its size, its line in the log and its place in the metrics. Plain ASGI."""

import json
import logging
import time
from collections.abc import MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pgimport.api.api_context import request_id_of
from pgimport.api.error_responses import ApiError, answer

MAX_BODY = 64 * 1024  # bytes of a JSON body
_access = logging.getLogger("pgimport.access")


class RequestMiddleware:
    """Outermost: what the framework itself refuses is logged and counted too."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route", "status")
        self._requests = Counter("pgimport_api_requests", "Answered requests.", labels, registry=registry)
        self._seconds = Histogram(
            "pgimport_api_request_seconds", "Time to the answer.", ("method", "route"), registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id, begun, status = request_id_of(headers.get("x-request-id")), time.perf_counter(), 500
        scope.setdefault("state", {})["request_id"] = request_id

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            refused = _judge_headers(scope, headers)
            if refused is not None:
                await answer(refused)(scope, receive, tell)
            else:
                await self._app(scope, receive if _is_upload(scope) else _counted(receive), tell)
        finally:
            self._note(scope, status, time.perf_counter() - begun, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = _route_of(scope)
        self._requests.labels(scope["method"], route, str(status)).inc()
        self._seconds.labels(scope["method"], route).observe(seconds)
        if route in ("/healthz", "/readyz", "/metrics"):
            return
        caller = scope["state"].get("caller")
        line = {
            "request_id": request_id, "method": scope["method"], "path": scope["path"][:500], "status": status,
            "ms": round(seconds * 1000, 1), "address": (scope.get("client") or ("",))[0],
            "caller": caller.name if caller else None, "organization": caller.organization if caller else None,
        }  # fmt: skip
        _access.info(json.dumps(line, ensure_ascii=False))


def _route_of(scope: MutableMapping[str, Any]) -> str:
    """The route's pattern: ids would make a metric of each."""
    return getattr(scope.get("route"), "path", "-")


def _judge_headers(scope: Scope, headers: dict[str, str]) -> ApiError | None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY and not _is_upload(scope):
        return _too_large()
    has_body = length not in ("", "0") or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if scope["method"] in ("POST", "PATCH") and has_body and kind != "application/json":
        return ApiError(415, "the body must be JSON, and Content-Type must say application/json")
    return None


def _is_upload(scope: Scope) -> bool:
    """Of a file, which has its own limits."""
    return bool(scope["method"] == "PUT" and scope["path"].startswith("/v1/uploads/"))


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MAX_BODY} bytes")


def _counted(receive: Receive) -> Receive:
    """A body without Content-Length is counted as it comes."""
    taken = 0

    async def take() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            problem = _too_large()
            raise HTTPException(problem.status, problem.text)  # the framework passes on no other exception from here
        return message

    return take

"""Turns every error into a status code and the body `{"error": …}`. No text contains a value that a client sent.

400  the request is wrong             409  conflict
401  authentication failed            413  the body is too large
403  a scope is missing               415  the body is not JSON
404  not found, or not the caller's   429, 503, 504  try again later
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pgimport.kubernetes_client.api_client import is_policy_denial
from pgimport.model.errors import Conflict, Forbidden, Invalid, KubernetesUnavailable, PgimportError, StoreUnavailable

RETRY_SECONDS = 5
EXCEEDED_QUOTA = "exceeded quota"  # in the API server's words
MAX_ERRORS = 10  # in one response
MAX_FIELD = 100  # characters of a field's name, which the client chose
_log = logging.getLogger(__name__)


class ApiError(Exception):
    """An error response: its status code, its text, and the seconds for Retry-After."""

    def __init__(
        self, status: int, text: str, retry_after: int | None = None, *, closes_connection: bool = False
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after
        self.closes_connection = closes_connection


def not_found(kind: str) -> ApiError:
    """Builds the 404 response, which is the same for an object of another organization."""
    return ApiError(404, f"no such {kind}")


def kubernetes_unreachable() -> ApiError:
    """Builds the 503 response for the time in which Kubernetes does not answer."""
    return ApiError(503, "Kubernetes does not answer; try again", RETRY_SECONDS)


def build_error_response(error: ApiError) -> JSONResponse:
    """Builds the response with the headers that belong to its status."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.closes_connection:
        headers["Connection"] = "close"
    return JSONResponse({"error": error.text}, error.status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Registers a handler for each exception that a route, the framework or another package may raise.

    The middleware answers unexpected exceptions, because it knows the request's id.
    """

    @app.exception_handler(ApiError)
    async def handle_api_error(_: Request, error: ApiError) -> JSONResponse:
        return build_error_response(error)

    @app.exception_handler(HTTPException)
    async def handle_framework_error(request: Request, error: HTTPException) -> JSONResponse:
        text = "no such route" if error.status_code == 404 else str(error.detail).lower()
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_find_methods(request))
        return JSONResponse({"error": text}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        return build_error_response(ApiError(400, describe_errors(error.errors())))

    @app.exception_handler(PgimportError)
    async def handle_pgimport_error(_: Request, error: PgimportError) -> JSONResponse:
        return build_error_response(translate(error))


def _find_methods(request: Request) -> list[str]:
    """Returns all methods of the path (RFC 9110, 15.5.6). The framework names those of the first route only."""
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def translate(error: PgimportError) -> ApiError:
    """Builds the response to an error of Kubernetes or of the upload store."""
    match error:
        case KubernetesUnavailable():
            return kubernetes_unreachable()
        case StoreUnavailable():
            return ApiError(503, "the upload store does not answer; try again", RETRY_SECONDS)
        case Conflict():
            return ApiError(409, "another client changed the object at the same time; try again")
        case Invalid():
            return ApiError(400, f"Kubernetes rejected the object: {_last_sentence(str(error))}")
        case Forbidden() if is_policy_denial(str(error)):
            return ApiError(400, f"Kubernetes rejected the object: {_last_sentence(str(error))}")
        case Forbidden() if EXCEEDED_QUOTA in str(error):
            return ApiError(429, f"a quota of the namespace is used up: {_last_sentence(str(error))}", RETRY_SECONDS)
        case Forbidden():
            _log.error("the API lacks a permission: %s", error)
            text = "the API lacks a permission in the project's namespace; wait until the Project is ready"
            return ApiError(503, text, RETRY_SECONDS)
        case _:
            return not_found("object")


def _last_sentence(text: str) -> str:
    """Removes our prefix (for example `POST /apis/…: 422`) from the API server's message."""
    return text.partition(": ")[2].partition(" ")[2]


def describe_errors(errors: Sequence[Any]) -> str:
    """Names the first invalid fields and what they must be, but never their values, which may be secrets."""
    texts = list(dict.fromkeys(_describe_error(error) for error in errors))
    if len(texts) > MAX_ERRORS:
        texts[MAX_ERRORS:] = [f"and {len(texts) - MAX_ERRORS} more errors"]
    return "; ".join(texts) or "the request is not valid"


def _describe_error(error: Any) -> str:
    location, kind = [str(part) for part in error["loc"]], error["type"]
    if kind == "json_invalid":
        return f"the body is not JSON: {error.get('ctx', {}).get('error', 'it cannot be read')}"
    field = ".".join(location[1:])[:MAX_FIELD]  # the first part is body, query, path or header
    if kind == "missing" and not field:
        return "the body is missing"
    if kind == "extra_forbidden":
        return f"{field}: no such field"
    if not field and kind in ("model_type", "model_attributes_type", "dict_type"):
        return "the body must be a JSON object"
    message = error["msg"].removeprefix("Value error, ")
    text = message[:1].lower() + message[1:]
    return f"{field}: {text}" if field else text

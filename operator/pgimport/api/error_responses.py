"""What goes wrong comes in; a status and `{"error": …}` go out, whoever noticed it. No text holds what was sent.

ApiError
├── (400) wrong, (401) who, (403) not allowed, (404) not there, (409) conflict, (413) too large, (415) kind of body
└── (429, 503, 504) later: with Retry-After
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pgimport.model.errors import Conflict, Forbidden, Invalid, KubernetesUnavailable, PgimportError, StoreUnavailable

RETRY_SECONDS = 5
_log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after


def not_there(what: str) -> ApiError:
    """Also for what belongs to somebody else: the two must look the same."""
    return ApiError(404, f"no such {what}")


def away() -> ApiError:
    return ApiError(503, "Kubernetes is away; try again", RETRY_SECONDS)


def answer(problem: ApiError) -> JSONResponse:
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else None
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse({"error": problem.text}, problem.status, headers)


def add_handlers(app: FastAPI) -> None:
    """For everything that a route, the framework or our own rooms may raise."""

    @app.exception_handler(ApiError)
    async def told(_: Request, problem: ApiError) -> JSONResponse:
        return answer(problem)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        text = "no such route" if error.status_code == 404 else str(error.detail).lower()
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_find_methods(request))
        return JSONResponse({"error": text}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(ApiError(400, describe(error.errors())))

    @app.exception_handler(PgimportError)
    async def inner(_: Request, error: PgimportError) -> JSONResponse:
        return answer(translate(error))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        _log.error("an unexpected error", exc_info=error)
        return answer(ApiError(500, "an unexpected error; the API's log has it under this answer's X-Request-Id"))


def _find_methods(request: Request) -> list[str]:
    """All that this path knows (RFC 9110, 15.5.6); the framework names those of the first route alone."""
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def translate(error: PgimportError) -> ApiError:
    """What Kubernetes answered, for a client."""
    match error:
        case KubernetesUnavailable():
            return away()
        case StoreUnavailable():
            return ApiError(503, "the upload store is away; try again", RETRY_SECONDS)
        case Conflict():
            return ApiError(409, "it was changed by somebody else at the same moment; try again")
        case Invalid():
            return ApiError(400, f"Kubernetes does not accept it: {_last_sentence(str(error))}")
        case Forbidden():
            _log.error("a right is missing: %s", error)
            return ApiError(
                503, "the API lacks a right in the project's namespace; the project may not be ready yet", 5
            )
        case _:
            return not_there("object")


def _last_sentence(text: str) -> str:
    """Of `POST /apis/…: 422 PreviewDatabase "x" is invalid: spec.ttl: …`, what comes after the status."""
    return text.partition(": ")[2].partition(" ")[2]


def describe(errors: Sequence[Any]) -> str:
    """Each wrong field with what it must be; never its value, which may be a secret."""
    return "; ".join(dict.fromkeys(_sentence(one) for one in errors)) or "the request is not valid"


def _sentence(error: Any) -> str:
    where, kind = [str(part) for part in error["loc"]], error["type"]
    if kind == "json_invalid":
        return f"the body is not JSON: {error.get('ctx', {}).get('error', 'it cannot be read')}"
    place = ".".join(where[1:])
    if kind == "missing" and not place:
        return "the body is missing"
    if kind == "extra_forbidden":
        return f"{place}: no such field"
    if not place and kind in ("model_type", "model_attributes_type", "dict_type"):
        return "the body must be a JSON object"
    message = error["msg"].removeprefix("Value error, ")
    text = message[:1].lower() + message[1:]
    return f"{place}: {text}" if place else text

"""Decides who uses the page: the same credentials, scopes and limits as in the HTTP API.

The credentials are in a cookie, which a browser also sends with requests that another site makes. So each request that
changes something must come from a page of this origin.
"""

from collections.abc import AsyncIterator
from typing import Annotated, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from pgimport.api.api_context import context_of
from pgimport.api.authentication import authenticate, hold_thread
from pgimport.api.authorization import CallerAccess
from pgimport.api.error_responses import ApiError, describe_errors
from pgimport.api.page.paths import FORM_TYPE, PREFIX
from pgimport.api.page.rendering import redirect, render
from pgimport.api.page.session_cookie import CLERK_COOKIE, COOKIE, unseal

_ModelT = TypeVar("_ModelT", bound=BaseModel)
_MAX_FIELDS = 50
MAX_RETURN_PATH = 1000  # characters
START = f"{PREFIX}/imports"  # the first view after the sign-in


class SignInNeeded(Exception):
    """The browser has no valid session."""


def list_credentials(request: Request) -> list[str]:
    """Lists the API key of our cookie and the session token of Clerk's, whichever the browser has."""
    context = context_of(request)
    sealed = request.cookies.get(COOKIE)
    own = unseal(sealed, context.secret, context.now()) if sealed else None
    return [text for text in (own, request.cookies.get(CLERK_COOKIE)) if text]


async def check_origin(request: Request) -> None:
    """Raises ApiError 403 if another site made the request. Each browser since 2023 sends one of the two headers."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = site == "same-origin" or (site is None and origin is not None and urlsplit(origin).netloc == _host(request))
    if not own:
        raise ApiError(403, "another site sent this request; open the page itself and try again")


def _host(request: Request) -> str:
    return request.headers.get("host", "")


async def _read_session(request: Request) -> CallerAccess:
    """Returns what the user may access. A key that is no longer valid does not hide a session of Clerk.

    Raises SignInNeeded, and ApiError 429 and 503.
    """
    refusal: ApiError | None = None
    for credentials in list_credentials(request):
        try:
            return await authenticate(request, credentials)
        except ApiError as error:
            if error.status not in (401, 429):
                raise
            refusal = error
    if refusal is not None and refusal.status != 401:
        raise refusal
    raise SignInNeeded from refusal


async def read_form(request: Request) -> dict[str, str]:
    """Returns the fields of a form without the empty ones. The middleware has limited its size.

    Raises ApiError 400 and 415.
    """
    if request.headers.get("content-type", FORM_TYPE).partition(";")[0].strip().lower() != FORM_TYPE:
        raise ApiError(415, f"the page accepts forms only; send the header Content-Type: {FORM_TYPE}")
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise ApiError(400, "the form cannot be read") from None
    return {name: values[-1].strip() for name, values in fields.items() if values[-1].strip()}


def parse_form(model: type[_ModelT], values: dict[str, object]) -> _ModelT:
    """Returns what a form asks for, by the rules of the HTTP API. Raises ApiError 400."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise ApiError(400, describe_errors(problems)) from None


Session = Annotated[CallerAccess, Depends(_read_session)]


async def _take_thread(request: Request, session: Session) -> AsyncIterator[CallerAccess]:
    """Yields what the user may access, when its organization has a thread for the route's function."""
    async with hold_thread(request, session):
        yield session


PageAccess = Annotated[CallerAccess, Depends(_take_thread, scope="function")]
Form = Annotated[dict[str, str], Depends(read_form)]


def build_sign_in_redirect(request: Request) -> Response:
    """Answers a request without a session. A script would follow a redirect and show the sign-in inside the page.

    A browser sends no SameSite=Strict cookie when somebody follows a link of another site. So the page opens itself
    once more, and then the browser sends it.
    """
    headers = request.headers
    if "hx-request" in headers:
        path = _build_sign_in_path(headers.get("hx-current-url", ""))
        return Response(status_code=204, headers={"HX-Redirect": path, "Cache-Control": "no-store"})
    address = str(request.url) if request.method == "GET" else ""
    if address and headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
        return render("reload.html", {"title": "pgimport", "path": find_return_path(address)})
    return redirect(_build_sign_in_path(address))


def _build_sign_in_path(url: str) -> str:
    path = find_return_path(url)
    return f"{PREFIX}/sign-in?{urlencode({'next': path})}" if path != START else f"{PREFIX}/sign-in"


def find_return_path(url: str) -> str:
    """Returns the path and query to open after the sign-in: those of the URL if they are a view of the page."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return START
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return path if path.startswith(f"{PREFIX}/") and len(path) <= MAX_RETURN_PATH else START


def build_error_page(error: ApiError) -> Response:
    """Shows what went wrong, in the words of the HTTP API."""
    response = render("error.html", {"title": "Error", "status": error.status, "text": error.text}, error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response

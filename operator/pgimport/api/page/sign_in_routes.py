"""Routes that sign a browser in and out."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from pgimport.api.api_context import CurrentContext
from pgimport.api.authentication import authenticate
from pgimport.api.error_responses import ApiError
from pgimport.api.page.page_access import Form, find_return_path
from pgimport.api.page.paths import PREFIX
from pgimport.api.page.rendering import redirect, render
from pgimport.api.page.session_cookie import COOKIE, LIFETIME, seal

router = APIRouter()
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HTTPS_NEEDED = (
    "This page was opened over HTTP, and a browser keeps the session only over HTTPS or for localhost. Open it with"
    " https:// to sign in."
)


@router.get("/sign-in")
def show_sign_in(request: Request, next: str = "") -> Response:  # noqa: A002 (the usual name of this parameter)
    return _render_sign_in(request, find_return_path(next), "")


@router.post("/sign-in")
async def sign_in(request: Request, form: Form, context: CurrentContext) -> Response:
    key, path = form.get("key", ""), find_return_path(form.get("next", ""))
    try:
        if not key:
            raise ApiError(401, "enter an API key")
        await authenticate(request, key)
    except ApiError as error:
        return _render_sign_in(request, path, error.text, error.status)
    response = redirect(path)
    value = seal(key, context.secret, context.now())
    response.set_cookie(
        COOKIE, value, max_age=int(LIFETIME.total_seconds()), secure=True, httponly=True, samesite="strict"
    )
    return response


@router.post("/sign-out")
def sign_out() -> Response:
    response = redirect(f"{PREFIX}/sign-in")
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response


def _render_sign_in(request: Request, path: str, error: str, status: int = 200) -> Response:
    # A browser sends Sec-Fetch-Site only over HTTPS or to localhost. A proxy that is not trusted hides the HTTPS.
    secure = request.url.scheme == "https" or "sec-fetch-site" in request.headers
    plain = not secure and request.url.hostname not in _LOOPBACK
    values = {"title": "Sign in", "path": path, "error": error, "warning": _HTTPS_NEEDED if plain else ""}
    return render("sign_in.html", values, status)

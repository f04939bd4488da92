"""Builds the application of the page, which the HTTP API mounts under `/ui`."""

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pgimport.api.api_context import ApiContext
from pgimport.api.error_responses import ApiError, describe_errors, translate
from pgimport.api.page import changes, import_pages, preview_pages, sign_in_routes
from pgimport.api.page.page_access import (
    SignInNeeded,
    build_error_page,
    build_sign_in_redirect,
    check_origin,
)
from pgimport.api.page.paths import PREFIX
from pgimport.api.page.rendering import STATIC_FILES, hash_static, read_static, redirect
from pgimport.model.errors import PgimportError


def build_page(context: ApiContext | None) -> FastAPI:
    """Builds the page. Its errors are pages too."""
    page = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    page.state.context = context
    for module in (sign_in_routes, import_pages, preview_pages, changes):
        page.include_router(module.router, dependencies=[Depends(_check_form)])
    _add_error_pages(page)

    @page.get("/")
    def show_start() -> Response:
        return redirect(f"{PREFIX}/imports")

    @page.get("/static/{name}")
    def send_static(name: str, version: str = "") -> Response:
        if name not in STATIC_FILES:
            raise ApiError(404, "no such page")
        # During an upgrade, a replica with other files may have rendered the page.
        caching = "max-age=31536000, immutable" if version == hash_static(name) else "no-store"
        headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
        return Response(read_static(name), media_type=STATIC_FILES[name], headers=headers)

    return page


async def _check_form(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        await check_origin(request)


def _add_error_pages(page: FastAPI) -> None:
    @page.exception_handler(SignInNeeded)
    async def ask_for_credentials(request: Request, _: SignInNeeded) -> Response:
        return build_sign_in_redirect(request)

    @page.exception_handler(ApiError)
    async def show_error(_: Request, error: ApiError) -> Response:
        return build_error_page(error)

    @page.exception_handler(HTTPException)
    async def show_framework_error(_: Request, error: HTTPException) -> Response:
        text = "no such page" if error.status_code == 404 else str(error.detail).lower()
        return build_error_page(ApiError(error.status_code, text))

    @page.exception_handler(RequestValidationError)
    async def show_invalid_request(_: Request, error: RequestValidationError) -> Response:
        return build_error_page(ApiError(400, describe_errors(error.errors())))

    @page.exception_handler(PgimportError)
    async def show_pgimport_error(_: Request, error: PgimportError) -> Response:
        return build_error_page(translate(error))

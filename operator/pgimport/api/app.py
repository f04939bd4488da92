"""Builds the ASGI application with all routes, and its OpenAPI document."""

import json
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry
from starlette.types import Lifespan

from pgimport import __version__
from pgimport.api import import_routes, job_routes, preview_routes, upload_routes
from pgimport.api.api_context import ApiContext
from pgimport.api.error_responses import RETRY_SECONDS, ApiError, add_error_handlers, build_error_response
from pgimport.api.middleware import RequestMiddleware
from pgimport.api.page.paths import PREFIX
from pgimport.api.request_shares import RequestShares
from pgimport.metrics.build_info import add_build_info
from pgimport.metrics.exposition import CONTENT_TYPE, Exposition

TITLE = "pgimport"
DESCRIPTION = "Import PostgreSQL databases, live or from dump files, into preview databases."
AUTHENTICATION_THREADS = 80
_COMPONENTS = "#/components/schemas/"


def build_app(context: ApiContext | None = None, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Builds the application. Without a context it can only build its OpenAPI document."""
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        lifespan=lifespan,
    )
    registry = CollectorRegistry()
    add_build_info(registry, "api")
    app.state.context = context
    app.state.shares, app.state.authentication_threads = RequestShares(), CapacityLimiter(AUTHENTICATION_THREADS)
    add_error_handlers(app)
    for module in (import_routes, job_routes, preview_routes, upload_routes):
        app.include_router(module.router, prefix="/v1")
    _add_public_routes(app, Exposition(registry))
    if context is not None and context.shows_page:
        from pgimport.api.page.page import build_page  # its libraries are imported only if they are needed

        page = build_page(context)
        page.state.shares, page.state.authentication_threads = app.state.shares, app.state.authentication_threads
        app.mount(PREFIX, page)
    app.add_middleware(RequestMiddleware, registry=registry)
    return app


def _add_public_routes(app: FastAPI, exposition: Exposition) -> None:
    """Adds the routes that need no credentials."""
    document: dict[str, Any] = {}

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        document.update(document or build_document(app))
        return JSONResponse(document)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:  # needs no thread: it answers while all of them wait
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        context: ApiContext | None = app.state.context
        if context is None or not context.cache.ready:
            text = "Kubernetes does not answer, or the API has not read all its objects yet"
            return build_error_response(ApiError(503, text, RETRY_SECONDS))
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition.render(), media_type=CONTENT_TYPE)


def build_document(app: FastAPI) -> dict[str, Any]:
    """Builds the OpenAPI 3.1 document without the framework's own error body, which no route sends."""
    document = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return _name_components_by_title(document)


def _name_components_by_title(document: dict[str, Any]) -> dict[str, Any]:
    """Renames each component from its class's name to its title, which generated clients use."""
    titles = {name: schema.get("title", name) for name, schema in document["components"]["schemas"].items()}
    text = json.dumps(document)
    for name, title in titles.items():
        text = text.replace(f'"{_COMPONENTS}{name}"', f'"{_COMPONENTS}{title}"')
    renamed: dict[str, Any] = json.loads(text)
    schemas = {titles[name]: schema for name, schema in renamed["components"]["schemas"].items()}
    renamed["components"]["schemas"] = dict(sorted(schemas.items()))
    return renamed

"""The routes come together: a context goes in, an ASGI application comes out."""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.types import Lifespan

from pgimport import __version__
from pgimport.api import import_routes, job_routes, preview_routes, upload_routes
from pgimport.api.api_context import ApiContext
from pgimport.api.error_responses import ApiError, add_handlers, answer
from pgimport.api.middleware import RequestMiddleware

TITLE = "pgimport"
DESCRIPTION = "Bring a PostgreSQL database, live or as a dump file, into a preview database."


def build_app(context: ApiContext | None = None, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Without a context: for the OpenAPI document alone."""
    app = FastAPI(
        title=TITLE, description=DESCRIPTION, version=__version__, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False, separate_input_output_schemas=False,
        lifespan=lifespan,
    )  # fmt: skip
    registry = CollectorRegistry()
    app.state.context = context
    add_handlers(app)
    for module in (import_routes, job_routes, preview_routes, upload_routes):
        app.include_router(module.router, prefix="/v1")
    _add_own_routes(app, registry)
    app.add_middleware(RequestMiddleware, registry=registry)
    return app


def _add_own_routes(app: FastAPI, registry: CollectorRegistry) -> None:
    """Without a key."""
    document: dict[str, Any] = {}

    @app.get("/v1/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        document.update(document or build_document(app))
        return JSONResponse(document)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        context: ApiContext | None = app.state.context
        if context is None or not context.cache.ready:
            return answer(ApiError(503, "Kubernetes is away, or was not read yet", 5))
        return PlainTextResponse("ok\n")

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def build_document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1, without the framework's own shape of an error, which no route gives."""
    document = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document

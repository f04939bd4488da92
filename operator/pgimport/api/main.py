"""The API's program: settings in, uvicorn serves until it is told to stop."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from pgimport.api.app import build_app
from pgimport.api.context import Authenticate, Context, Throttle
from pgimport.cluster.cache import Cache
from pgimport.cluster.rest import Cluster, connect_cluster
from pgimport.log import start_logging
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.settings import ApiSettings, SettingsError, read_api_settings

LEAST_SECRET = 32  # bytes
THREADS = 80  # routes that wait: for Kubernetes some milliseconds each, for a preflight some seconds
STOP_SECONDS = 35  # for requests that have begun; a preflight takes 30 at most


def main(arguments: list[str]) -> int:
    """`api` takes no words: everything is in the environment."""
    try:
        settings = read_api_settings(os.environ)
        secret = _read_secret(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 78  # EX_CONFIG
    start_logging(settings.log_level)
    cluster = connect_cluster()
    context = build_context(cluster, settings, secret)
    context.cache.start()
    run(build_app(context, serve_threads), settings)
    context.cache.stop()
    return 0


def build_context(cluster: Cluster, settings: ApiSettings, secret: bytes) -> Context:
    authenticate, throttle = _build_door(cluster, settings)
    return Context(
        cluster=cluster, cache=Cache(cluster, (PROJECTS, PREVIEWS, IMPORTS)), authenticate=authenticate,
        throttle=throttle, secret=secret,
    )  # fmt: skip


def _build_door(cluster: Cluster, settings: ApiSettings) -> tuple[Authenticate, Throttle]:
    raise NotImplementedError


def _read_secret(settings: ApiSettings) -> bytes:
    try:
        secret = Path(settings.api_secret_file).read_bytes()
    except OSError as error:
        raise SettingsError(f"PGIMPORT_API_SECRET_FILE: {settings.api_secret_file}: {error.strerror}") from error
    if len(secret) < LEAST_SECRET:
        raise SettingsError(f"PGIMPORT_API_SECRET_FILE: at least {LEAST_SECRET} bytes are needed")
    return secret


@asynccontextmanager
async def serve_threads(_: FastAPI) -> AsyncIterator[None]:
    """More threads than the framework's own number: routes wait in them."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def run(app: FastAPI, settings: ApiSettings) -> None:
    """Blocks until a signal; requests that have begun are ended before it returns."""
    uvicorn.run(
        app, host="0.0.0.0", port=settings.api_port, log_config=None, access_log=False,  # noqa: S104 (a pod's port)
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=settings.trusted_proxies or "127.0.0.1",
        timeout_graceful_shutdown=STOP_SECONDS, server_header=False, h11_max_incomplete_event_size=16 * 1024,
    )  # fmt: skip

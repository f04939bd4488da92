"""The API's program: settings in, uvicorn serves until it is told to stop."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from pgimport.api.api_context import ApiContext, Authenticate
from pgimport.api.app import build_app, build_document
from pgimport.api.clerk_tokens import ClerkSettings, ClerkVerifier
from pgimport.api.failure_throttle import FailureThrottle
from pgimport.api.key_verifier import ApiKeyVerifier
from pgimport.api.upload_routes import start_sweeps
from pgimport.kubernetes_client.api_client import KubernetesClient, connect_kubernetes
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.log import start_logging
from pgimport.model.api_caller import Caller
from pgimport.model.api_keys import API_KEY_PREFIX, API_KEYS_SECRET
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.settings import ApiSettings, SettingsError, open_uploads, read_api_settings
from pgimport.store.embedded_store import LocalStore

LEAST_SECRET = 32  # bytes
THREADS = 80  # routes that wait: for Kubernetes some milliseconds each, for a preflight some seconds
STOP_SECONDS = 35  # for requests that have begun; a preflight takes 30 at most


def main(arguments: list[str]) -> int:
    """Without a word it serves, and everything is in the environment; `api openapi` prints the document."""
    if arguments == ["openapi"]:
        print(json.dumps(build_document(build_app()), indent=1, ensure_ascii=False))
        return 0
    try:
        settings = read_api_settings(os.environ)
        start_logging(settings.log_level)
        context = build_context(connect_kubernetes(), settings, _read_secret(settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 78  # EX_CONFIG
    serve(context, settings)
    return 0


def serve(context: ApiContext, settings: ApiSettings) -> None:
    """Until a signal."""
    # The server takes the signal, ends what has begun, and raises it once more: a stop that was asked for is no error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    stop = threading.Event()
    context.cache.start()
    if isinstance(context.store, LocalStore):
        start_sweeps(context.store, context.cache, stop)
    try:
        run(build_app(context, serve_threads), settings)
    finally:
        stop.set()
        context.cache.stop()


def build_context(cluster: KubernetesClient, settings: ApiSettings, secret: bytes) -> ApiContext:
    return ApiContext(
        cluster=cluster, cache=WatchCache(cluster, (PROJECTS, PREVIEWS, IMPORTS)),
        authenticate=_build_door(cluster, settings), throttle=FailureThrottle(), secret=secret,
        store=open_uploads(settings, os.environ),
    )  # fmt: skip


def _build_door(cluster: KubernetesClient, settings: ApiSettings) -> Authenticate:
    keys = ApiKeyVerifier(lambda: read_secret(cluster, settings.namespace, API_KEYS_SECRET), time.monotonic, time.sleep)
    clerk = _build_clerk(settings)

    def authenticate(text: str, now: datetime) -> Caller:
        if text.startswith(API_KEY_PREFIX) or clerk is None:
            return keys.find(text, now)
        return clerk.verify(text, now)

    return authenticate


def _build_clerk(settings: ApiSettings) -> ClerkVerifier | None:
    if settings.clerk_jwks_url is None and settings.clerk_pem_file is None:
        return None
    pem = _read_file("PGIMPORT_CLERK_PEM_FILE", settings.clerk_pem_file).decode() if settings.clerk_pem_file else None
    return ClerkVerifier(
        ClerkSettings(
            jwks_url=settings.clerk_jwks_url, pem=pem, parties=settings.clerk_parties, issuer=settings.clerk_issuer
        ),
        time.monotonic,
    )


def _read_secret(settings: ApiSettings) -> bytes:
    secret = _read_file("PGIMPORT_API_SECRET_FILE", settings.api_secret_file)
    if len(secret) < LEAST_SECRET:
        raise SettingsError(f"PGIMPORT_API_SECRET_FILE: at least {LEAST_SECRET} bytes are needed")
    return secret


def _read_file(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}: {path}: {error.strerror}") from error


@asynccontextmanager
async def serve_threads(_: FastAPI) -> AsyncIterator[None]:
    """More threads than the framework's own number: routes wait in them."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def run(app: FastAPI, settings: ApiSettings) -> None:
    """Blocks until a signal; requests that have begun are ended before it returns."""
    uvicorn.run(
        app, host="0.0.0.0", port=settings.listen_port, log_config=None, access_log=False,  # noqa: S104 (a pod's port)
        proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=settings.trusted_proxies or "127.0.0.1",
        timeout_graceful_shutdown=STOP_SECONDS, server_header=False, h11_max_incomplete_event_size=16 * 1024,
    )  # fmt: skip

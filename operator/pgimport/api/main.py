"""Runs the HTTP API: reads settings, builds the application and serves it with uvicorn."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from pgimport.api.api_context import ApiContext, Authenticate
from pgimport.api.app import build_app, build_document
from pgimport.api.failure_throttle import FailureThrottle
from pgimport.api.http_protocol import KEEP_ALIVE_SECONDS, ApiProtocol
from pgimport.api.key_verifier import ApiKeyVerifier
from pgimport.api.object_limits import ObjectLimits
from pgimport.api.request_shares import MAX_RUNNING
from pgimport.api.upload_sweep import start_upload_sweeps
from pgimport.kubernetes_client.api_client import KubernetesClient, connect_kubernetes
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.log import start_logging
from pgimport.model.api_caller import Caller
from pgimport.model.api_keys import API_KEY_PREFIX, API_KEYS_SECRET
from pgimport.model.errors import KubernetesNotConfigured
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.settings import ApiSettings, SettingsError, open_uploads, read_api_settings
from pgimport.store.embedded_store import LocalStore

MIN_SECRET_BYTES = 32
# For routes that wait (milliseconds for Kubernetes, seconds for a preflight), and for files and public routes.
THREADS = MAX_RUNNING + 40
STOP_SECONDS = 35  # for running requests; a preflight takes at most 30
EX_CONFIG = 78


def main(arguments: list[str]) -> int:
    """Serves the API, configured by the environment; with the argument `openapi`, prints the OpenAPI document.

    Returns the exit code: 0, or EX_CONFIG if a setting is missing or wrong.
    """
    if arguments == ["openapi"]:
        print(json.dumps(build_document(build_app()), indent=1, ensure_ascii=False))
        return 0
    try:
        settings = read_api_settings(os.environ)
        start_logging(settings.log_level)
        context = build_context(connect_kubernetes(), settings, _read_api_secret(settings))
    except (SettingsError, KubernetesNotConfigured) as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    serve(context, settings)
    return 0


def serve(context: ApiContext, settings: ApiSettings) -> None:
    """Starts the background threads and serves until a signal arrives."""
    # uvicorn handles SIGTERM, finishes running requests and raises the signal again: a requested stop is no error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    stop = threading.Event()
    context.start_cache()
    if isinstance(context.store, LocalStore):
        start_upload_sweeps(context.store, context.cache, stop)
    try:
        run_server(build_app(context, raise_thread_limit), settings)
    finally:
        stop.set()
        context.cache.stop()


def build_context(cluster: KubernetesClient, settings: ApiSettings, secret: bytes) -> ApiContext:
    """Builds the context of a production process. Raises SettingsError."""
    cache = JsonCache(cluster, (PROJECTS, PREVIEWS, IMPORTS, SCHEDULES), optional=(SCHEDULES,))
    return ApiContext(
        cluster=cluster,
        cache=cache,
        object_limits=ObjectLimits(cache),
        authenticate=_build_authenticate(cluster, settings),
        throttle=FailureThrottle(),
        secret=secret,
        store=open_uploads(settings, os.environ),
        shows_page=settings.page,
    )


def _build_authenticate(cluster: KubernetesClient, settings: ApiSettings) -> Authenticate:
    """Builds the function that verifies API keys and, if Clerk is configured, session tokens. Raises SettingsError."""
    keys = ApiKeyVerifier(lambda: read_secret(cluster, settings.namespace, API_KEYS_SECRET), time.monotonic, time.sleep)
    if settings.clerk_jwks_url is None and settings.clerk_pem_file is None:
        return keys.verify
    # PyJWT and cryptography are imported only if they are needed.
    from pgimport.api.clerk_tokens import ClerkSettings, ClerkVerifier

    pem = _read_file("PGIMPORT_CLERK_PEM_FILE", settings.clerk_pem_file).decode() if settings.clerk_pem_file else None
    clerk_settings = ClerkSettings(
        jwks_url=settings.clerk_jwks_url, pem=pem, parties=settings.clerk_parties, issuer=settings.clerk_issuer
    )
    clerk = ClerkVerifier(clerk_settings, time.monotonic)

    def authenticate(credentials: str, now: datetime) -> Caller:
        verify = keys.verify if credentials.startswith(API_KEY_PREFIX) else clerk.verify
        return verify(credentials, now)

    return authenticate


def _read_api_secret(settings: ApiSettings) -> bytes:
    secret = _read_file("PGIMPORT_API_SECRET_FILE", settings.api_secret_file)
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(f"PGIMPORT_API_SECRET_FILE: the file must have at least {MIN_SECRET_BYTES} bytes")
    return secret


def _read_file(variable: str, path: str) -> bytes:
    """Reads the file that an environment variable names. Raises SettingsError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}: {path}: {error.strerror}") from error


@asynccontextmanager
async def raise_thread_limit(_: FastAPI) -> AsyncIterator[None]:
    """Sets the number of worker threads; the framework's default of 40 is too low for routes that wait."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def run_server(app: FastAPI, settings: ApiSettings) -> None:
    """Serves until a signal arrives, and returns when running requests have finished."""
    uvicorn.Server(build_server_config(app, settings)).run()


def build_server_config(app: FastAPI, settings: ApiSettings) -> uvicorn.Config:
    """Builds uvicorn's settings."""
    return uvicorn.Config(
        app,
        # All addresses, with one socket for IPv4 and one for IPv6: a socket for both would show the address of a proxy
        # as ::ffff:10.0.0.1, which is not in the list of those that are trusted.
        host="",
        port=settings.listen_port,
        http=ApiProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        # uvicorn ignores a network whose address has bits after the prefix.
        forwarded_allow_ips=[str(ip_network(proxy, strict=False)) for proxy in settings.trusted_proxies],
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
        h11_max_incomplete_event_size=16 * 1024,
    )

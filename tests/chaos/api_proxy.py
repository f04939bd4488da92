"""Proxy between the operator and the API server: counts writes, cuts connections, replays old answers.

It listens for plain HTTP on loopback and passes each request on over TLS with the admin's credentials.
"""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
from aiohttp import web
from kubernetes import config
from tests.chaos.stale_answers import Answer, AnswerHistory
from tests.chaos.watch_faults import WatchFault, disturb
from tests.chaos.write_counter import ConnectionCut, WriteCounter
from tests.support import kubectl

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_FORWARDED_HEADERS = ("content-type", "accept", "user-agent")
_UNREACHABLE = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError)
STALE_POLL_SECONDS = 0.1
START_SECONDS = STOP_SECONDS = 20


def name_request(method: str, path: str) -> str:
    """Name a request like `PATCH postgresimports/status`, without object names, which differ between imports."""
    parts = re.sub(r"^/(api/v1|apis/[^/]+/[^/]+)/(namespaces/[^/]+/(?=.))?", "", path).split("/")
    return f"{method} {'/'.join([parts[0], *parts[2:]])}"


class ApiProxy:
    """The operator's only connection to Kubernetes."""

    def __init__(self, write_counter: WriteCounter) -> None:
        configuration = config.new_client_from_config(kubectl.environment()["KUBECONFIG"]).configuration
        self._write_counter, self._server = write_counter, configuration.host
        self._tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            self._tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        keys = configuration.api_key
        self._login = {"Authorization": keys["authorization"]} if "authorization" in keys else {}
        self.answer_history, self.watch_fault = AnswerHistory(), WatchFault.NONE

    async def run(self, ready: threading.Event) -> None:
        """Serve until `stop` is called. Sets `ready` when `port` is known."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        async with aiohttp.ClientSession(timeout=timeout) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._stopped.wait()
            await runner.cleanup()

    def stop(self) -> None:
        """Stop serving. Another thread may call this."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        counted = request.method in _WRITES and "/events" not in request.path
        name = name_request(request.method, request.path)
        try:
            number = self._write_counter.before_write(name) if counted else 0
            return await self._forward(request, number, name)
        except (ConnectionCut, *_UNREACHABLE):
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError from None

    async def _forward(self, request: web.Request, number: int, name: str) -> web.StreamResponse:
        is_read = request.method == "GET"
        is_watch = is_read and request.query.get("watch") in ("1", "true")
        if is_watch:
            while self.answer_history.is_stale:
                await asyncio.sleep(STALE_POLL_SECONDS)
        elif is_read and (old := self.answer_history.find(request.path_qs, request.path)) is not None:
            return web.Response(status=old.status, body=old.body, headers=old.headers)
        headers = {key: value for key, value in request.headers.items() if key.lower() in _FORWARDED_HEADERS}
        headers |= {"Accept-Encoding": "identity"} | self._login
        url = f"{self._server}{request.raw_path}"
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read() or None, ssl=self._tls
        ) as response:
            content_type = {"Content-Type": response.headers.get("Content-Type", "application/json")}
            if is_watch:
                return await self._stream(request, response, content_type)
            body = await response.read()
            if is_read:
                answer = Answer(self._write_counter.count, response.status, body, content_type)
                self.answer_history.remember(request.path_qs, answer)
            elif request.method == "POST" and response.status == 201:
                path = f"{request.path}/{json.loads(body)['metadata']['name']}"
                self.answer_history.record_created(path, number)
            self._write_counter.after_write(number, name)
            return web.Response(status=response.status, body=body, headers=content_type)

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, content_type: dict[str, str]
    ) -> web.StreamResponse:
        """Forward a watch until either side ends it. The operator may be killed at any time."""
        response = web.StreamResponse(status=upstream.status, headers=content_type)
        with suppress(ConnectionResetError):
            await response.prepare(request)
            async for line in disturb(_read_lines(upstream), self.watch_fault):
                await response.write(line)
            await response.write_eof()
        return response


async def _read_lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


@contextmanager
def run_api_proxy(write_counter: WriteCounter, folder: Path) -> Iterator[tuple[ApiProxy, Path]]:
    """Run a proxy in a thread; yield it and a kubeconfig that uses it."""
    proxy, ready = ApiProxy(write_counter), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(ready)), name="api-proxy", daemon=True)
    thread.start()
    assert ready.wait(START_SECONDS)
    path = folder / "operator-kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "chaos",
        "clusters": [{"name": "chaos", "cluster": {"server": f"http://127.0.0.1:{proxy.port}"}}],
        "users": [{"name": "chaos", "user": {"token": "replaced-by-the-proxy"}}],
        "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
    }
    path.write_text(json.dumps(content))
    try:
        yield proxy, path
    finally:
        proxy.stop()
        thread.join(STOP_SECONDS)

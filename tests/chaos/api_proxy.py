"""Between the operator and the API server: plain HTTP on loopback comes in, the same request over TLS goes out."""

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
from tests.chaos.stale_answers import Answer, Views
from tests.chaos.watch_faults import Hearing, disturb
from tests.chaos.write_counter import Cut, Effects
from tests.support import kubectl

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_PASSED_ON = ("content-type", "accept", "user-agent")
_AWAY = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError)
STALE_POLL_SECONDS = 0.1


def name_of(method: str, path: str) -> str:
    """`PATCH postgresimports/status`: without names, which differ from story to story."""
    parts = re.sub(r"^/(api/v1|apis/[^/]+/[^/]+)/(namespaces/[^/]+/(?=.))?", "", path).split("/")
    return f"{method} {'/'.join([parts[0], *parts[2:]])}"


class ApiProxy:
    """The operator's only way to Kubernetes."""

    def __init__(self, effects: Effects) -> None:
        known = config.new_client_from_config(kubectl.environment()["KUBECONFIG"]).configuration
        self._effects, self._server = effects, known.host
        self._tls = ssl.create_default_context(cafile=known.ssl_ca_cert)
        if known.cert_file:
            self._tls.load_cert_chain(known.cert_file, known.key_file)
        self._login = {"Authorization": known.api_key["authorization"]} if "authorization" in known.api_key else {}
        self.views, self.hearing = Views(), Hearing.WELL

    async def run(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
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
            await self._over.wait()
            await runner.cleanup()

    def stop(self) -> None:
        """From another thread."""
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        counted = request.method in _WRITES and "/events" not in request.path
        name = name_of(request.method, request.path)
        try:
            number = self._effects.write(name) if counted else 0
            return await self._pass_on(request, number, name)
        except (Cut, *_AWAY):
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError from None

    async def _pass_on(self, request: web.Request, number: int, name: str) -> web.StreamResponse:
        reads = request.method == "GET"
        watches = reads and request.query.get("watch") in ("1", "true")
        if watches:
            while self.views.stale:
                await asyncio.sleep(STALE_POLL_SECONDS)
        elif reads and (old := self.views.find(request.path_qs, request.path)) is not None:
            return web.Response(status=old.status, body=old.body, headers=old.headers)
        headers = {key: value for key, value in request.headers.items() if key.lower() in _PASSED_ON}
        headers |= {"Accept-Encoding": "identity"} | self._login
        url = f"{self._server}{request.raw_path}"
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read() or None, ssl=self._tls
        ) as answer:
            kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            if watches:
                return await self._stream(request, answer, kind)
            body = await answer.read()
            if reads:
                self.views.remember(request.path_qs, Answer(self._effects.count, answer.status, body, kind))
            elif request.method == "POST" and answer.status == 201:
                self.views.made(f"{request.path}/{json.loads(body)['metadata']['name']}", number)
            self._effects.written(number, name)
            return web.Response(status=answer.status, body=body, headers=kind)

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, kind: dict[str, str]
    ) -> web.StreamResponse:
        """A watch, until either side ends it; the one who watches may be killed at any time."""
        response = web.StreamResponse(status=answer.status, headers=kind)
        with suppress(ConnectionResetError):
            await response.prepare(request)
            async for line in disturb(_lines(answer), self.hearing):
                await response.write(line)
            await response.write_eof()
        return response


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in answer.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"


@contextmanager
def run_api_proxy(effects: Effects, folder: Path) -> Iterator[tuple[ApiProxy, Path]]:
    """And a kubeconfig that leads through it."""
    proxy, ready = ApiProxy(effects), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(ready)), name="api-proxy", daemon=True)
    thread.start()
    assert ready.wait(20)
    path = folder / "kubeconfig-of-the-operator"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "chaos",
        "clusters": [{"name": "chaos", "cluster": {"server": f"http://127.0.0.1:{proxy.port}"}}],
        "users": [{"name": "chaos", "user": {"token": "the-proxy-knows-better"}}],
        "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
    }
    path.write_text(json.dumps(content))
    try:
        yield proxy, path
    finally:
        proxy.stop()
        thread.join(20)

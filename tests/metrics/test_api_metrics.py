"""The API renders its metrics at most once a second: everyone may read them."""

import asyncio

import httpx
import pytest

from pgimport.api.app import build_app
from pgimport.metrics import exposition


def test_the_metrics_of_the_api_are_rendered_at_most_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> tuple[httpx.Response, str, str]:
        transport = httpx.ASGITransport(build_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            monkeypatch.setattr(exposition, "INTERVAL_SECONDS", 1000.0)
            first = await client.get("/metrics")
            await client.get("/healthz")
            again = (await client.get("/metrics")).text
            monkeypatch.setattr(exposition, "INTERVAL_SECONDS", 0.0)
            return first, again, (await client.get("/metrics")).text

    first, again, later = asyncio.run(read())
    assert first.headers["content-type"].startswith("text/plain; version=")
    assert 'pgimport_build_info{component="api"' in first.text
    assert again == first.text
    assert 'route="/healthz"' in later
    assert 'le="40.0",method="GET",route="/healthz"' in later  # above the longest preflight

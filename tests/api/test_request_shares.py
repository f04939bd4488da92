"""No organization takes the threads of another, however slow its requests are."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx
import pytest
from tests.api.conftest import SOURCE, Api, serve

from pgimport.api import request_shares
from pgimport.api.error_responses import ApiError
from pgimport.api.request_shares import MAX_RUNNING_EACH, RequestShares
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import NotFound


@dataclass
class HangingKubernetes:
    """Answers no read until the test ends."""

    answers: threading.Event = field(default_factory=threading.Event)
    reads: list[str] = field(default_factory=list)

    def get(self, path: str) -> dict[str, Any]:
        self.reads.append(path)
        self.answers.wait(60)
        raise NotFound(path)


@pytest.fixture
def hanging() -> Iterator[HangingKubernetes]:
    kubernetes = HangingKubernetes()
    yield kubernetes
    kubernetes.answers.set()


def test_slow_requests_of_one_organization_do_not_delay_another(
    api: Api, hanging: HangingKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_shares, "WAIT_SECONDS", 60.0)
    monkeypatch.setattr(request_shares, "MAX_WAITING_EACH", 50)
    slow, quick = ({"X-API-Key": api.keys[name]} for name in ("all", "foreign"))
    # Only 32 requests may wait for the first read of the keys, which is slow on a busy machine.
    assert api.call("GET", "/projects/shop/jobs").status_code == 200

    async def run(url: str) -> tuple[int, Counter[int]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=f"{url}/v1", timeout=60, limits=limits) as client:
            requests = [asyncio.create_task(client.get(f"/jobs/shop.slow-{n}", headers=slow)) for n in range(90)]
            refused = asyncio.create_task(wait_for_refusals(requests, 90 - MAX_RUNNING_EACH - 50))
            await refused
            status = (await client.get("/projects/den/jobs", headers=quick)).status_code
            running = len(hanging.reads)
            hanging.answers.set()
            assert running == MAX_RUNNING_EACH
            return status, Counter([(await request).status_code for request in requests])

    cluster = cast("KubernetesClient", hanging)
    with serve(replace(api.context, cluster=cluster)) as url:
        status, statuses = asyncio.run(run(url))
    assert (status, statuses) == (200, {404: MAX_RUNNING_EACH + 50, 429: 90 - MAX_RUNNING_EACH - 50})


async def wait_for_refusals(requests: list["asyncio.Task[httpx.Response]"], count: int) -> None:
    for _, ended in zip(range(count), asyncio.as_completed(requests), strict=False):
        response = await ended
        assert (response.status_code, response.headers["retry-after"]) == (429, "5")


async def has_place(shares: RequestShares, key: str) -> "asyncio.Task[None]":
    """Begins to wait for a place, and returns the task that waits."""
    task = asyncio.create_task(shares.take(key))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_free_places_go_to_the_organizations_in_turn() -> None:
    async def run() -> None:
        shares = RequestShares(total=2, each=2)
        await shares.take("acme")
        await shares.take("acme")
        waiting = [await has_place(shares, key) for key in ("acme", "acme", "rivals")]
        shares.give_back("acme")
        shares.give_back("acme")
        await asyncio.wait([waiting[0], waiting[2]])
        assert not waiting[1].done()
        shares.give_back("rivals")
        await waiting[1]

    asyncio.run(run())


def test_a_request_that_gives_up_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        shares = RequestShares(total=1, each=1)
        await shares.take("acme")
        cancelled, granted = await has_place(shares, "rivals"), await has_place(shares, "rivals")
        cancelled.cancel()
        await asyncio.wait([cancelled])
        shares.give_back("acme")  # to the second one, which is cancelled at the same moment
        granted.cancel()
        await asyncio.wait([granted])
        await shares.take("third")
        monkeypatch.setattr(request_shares, "WAIT_SECONDS", 0.01)
        for key, status in (("third", 429), ("fourth", 503)):
            with pytest.raises(ApiError) as refused:
                await shares.take(key)
            assert refused.value.status == status
        shares.give_back("third")
        await shares.take("fourth")

    asyncio.run(run())


@pytest.mark.parametrize(
    "body",
    [{"content": b"<a/>", "headers": {"Content-Type": "text/xml"}}, {"content": b"{"}, {"json": {"no": 1}}],
    ids=["not JSON", "half of JSON", "an unknown field"],
)
def test_the_key_is_checked_before_the_body(api: Api, body: dict[str, Any]) -> None:
    response = api.call("POST", "/projects/shop/imports", "wrong", **body)
    assert (response.status_code, set(response.json())) == (401, {"error"})
    assert api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE}).status_code == 202

"""What is remembered: the newest of what was listed, watched and written, and nothing that was missed."""

import time
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest
from kmock import Request
from tests.support.kubernetes import Kubernetes, Refusal, a_body

from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.watch_cache import WatchCache
from pgimport.model.names import IMPORTS

PATH = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{IMPORTS}"
ALL = f"/apis/capydb.dev/v1alpha1/{IMPORTS}"


@pytest.fixture
def cache(cluster: KubernetesClient) -> Iterator[WatchCache]:
    found = WatchCache(cluster, (IMPORTS,))
    found.start()
    assert found.wait_for(lambda: found.ready, 20)
    yield found
    found.stop()


@pytest.fixture
def name() -> str:
    return f"import-{token_hex(4)}"


def make(cluster: KubernetesClient, name: str, **spec: Any) -> dict[str, Any]:
    return cluster.create(PATH, a_body(IMPORTS, name, spec=spec))


def is_watch(request: Request) -> bool:
    return request.url.path == ALL and request.params.get("watch") == "true"


def lists(kubernetes: Kubernetes) -> list[Request]:
    return [one for one in kubernetes.requests("GET", ALL) if not is_watch(one)]


def sees(cache: WatchCache, name: str, check: Callable[[Any], bool] = bool) -> bool:
    return cache.wait_for(lambda: check(cache.find(IMPORTS, "shop", name)), 10)


def test_what_others_do_is_seen(cache: WatchCache, cluster: KubernetesClient, name: str) -> None:
    make(cluster, name, jobs=1)
    assert sees(cache, name)
    cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
    assert sees(cache, name, lambda found: found["spec"] == {"jobs": 2})
    cluster.delete(f"{PATH}/{name}")
    assert sees(cache, name, lambda found: found is None)


def test_the_newer_one_stays(cache: WatchCache, cluster: KubernetesClient, name: str) -> None:
    old = make(cluster, name, jobs=1)
    new = cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
    cache.remember(IMPORTS, new)
    cache.remember(IMPORTS, old)
    found = cache.find(IMPORTS, "shop", name)
    assert found is not None
    assert found["spec"] == {"jobs": 2}


def test_a_version_that_is_too_old_is_listed_anew(kubernetes: Kubernetes, cluster: KubernetesClient, name: str) -> None:
    """The watch is refused by 410; what happened before is in the second list."""
    kubernetes.emulator.faults.refusals.append(Refusal(is_watch, 410))
    found = WatchCache(cluster, (IMPORTS,))
    before = len(lists(kubernetes))
    found.start()
    try:
        assert found.wait_for(lambda: found.ready, 20)
        make(cluster, name)
        assert sees(found, name)
        assert len(lists(kubernetes)) - before == 2
    finally:
        found.stop()


def test_who_waits_hears_of_the_first_answer(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    """It comes after the list here, and no object changes meanwhile."""
    kubernetes.refuse("GET", "/version", 503, times=1)
    found = WatchCache(cluster, (IMPORTS,))
    begun = time.monotonic()
    found.start()
    try:
        assert found.wait_for(lambda: found.ready, 60)
        assert time.monotonic() - begun < 30
    finally:
        found.stop()


def test_while_nothing_answers_it_is_not_ready(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    now = [1000.0]
    found = WatchCache(cluster, (IMPORTS,), lambda: now[0])
    found.start()
    try:
        assert found.wait_for(lambda: found.ready, 20)
        kubernetes.refuse("GET", "/version", 503, times=1000)
        time.sleep(0.1)
        now[0] += 3600
        assert not found.ready
        kubernetes.emulator.faults.refusals.clear()
        deadline = time.monotonic() + 20
        while not found.ready:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        found.stop()


def test_newest_first_and_page_by_page(cache: WatchCache, cluster: KubernetesClient) -> None:
    names = [f"page-{number}-{token_hex(3)}" for number in range(3)]
    for one in names:
        make(cluster, one)
        assert sees(cache, one)
    listed = [one["metadata"]["name"] for one in cache.list_newest(IMPORTS, "shop")]
    assert [one for one in listed if one in names] == names[::-1]
    assert cache.list_newest(IMPORTS, "mall") == []
    assert set(names) <= {one["metadata"]["name"] for one in cache.list_all(IMPORTS)}
    assert len(cache.list_newest(IMPORTS, "shop", limit=2)) == 2

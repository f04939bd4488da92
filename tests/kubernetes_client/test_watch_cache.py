"""Tests of the watch cache: it always has the newest version that was listed, watched or written."""

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
    cache = WatchCache(cluster, (IMPORTS,))
    cache.start()
    assert cache.wait_for(lambda: cache.ready, 20)
    yield cache
    cache.stop()


def create_import(cluster: KubernetesClient, name: str, **spec: Any) -> dict[str, Any]:
    return cluster.create(PATH, a_body(IMPORTS, name, spec=spec))


def is_watch(request: Request) -> bool:
    return request.url.path == ALL and request.params.get("watch") == "true"


def list_requests(kubernetes: Kubernetes) -> list[Request]:
    return [request for request in kubernetes.requests("GET", ALL) if not is_watch(request)]


def shows(cache: WatchCache, name: str, check: Callable[[Any], bool] = bool) -> bool:
    return cache.wait_for(lambda: check(cache.find(IMPORTS, "shop", name)), 10)


def test_changes_of_others_appear_in_the_cache(cache: WatchCache, cluster: KubernetesClient, name: str) -> None:
    create_import(cluster, name, jobs=1)
    assert shows(cache, name)
    cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
    assert shows(cache, name, lambda body: body["spec"] == {"jobs": 2})
    cluster.delete(f"{PATH}/{name}")
    assert shows(cache, name, lambda body: body is None)


def test_a_newer_version_is_not_replaced(cache: WatchCache, cluster: KubernetesClient, name: str) -> None:
    old = create_import(cluster, name, jobs=1)
    new = cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
    cache.remember(IMPORTS, new)
    cache.remember(IMPORTS, old)
    body = cache.find(IMPORTS, "shop", name)
    assert body is not None
    assert body["spec"] == {"jobs": 2}


def test_a_watch_whose_version_is_too_old_lists_again(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    """The API server refuses the watch with 410; the second list contains earlier changes."""
    kubernetes.emulator.faults.refusals.append(Refusal(is_watch, 410))
    cache = WatchCache(cluster, (IMPORTS,))
    before = len(list_requests(kubernetes))
    cache.start()
    try:
        assert cache.wait_for(lambda: cache.ready, 20)
        create_import(cluster, name)
        assert shows(cache, name)
        assert len(list_requests(kubernetes)) - before == 2
    finally:
        cache.stop()


def test_waiting_threads_wake_at_the_first_response(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    """The first response comes after the list, and no object changes meanwhile."""
    kubernetes.refuse("GET", "/version", 503, times=1)
    cache = WatchCache(cluster, (IMPORTS,))
    started = time.monotonic()
    cache.start()
    try:
        assert cache.wait_for(lambda: cache.ready, 60)
        assert time.monotonic() - started < 30
    finally:
        cache.stop()


def test_the_cache_is_not_ready_while_nothing_responds(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    now = [1000.0]
    cache = WatchCache(cluster, (IMPORTS,), lambda: now[0])
    cache.start()
    try:
        assert cache.wait_for(lambda: cache.ready, 20)
        kubernetes.refuse("GET", "/version", 503, times=1000)
        time.sleep(0.1)
        now[0] += 3600
        assert not cache.ready
        kubernetes.emulator.faults.refusals.clear()
        deadline = time.monotonic() + 20
        while not cache.ready:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        cache.stop()


def test_objects_are_listed_newest_first_in_pages(cache: WatchCache, cluster: KubernetesClient) -> None:
    names = [f"page-{number}-{token_hex(3)}" for number in range(3)]
    for name in names:
        create_import(cluster, name)
        assert shows(cache, name)
    listed = [body["metadata"]["name"] for body in cache.list_newest(IMPORTS, "shop")]
    assert [name for name in listed if name in names] == names[::-1]
    assert cache.list_newest(IMPORTS, "mall") == []
    assert set(names) <= {body["metadata"]["name"] for body in cache.list_all(IMPORTS)}
    assert len(cache.list_newest(IMPORTS, "shop", limit=2)) == 2

"""Tests of the watch cache: it always has the newest version that was listed, watched or written."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from secrets import token_hex
from typing import Any

import pytest
from kmock import Request
from tests.support.kubernetes import Kubernetes, Refusal, a_body

from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.json_cache import CachedJson, JsonCache
from pgimport.model.names import IMPORTS, SCHEDULES

PATH = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{IMPORTS}"
ALL = f"/apis/capydb.dev/v1alpha1/{IMPORTS}"


@pytest.fixture
def cache(cluster: KubernetesClient) -> Iterator[JsonCache]:
    cache = JsonCache(cluster, (IMPORTS,))
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


def shows(cache: JsonCache, name: str, check: Callable[[Any], bool] = bool) -> bool:
    return cache.wait_for(lambda: check(cache.find(IMPORTS, "shop", name)), 10)


def test_changes_of_others_appear_in_the_cache(cache: JsonCache, cluster: KubernetesClient, name: str) -> None:
    create_import(cluster, name, jobs=1)
    assert shows(cache, name)
    cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
    assert shows(cache, name, lambda body: body["spec"] == {"jobs": 2})
    cluster.delete(f"{PATH}/{name}")
    assert shows(cache, name, lambda body: body is None)


def test_the_cache_keeps_no_annotations(cache: JsonCache, cluster: KubernetesClient, name: str) -> None:
    body = a_body(IMPORTS, name, spec={"jobs": 1})
    body["metadata"]["annotations"] = {"example.com/notes": "x" * 200_000}
    cluster.create(PATH, body)
    assert shows(cache, name)
    content = cache.find_content(IMPORTS, "shop", name)
    assert content is not None
    assert len(content.body) < 1000


def test_a_newer_version_is_not_replaced(cache: JsonCache, cluster: KubernetesClient, name: str) -> None:
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
    cache = JsonCache(cluster, (IMPORTS,))
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
    cache = JsonCache(cluster, (IMPORTS,))
    started = time.monotonic()
    cache.start()
    try:
        assert cache.wait_for(lambda: cache.ready, 60)
        assert time.monotonic() - started < 30
    finally:
        cache.stop()


@pytest.mark.parametrize("status", [403, 404])
def test_a_kind_without_its_crd_or_a_right_counts_as_listed_only_if_it_is_optional(
    kubernetes: Kubernetes, cluster: KubernetesClient, status: int
) -> None:
    with kubernetes_refusing(kubernetes, f"/{SCHEDULES}", status):
        for optional, listed in (((SCHEDULES,), True), ((), False)):
            cache = JsonCache(cluster, (IMPORTS, SCHEDULES), optional=optional)
            cache.start()
            try:
                assert cache.wait_for(partial(is_listed, cache), 20 if listed else 2) is listed
            finally:
                cache.stop()


def is_listed(cache: JsonCache) -> bool:
    return cache.listed


@contextmanager
def kubernetes_refusing(kubernetes: Kubernetes, part: str, status: int) -> Iterator[None]:
    kubernetes.refuse("GET", part, status, times=1000)
    try:
        yield
    finally:
        kubernetes.emulator.faults.refusals.clear()


def test_the_cache_is_not_ready_while_nothing_responds(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    now = [1000.0]
    cache = JsonCache(cluster, (IMPORTS,), lambda: now[0])
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


def test_objects_are_listed_newest_first_in_pages(cache: JsonCache, cluster: KubernetesClient) -> None:
    names = [f"page-{number}-{token_hex(3)}" for number in range(3)]
    for name in names:
        create_import(cluster, name, project="shop")
        assert shows(cache, name)
    listed = [body["metadata"]["name"] for body in cache.list_newest(IMPORTS, "shop", "shop")]
    assert [name for name in listed if name in names] == names[::-1]
    assert cache.list_newest(IMPORTS, "mall", "mall") == []
    assert set(names) <= {body["metadata"]["name"] for body in cache.list_all(IMPORTS)}
    assert len(cache.list_newest(IMPORTS, "shop", "shop", limit=2)) == 2


def test_a_list_is_sorted_again_only_after_a_change(cluster: KubernetesClient) -> None:
    class CountingCache(JsonCache):
        sorts = 0

        def list_contents(self, kind: str, namespace: str | None = None) -> list[tuple[str, CachedJson]]:
            self.sorts += 1
            return super().list_contents(kind, namespace)

    cache = CountingCache(cluster, (IMPORTS,))

    def list_names(before: str = "") -> list[str]:
        return [body["metadata"]["name"] for body in cache.list_newest(IMPORTS, "shop", "shop", before=before)]

    bodies = {name: a_body(IMPORTS, name, spec={"project": "shop"}) for name in "abc"}
    for name in "ab":
        cache.remember(IMPORTS, bodies[name] | {"metadata": a_meta(name, version=1)})
    assert [list_names() for _ in range(5)] == [["b", "a"]] * 5
    assert list_names(before="2026-01-01T12:00:00Z b") == ["a"]
    assert cache.sorts == 1
    cache.remember(IMPORTS, bodies["c"] | {"metadata": a_meta("c", version=1)})
    assert list_names() == ["c", "b", "a"]
    cache._drop_unlisted(IMPORTS, {("shop", "a")}, 1)
    assert list_names() == ["a"]
    assert cache.sorts == 3


class RecordingCache(JsonCache):
    """Records what it reports: the name, and whether the cache had the object at that time."""

    def __init__(self, cluster: KubernetesClient) -> None:
        super().__init__(cluster, (IMPORTS,))
        self.reports: list[tuple[str, bool]] = []

    def record(self) -> None:
        self.start(lambda _, body: self._report(body["metadata"]["name"]), lambda key, _: self._report(key.name))

    def stop(self) -> None:
        """Waits until the emulator has answered the watch: an answer that comes later would keep it from ending."""
        deadline = time.monotonic() + 10
        while self._kinds[IMPORTS].end_watch is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        super().stop()

    def _report(self, name: str) -> None:
        self.reports.append((name, self.find(IMPORTS, "shop", name) is not None))

    def wait_for_removal(self, name: str) -> list[bool]:
        """Waits for the report of a removal. Returns what the reports about the object said before."""
        deadline = time.monotonic() + 10
        while (name, False) not in self.reports:
            assert time.monotonic() < deadline, self.reports
            time.sleep(0.01)
        shown = [cached for reported, cached in self.reports if reported == name]
        return shown[: shown.index(False)]


def test_changes_and_removals_are_reported_after_the_cache_has_them(cluster: KubernetesClient, name: str) -> None:
    create_import(cluster, name)
    cache = RecordingCache(cluster)
    cache.record()
    try:
        assert cache.wait_for(lambda: cache.ready, 20)
        cluster.patch(f"{PATH}/{name}", {"spec": {"jobs": 2}})
        assert shows(cache, name, lambda body: body["spec"] == {"jobs": 2})
        cluster.delete(f"{PATH}/{name}")
        assert shows(cache, name, lambda body: body is None)
        assert len(cache.wait_for_removal(name)) >= 2  # the emulator's watch repeats what was listed
    finally:
        cache.stop()


def test_a_stop_is_no_failure_of_the_watch(cluster: KubernetesClient, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    cache = RecordingCache(cluster)
    cache.record()
    assert cache.wait_for(lambda: cache.ready, 20)
    cache.stop()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert [record.getMessage() for record in caplog.records if "failed" in record.getMessage()] == []


def test_an_object_whose_deletion_was_lost_goes_with_the_next_list(cluster: KubernetesClient, name: str) -> None:
    cache = RecordingCache(cluster)
    cache.remember(IMPORTS, a_body(IMPORTS, name) | {"metadata": a_meta(name, version=1)})
    cache.record()
    try:
        assert cache.wait_for(lambda: cache.ready, 20)
        assert cache.find(IMPORTS, "shop", name) is None
        assert cache.wait_for_removal(name) == []
    finally:
        cache.stop()


def test_an_object_that_was_written_during_a_list_stays(cluster: KubernetesClient, name: str) -> None:
    """The list is older than the write, so it lacks the object."""
    cache = RecordingCache(cluster)
    cache.remember(IMPORTS, a_body(IMPORTS, name) | {"metadata": a_meta(name, version=10**9)})
    cache.record()
    try:
        assert cache.wait_for(lambda: cache.ready, 20)
        assert cache.find(IMPORTS, "shop", name) is not None
    finally:
        cache.stop()


def a_meta(name: str, version: int) -> Json:
    created = "2026-01-01T12:00:00Z"
    return {"name": name, "namespace": "shop", "resourceVersion": str(version), "creationTimestamp": created}

"""Tests of lists: the API server and the operator's cache give the same answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.kubernetes import a_body

from pgimport.kubernetes_client import api_paths, resource_lists
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.resource_cache import ResourceCache
from pgimport.kubernetes_client.resource_lists import DirectLists, ResourceLists
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportOwner

SPEC = {
    "project": "shop",
    "source": {"urlSecretRef": {"name": "source", "key": "url"}},
    "target": {"previewDatabase": "pr-42"},
}
STATES = ("pending", "running", "completed", "failed", "cancelled")


def start_cache(cluster: KubernetesClient) -> ResourceCache:
    cache = ResourceCache(cluster)
    cache.start()
    assert cache.wait_for(lambda: cache.listed, 20)
    return cache


@pytest.fixture
def imports(cluster: KubernetesClient, name: str) -> str:
    """Creates an import of each state, and returns the beginning of their names."""
    for state in STATES:
        create_import(cluster, f"{name}-{state}", status={"state": state, "cleanedUp": state == "failed"})
    create_import(cluster, f"{name}-new")
    return name


def create_import(cluster: KubernetesClient, name: str, **parts: Any) -> dict[str, Any]:
    return cluster.create(api_paths.resource(IMPORTS, "shop"), a_body(IMPORTS, name, spec=SPEC, **parts))


@pytest.fixture(params=[DirectLists, start_cache], ids=["API server", "cache"])
def lists(request: pytest.FixtureRequest, cluster: KubernetesClient, imports: str) -> Iterator[ResourceLists]:
    create: Callable[[KubernetesClient], ResourceLists] = request.param
    lists = create(cluster)
    yield lists
    if isinstance(lists, ResourceCache):
        lists.stop()


def test_active_imports_have_not_ended(lists: ResourceLists, imports: str) -> None:
    listed = [item.meta.name for item in lists.list_active_imports("shop") if item.meta.name.startswith(imports)]
    assert sorted(listed) == [f"{imports}-{state}" for state in ("new", "pending", "running")]
    assert lists.list_active_imports("mall") == []


def test_ended_imports_are_owners_too(lists: ResourceLists, cluster: KubernetesClient, imports: str) -> None:
    listed = {owner.uid: owner for owner in lists.list_import_owners("shop")}
    for state in (*STATES, "new"):
        uid = cluster.get(api_paths.resource(IMPORTS, "shop", f"{imports}-{state}"))["metadata"]["uid"]
        owner = listed[uid]
        assert (owner.project, bool(owner.cleaned_up)) == ("shop", state == "failed")
    assert lists.list_import_owners("mall") == []


def test_previews_and_projects_are_listed(cluster: KubernetesClient, lists: ResourceLists, name: str) -> None:
    for kind, namespace in ((PREVIEWS, "shop"), (PROJECTS, "")):
        body = cluster.create(api_paths.resource(kind, namespace), a_body(kind, name, namespace or None, spec={}))
        lists.remember(kind, body)
    assert name in [item.meta.name for item in lists.list_previews("shop")]
    assert name not in [item.meta.name for item in lists.list_previews("mall")]
    assert name in [item.meta.name for item in lists.list_projects()]


def test_the_cache_keeps_little_of_an_import_that_has_ended(cluster: KubernetesClient, imports: str) -> None:
    cache = start_cache(cluster)
    try:
        content = cache.find_content(IMPORTS, "shop", f"{imports}-failed")
        assert isinstance(content, ImportOwner)
    finally:
        cache.stop()


def test_our_own_write_is_in_the_next_list(cluster: KubernetesClient, name: str) -> None:
    """The watch shows it later."""
    cache = ResourceCache(cluster)
    body = create_import(cluster, name)
    cache.remember(IMPORTS, body)
    assert [item.meta.name for item in cache.list_active_imports("shop")] == [name]


def test_an_object_that_is_being_deleted_is_left_to_the_watch(cluster: KubernetesClient, name: str) -> None:
    """The write may have removed its last finalizer, and the watch may have shown its end already."""
    cache = ResourceCache(cluster)
    body = create_import(cluster, name)
    body["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    cache.remember(IMPORTS, body)
    assert cache.list_active_imports("shop") == []


def test_running_imports_are_listed_from_the_api_server(cluster: KubernetesClient, imports: str) -> None:
    listed = [item.meta.name for item in resource_lists.list_running_imports(cluster, "shop")]
    assert [name for name in listed if name.startswith(imports)] == [f"{imports}-running"]


def test_the_imports_of_an_upload_are_listed(cluster: KubernetesClient, name: str) -> None:
    for number in range(2):
        spec = SPEC | {"source": {"uploadKey": f"uploads/shop/{name}-{number}"}}
        cluster.create(api_paths.resource(IMPORTS, "shop"), a_body(IMPORTS, f"{name}-{number}", spec=spec))
    listed = resource_lists.list_imports_of_upload(cluster, "shop", f"uploads/shop/{name}-1")
    assert [item.meta.name for item in listed] == [f"{name}-1"]

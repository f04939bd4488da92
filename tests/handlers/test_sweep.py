"""The sweep finds changes that no watch has shown, and costs little if many imports have ended."""

from collections.abc import Iterator

import pytest
from tests.support.kubernetes import Kubernetes, a_body, run_kubernetes

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.handlers.sweep import sweep_once
from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ResourceKey
from pgimport.model.watch_scope import WatchScope
from pgimport.reconcile.work_queue import ReconcileResult, WorkQueue

NEW, ENDED = ResourceKey(IMPORTS, "shop", "new"), ResourceKey(IMPORTS, "shop", "ended")
SCHEDULE = ResourceKey(SCHEDULES, "shop", "new")
PREVIEW, PROJECT = ResourceKey(PREVIEWS, "shop", "new"), ResourceKey(PROJECTS, "", "shop")


class RecordingQueue(WorkQueue):
    """Records what is added."""

    def __init__(self) -> None:
        super().__init__(lambda _: ReconcileResult())
        self.added: set[ResourceKey] = set()

    def add(self, key: ResourceKey, after: float = 0.0) -> None:
        self.added.add(key)


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[Kubernetes]:
    """An API server with a Project, a preview, a schedule, a new import and one that has ended."""
    with run_kubernetes() as emulated:
        cluster = emulated.connect()
        for key in (NEW, PREVIEW, SCHEDULE):
            cluster.create(api_paths.resource(key.kind, "shop"), a_body(key.kind, key.name))
        cluster.create(api_paths.resource(IMPORTS, "shop"), a_body(IMPORTS, "ended", status={"state": "completed"}))
        cluster.create(api_paths.resource(PROJECTS), a_body(PROJECTS, "shop", None, spec={"namespace": "shop"}))
        yield emulated


def sweep(kubernetes: Kubernetes, shown: dict[ResourceKey, int], scope: WatchScope | None = None) -> set[ResourceKey]:
    """Sweeps once, after the watches have shown these versions. Returns what was enqueued."""
    queue = RecordingQueue()
    versions = ObservedVersions(lambda key: shown.get(key, 0))
    sweep_once(kubernetes.connect(), queue, versions, scope or WatchScope())
    return queue.added


def test_what_no_watch_has_shown_is_enqueued(kubernetes: Kubernetes) -> None:
    assert sweep(kubernetes, {}) == {NEW, PREVIEW, PROJECT, SCHEDULE}
    assert sweep(kubernetes, {PREVIEW: 10**9, PROJECT: 10**9, SCHEDULE: 10**9}) == {NEW}


def test_objects_outside_of_the_scope_are_left_to_another_operator(kubernetes: Kubernetes) -> None:
    assert sweep(kubernetes, {}, WatchScope(("blog",))) == set()


def test_imports_that_have_ended_are_not_asked_for(kubernetes: Kubernetes) -> None:
    assert ENDED not in sweep(kubernetes, {})
    request = [item for item in kubernetes.requests("GET") if item.url.path.endswith(IMPORTS)][-1]
    assert "PartialObjectMetadataList" in request.headers["Accept"]
    ended = "status.state!=completed,status.state!=failed,status.state!=cancelled"
    assert request.params["fieldSelector"] == ended


@pytest.mark.parametrize("status", [403, 404])
def test_other_kinds_are_swept_without_the_crd_of_schedules_or_the_right_to_list_them(
    kubernetes: Kubernetes, status: int
) -> None:
    kubernetes.refuse("GET", f"/{SCHEDULES}", status)
    assert sweep(kubernetes, {}) == {NEW, PREVIEW, PROJECT}

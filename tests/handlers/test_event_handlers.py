"""Event handlers: what they enqueue, and how a sweep detects a stalled watch."""

import threading
from typing import Any

import kopf
import pytest

from pgimport.handlers.event_handlers import (
    PREVIEW_DELAY,
    SETTLED_DELAY,
    EventTargets,
    configure_kopf,
    enqueue,
    enqueue_owner,
    enqueue_removed,
    find_settled_delay,
    is_settled,
)
from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.handlers.sweep import build_key
from pgimport.kubernetes_client.resource_cache import CachedResource
from pgimport.model.names import (
    GROUP,
    IMPORTS,
    LABEL_EPHEMERAL,
    LABEL_IMPORT,
    LABEL_IMPORT_UID,
    PREVIEWS,
    PROJECTS,
    SCHEDULES,
)
from pgimport.model.resources import ImportOwner, ResourceKey
from pgimport.model.watch_scope import EVERYWHERE, WatchScope
from pgimport.reconcile.pod_history import PodHistory
from pgimport.reconcile.work_queue import ReconcileResult, WorkQueue

FIRST, OTHER = ResourceKey(IMPORTS, "shop", "first"), ResourceKey(IMPORTS, "shop", "other")


# --- stalled watches ---


class Watches:
    """The newest version of each object that a watch has shown."""

    def __init__(self) -> None:
        self.shown: dict[ResourceKey, int] = {}
        self.versions = ObservedVersions(lambda key: self.shown.get(key, 0))


def test_a_version_that_a_watch_has_shown_is_not_missing() -> None:
    watches = Watches()
    watches.shown[FIRST] = 7
    assert watches.versions.compare({FIRST: 7}) == set()
    assert watches.versions.compare({FIRST: 6}) == set()
    assert watches.versions.stalled is None


def test_a_version_that_no_watch_has_shown_is_missing_and_twice_in_a_row_is_a_stall() -> None:
    watches = Watches()
    watches.shown[FIRST] = 7
    assert watches.versions.compare({FIRST: 8, OTHER: 3}) == {FIRST, OTHER}
    assert watches.versions.stalled is None
    watches.shown[OTHER] = 3
    assert watches.versions.compare({FIRST: 8, OTHER: 3}) == {FIRST}
    assert watches.versions.stalled == "the watch has stalled: no event of postgresimports/shop/first for two sweeps"


def test_a_stall_ends_with_the_event() -> None:
    watches = Watches()
    for _ in range(2):
        watches.versions.compare({FIRST: 8})
    assert watches.versions.stalled is not None
    watches.shown[FIRST] = 8
    watches.versions.compare({FIRST: 8})
    assert watches.versions.stalled is None


def test_events_that_come_one_sweep_late_are_no_stall() -> None:
    watches = Watches()
    for version in range(10, 20):
        watches.versions.compare({FIRST: version})
        watches.shown[FIRST] = version
    assert watches.versions.stalled is None


def test_a_deleted_object_is_forgotten() -> None:
    watches = Watches()
    watches.versions.compare({FIRST: 8})
    watches.versions.compare({})
    watches.versions.compare({})
    assert watches.versions.stalled is None


class RecordingQueue(WorkQueue):
    """Records what is added."""

    def __init__(self) -> None:
        super().__init__(lambda _: ReconcileResult())
        self.added: list[tuple[ResourceKey, float]] = []

    def add(self, key: ResourceKey, after: float = 0.0) -> None:
        self.added.append((key, after))


def a_target(queue: WorkQueue, scope: WatchScope = EVERYWHERE) -> EventTargets:
    return EventTargets(queue=queue, versions=Watches().versions, pod_history=PodHistory(), scope=scope)


# --- settled objects ---


def a_body(state: str | None = None, generation: int = 1, **changes: Any) -> dict[str, Any]:
    status = {"observedGeneration": 1} | ({"state": state} if state else {})
    return {"metadata": {"name": "first", "namespace": "shop", "generation": generation}, "status": status | changes}


def a_condition(status: str) -> dict[str, str]:
    return {"type": "Ready", "status": status}


@pytest.mark.parametrize(
    ("body", "settled"),
    [
        pytest.param(a_body(), False, id="never reconciled"),
        pytest.param({"metadata": {"name": "first", "generation": 1}}, False, id="without a status"),
        pytest.param(a_body("pending"), False, id="pending"),
        pytest.param(a_body("running"), False, id="running"),
        pytest.param(a_body("completed"), False, id="completed and not cleaned up"),
        pytest.param(a_body("completed", cleanedUp=True), True, id="completed and cleaned up"),
        pytest.param(a_body("failed", cleanedUp=True), True, id="failed and cleaned up"),
        pytest.param(a_body("cancelled", cleanedUp=True), True, id="cancelled and cleaned up"),
        pytest.param(a_body("completed", 2, cleanedUp=True), False, id="changed since"),
        pytest.param(a_body("ready"), True, id="a preview that is ready"),
        pytest.param(a_body("expired"), True, id="a preview that has expired"),
        pytest.param(a_body(ready=True), True, id="a project that is ready"),
        pytest.param(a_body(ready=False), False, id="a project that is not"),
        pytest.param(a_body(conditions=[a_condition("True")]), True, id="a schedule that waits for its next time"),
        pytest.param(a_body(conditions=[a_condition("False")]), False, id="a schedule that is stalled"),
        pytest.param(a_body("pending", conditions=[a_condition("True")]), False, id="a state counts first"),
    ],
)
def test_an_object_is_settled_after_its_clean_up_or_when_it_is_ready(body: dict[str, Any], settled: bool) -> None:
    assert is_settled(body) is settled


def test_an_object_that_is_being_deleted_is_never_settled() -> None:
    body = a_body("ready")
    body["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    assert not is_settled(body)


def test_an_ephemeral_import_is_never_settled() -> None:
    body = a_body("completed", cleanedUp=True)
    body["metadata"]["labels"] = {LABEL_EPHEMERAL: "true"}
    assert not is_settled(body)


@pytest.mark.parametrize(("deleted", "settled"), [({}, False), ({"uploadDeleted": True}, True)])
def test_an_import_is_settled_when_its_upload_is_deleted(deleted: dict[str, bool], settled: bool) -> None:
    """Seen before: an operator that started during the retention never deleted the file."""
    body = a_body("completed", cleanedUp=True, **deleted)
    assert is_settled(body | {"spec": {"source": {"uploadKey": "uploads/shop/a"}}}) is settled


@pytest.mark.parametrize(("state", "settled"), [("pending", False), ("delivered", True), ("failed", True)])
def test_an_object_with_a_pending_delivery_is_not_settled(state: str, settled: bool) -> None:
    """So a restart sends it."""
    deliveries = [{"id": "1", "state": state}]
    assert is_settled(a_body("completed", cleanedUp=True, webhookDeliveries=deliveries)) is settled
    assert is_settled(a_body("ready", webhookDeliveries=deliveries)) is settled


def test_the_key_of_a_project_has_no_namespace() -> None:
    assert build_key(PROJECTS, {"name": "shop"}) == ResourceKey(PROJECTS, "", "shop")


# --- events of Jobs and pods ---


@pytest.mark.parametrize(
    ("meta", "key"),
    [
        pytest.param({"labels": {LABEL_IMPORT: "first"}}, FIRST, id="a pod, by its label"),
        pytest.param(
            {
                "labels": {LABEL_IMPORT: "o-12345678"},
                "ownerReferences": [{"kind": "PostgresImport", "name": "first", "uid": "x"}],
            },
            FIRST,
            id="a Job, by its owner",
        ),
        pytest.param(
            {"labels": {LABEL_IMPORT: "first"}, "ownerReferences": [{"kind": "Job", "name": "pgi-one", "uid": "x"}]},
            FIRST,
            id="a pod that its Job owns",
        ),
        pytest.param({}, None, id="neither label nor owner"),
    ],
)
def test_an_event_of_a_job_or_a_pod_enqueues_its_import(meta: dict[str, Any], key: ResourceKey | None) -> None:
    enqueued: list[ResourceKey] = []
    last = threading.Event()

    def work(taken: ResourceKey) -> ReconcileResult:
        enqueued.append(taken)
        if taken == OTHER:
            last.set()
        return ReconcileResult()

    queue = WorkQueue(work, workers=1)
    targets = a_target(queue)
    body: Any = {"metadata": {"name": "x", "namespace": "shop", **meta}}
    enqueue_owner(targets, kopf.Body(body))
    queue.add(OTHER, after=0.01)
    queue.start()
    assert last.wait(5)
    queue.stop()
    assert enqueued == ([key, OTHER] if key else [OTHER])


@pytest.mark.parametrize(
    ("kind", "body", "delay"),
    [
        pytest.param(IMPORTS, a_body("running"), 0.0, id="an import at work"),
        pytest.param(IMPORTS, a_body("completed", cleanedUp=True), None, id="an import that is over"),
        pytest.param(PREVIEWS, a_body("pending"), 0.0, id="a preview that is not ready"),
        pytest.param(PROJECTS, a_body(ready=True), SETTLED_DELAY, id="a project that is ready"),
        pytest.param(
            SCHEDULES, a_body(conditions=[a_condition("True")]), SETTLED_DELAY, id="a schedule that becomes due"
        ),
    ],
)
def test_settled_objects_are_enqueued_later_than_others(kind: str, body: dict[str, Any], delay: float | None) -> None:
    queue = RecordingQueue()
    enqueue(a_target(queue), kind, body)
    assert queue.added == ([] if delay is None else [(build_key(kind, body["metadata"]), delay)])


def test_ready_previews_come_last_and_not_all_at_once() -> None:
    queue = RecordingQueue()
    body = a_body("ready")
    enqueue(a_target(queue), PREVIEWS, body)
    key = build_key(PREVIEWS, body["metadata"])
    assert queue.added == [(key, find_settled_delay(key))]
    delays = {find_settled_delay(ResourceKey(PREVIEWS, "shop", f"pr-{number}")) for number in range(200)}
    assert len(delays) > 10
    assert SETTLED_DELAY < PREVIEW_DELAY == min(delays)


def test_events_outside_of_the_scope_are_of_another_operator() -> None:
    queue = RecordingQueue()
    targets = a_target(queue, WatchScope(("shop",)))
    for namespace in ("shop", "blog"):
        metadata = {"name": "x", "namespace": namespace, "labels": {LABEL_IMPORT: "x"}}
        project = {"metadata": {"name": namespace}, "spec": {"namespace": namespace}}
        body: Any
        for kind, body in ((IMPORTS, {"metadata": metadata}), (PREVIEWS, {"metadata": metadata}), (PROJECTS, project)):
            enqueue(targets, kind, body)
        pod: Any = {"metadata": metadata}
        enqueue_owner(targets, kopf.Body(pod))
        enqueue_removed(targets, ResourceKey(PREVIEWS, namespace, "gone"), None)
    item, gone = ResourceKey(IMPORTS, "shop", "x"), ResourceKey(PREVIEWS, "shop", "gone")
    enqueued = [item, ResourceKey(PREVIEWS, "shop", "x"), ResourceKey(PROJECTS, "", "shop"), item, gone]
    assert [key for key, _ in queue.added] == enqueued


@pytest.mark.parametrize(
    ("key", "last", "enqueued"),
    [
        pytest.param(FIRST, None, True, id="an import that the cache did not have"),
        pytest.param(
            FIRST, ImportOwner(name="x", uid="x", project="shop", cleaned_up=False), True, id="not cleaned up"
        ),
        pytest.param(FIRST, ImportOwner(name="x", uid="x", project="shop", cleaned_up=True), False, id="cleaned up"),
        pytest.param(
            FIRST,
            ImportOwner(name="x", uid="x", project="shop", cleaned_up=True, undelivered=True),
            True,
            id="with a pending delivery",
        ),
        pytest.param(ResourceKey(PREVIEWS, "shop", "first"), None, True, id="a preview"),
        pytest.param(ResourceKey(PROJECTS, "", "shop"), None, False, id="a project"),
    ],
)
def test_others_learn_of_a_removed_object_that_may_have_owned_something(
    key: ResourceKey, last: CachedResource | None, enqueued: bool
) -> None:
    queue = RecordingQueue()
    enqueue_removed(a_target(queue), key, last)
    assert queue.added == ([(key, 0.0)] if enqueued else [])


def test_kopf_posts_nothing_scans_nothing_and_watches_by_label() -> None:
    settings = kopf.OperatorSettings()
    configure_kopf(settings)
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.watching.label_selectors["", "v1", "pods"] == LABEL_IMPORT_UID
    assert settings.watching.label_selectors["batch", "v1", "jobs"] == LABEL_IMPORT_UID
    # The API server reads it as an integer.
    assert isinstance(settings.watching.server_timeout, int)
    assert settings.persistence.finalizer.startswith(GROUP)
    observed: Any = a_body("running")
    assert settings.persistence.diffbase_storage.build(body=kopf.Body(observed)) == {}

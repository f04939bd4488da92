"""Imports that a queue holds, on an emulated Kubernetes API. The test acts as Kueue and as the Job controller."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, now, running
from tests.handlers.stepwise_operator import EmptyLists, Operator, create_ready_preview, key
from tests.support.kubernetes import Json, a_body

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.resource_lists import list_running_imports
from pgimport.model.names import IMPORTS, LABEL_JOB_UID, LABEL_QUEUE, PREVIEWS, PROJECTS, attempt_names
from pgimport.model.uploads import UploadSettings, build_object_key
from pgimport.store.upload_store import UploadStore

pytestmark = pytest.mark.slow


class FakeStore:
    """A store whose URLs say when they were signed. It has every file."""

    settings = UploadSettings(endpoint="http://store.test", max_bytes=100)

    def __init__(self) -> None:
        self.signed = 0

    def sign_put(self, key: str, api_url: str) -> str:
        raise NotImplementedError

    def sign_get(self, key: str, lifetime: timedelta) -> str:
        self.signed += 1
        return f"http://store.test/{key}?number={self.signed}&hours={lifetime.total_seconds() / 3600:g}"

    def find_size(self, key: str) -> int | None:
        return 50

    def delete(self, key: str) -> None:
        pass


def create_queued_import(
    tenant: Tenant, name: str, source: Json | None = None, store: UploadStore | None = None
) -> tuple[Operator, Json]:
    create_ready_preview(tenant, name)
    spec = {
        "project": "shop",
        "source": source or {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": name},
        "timeout": "2h",
    }
    body = a_body(IMPORTS, name, spec=spec)
    body["metadata"]["labels"] = {LABEL_QUEUE: "imports"}
    tenant.create(api_paths.resource(IMPORTS, NAMESPACE), body)
    operator = Operator(tenant.kubernetes)
    policy = replace(operator.context.policy, uploads=store is not None)
    operator.context = replace(operator.context, store=store, policy=policy)
    operator.reconcile(key(IMPORTS, name))
    return operator, tenant.job(name)


def suspend(tenant: Tenant, job: Json, suspended: bool) -> None:
    path = api_paths.jobs(NAMESPACE, job["metadata"]["name"])
    tenant.cluster.patch(path, {"spec": {"suspend": suspended}})
    status = {"startTime": None if suspended else now()}
    tenant.cluster.patch(path, [{"op": "add", "path": "/status", "value": status}])


def create_workload(tenant: Tenant, job: Json, message: str) -> None:
    uid = job["metadata"]["uid"]
    workload = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {"name": f"job-{uid}", "namespace": NAMESPACE, "labels": {LABEL_JOB_UID: uid}},
        "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": message}]},
    }
    tenant.create(api_paths.workloads(NAMESPACE, "v1beta2"), workload)


def shown(tenant: Tenant, name: str) -> tuple[str, str, str]:
    status = tenant.status(name)
    ready = status["conditions"][0]
    return status["state"], ready["reason"], ready["message"]


def test_an_import_waits_in_its_queue_and_runs_when_it_is_admitted(tenant: Tenant, name: str) -> None:
    """Seen before: it was `running` without a pod, and ended after its timeout."""
    operator, job = create_queued_import(tenant, name)
    assert (job["spec"]["suspend"], job["metadata"]["labels"][LABEL_QUEUE]) == (True, "imports")
    operator.reconcile(key(IMPORTS, name))
    assert shown(tenant, name)[:2] == ("pending", "Queued")
    create_workload(tenant, job, "insufficient unused quota for cpu")
    operator.reconcile(key(IMPORTS, name))
    expected = "The import waits in queue imports: insufficient unused quota for cpu"
    assert shown(tenant, name) == ("pending", "Queued", expected)
    status = tenant.status(name)
    assert ("startedAt" in status, "pendingSince" in status) == (False, False)
    assert tenant.status(name, PREVIEWS)["activeImportName"] == name
    suspend(tenant, job, False)
    operator.reconcile(key(IMPORTS, name))
    assert shown(tenant, name)[:2] == ("running", "Running")
    assert "startedAt" in tenant.status(name)


def test_a_preempted_import_drops_its_shadow_and_starts_again(tenant: Tenant, name: str) -> None:
    operator, job = create_queued_import(tenant, name)
    suspend(tenant, job, False)
    pods: list[Any] = []
    for _ in range(2):
        pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
        operator.reconcile(key(IMPORTS, name))
        pods.append(pod)
        names = attempt_names(pod)
        assert tenant.exists(names.database, names.role) == (True, True)
        suspend(tenant, job, True)
        tenant.cluster.delete(api_paths.core(NAMESPACE, "pods", pod))
        operator.reconcile(key(IMPORTS, name))
        assert shown(tenant, name)[:2] == ("pending", "Queued")
        assert tenant.exists(names.database, names.role) == (False, False)
        assert tenant.status(name, PREVIEWS)["activeImportName"] == name
        suspend(tenant, job, False)
        operator.reconcile(key(IMPORTS, name))
        assert shown(tenant, name)[:2] == ("running", "Running")
    status = tenant.status(name)
    history = [(attempt["podUID"], attempt["number"], attempt["reason"]) for attempt in status["attemptHistory"]]
    assert history == [(pod, 0, "Preempted") for pod in pods]
    assert status["attempts"] == 0


def test_an_admitted_import_sees_a_slot_that_the_cache_still_shows_as_free(tenant: Tenant, name: str) -> None:
    path = api_paths.resource(PROJECTS, name="shop")
    running_imports = len(list_running_imports(tenant.cluster, NAMESPACE))  # of the other tests
    tenant.cluster.patch(path, {"spec": {"limits": {"maxConcurrentImports": running_imports + 1}}})
    try:
        operator, job = create_queued_import(tenant, name)
        operator.context = replace(operator.context, lists=EmptyLists())
        tenant.apply_import(f"{name}-other")
        other = f"{api_paths.resource(IMPORTS, NAMESPACE, f'{name}-other')}/status"
        tenant.cluster.patch(other, {"status": {"state": "running", "job": "pgi-other"}})
        suspend(tenant, job, False)
        operator.reconcile(key(IMPORTS, name))
        assert shown(tenant, name)[:2] == ("pending", "WaitingForSlot")
        tenant.cluster.delete(other.removesuffix("/status"))
        operator.reconcile(key(IMPORTS, name))
        assert shown(tenant, name)[:2] == ("running", "Running")
    finally:
        tenant.cluster.patch(path, {"spec": {"limits": None}})


def read_urls(tenant: Tenant, job: Json) -> dict[str, str]:
    secret = tenant.read_secret(job["metadata"]["name"])
    assert secret is not None
    return {name: base64.b64decode(value).decode(errors="replace") for name, value in secret["data"].items()}


def test_the_url_of_an_upload_is_renewed_until_the_admission(tenant: Tenant, name: str) -> None:
    """Seen before: the URL expired in the queue, and the Secret could not be changed."""
    upload = build_object_key("shop", bytes(16))
    operator, job = create_queued_import(tenant, name, {"uploadKey": upload}, FakeStore())
    first = read_urls(tenant, job)
    assert first["url"] == f"http://store.test/{upload}?number=1&hours=3"
    operator.reconcile(key(IMPORTS, name))
    assert read_urls(tenant, job) == first
    path = f"{api_paths.resource(IMPORTS, NAMESPACE, name)}/status"
    tenant.cluster.patch(path, {"status": {"uploadSignedAt": "2026-01-01T00:00:00Z"}})
    operator.reconcile(key(IMPORTS, name))
    assert read_urls(tenant, job) == {**first, "url": f"http://store.test/{upload}?number=2&hours=3"}
    suspend(tenant, job, False)
    operator.reconcile(key(IMPORTS, name))
    assert read_urls(tenant, job) == {**first, "url": f"http://store.test/{upload}?number=3&hours=3"}
    assert shown(tenant, name)[:2] == ("running", "Running")

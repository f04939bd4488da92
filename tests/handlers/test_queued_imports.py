"""Imports that a queue holds, on an emulated Kubernetes API. The test acts as Kueue and as the Job controller."""

from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, now, running
from tests.handlers.stepwise_operator import Operator, create_ready_preview, key
from tests.support.kubernetes import Json, a_body

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, LABEL_JOB_UID, LABEL_QUEUE, PREVIEWS, attempt_names

pytestmark = pytest.mark.slow


def create_queued_import(tenant: Tenant, name: str) -> tuple[Operator, Json]:
    create_ready_preview(tenant, name)
    spec = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": name},
    }
    body = a_body(IMPORTS, name, spec=spec)
    body["metadata"]["labels"] = {LABEL_QUEUE: "imports"}
    tenant.create(api_paths.resource(IMPORTS, NAMESPACE), body)
    operator = Operator(tenant.kubernetes)
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

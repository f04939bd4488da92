"""Imports in a queue of Kueue's own controller: they wait, run when they are admitted, and are preempted."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from tests.e2e.fixtures import name_for_worker
from tests.e2e.kueue_controller import run_kueue
from tests.e2e.postgres_pods import DATABASES, Source
from tests.e2e.tenant import (
    IMPORTS,
    PROJECTS,
    READY_SECONDS,
    Tenant,
    condition_of,
    make_tenant,
    reason_of,
    remove_tenant,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import LABEL_JOB_UID

pytestmark = [pytest.mark.cluster, pytest.mark.kueue]

API_VERSION = "kueue.x-k8s.io/v1beta2"
GROUP = "kueue.x-k8s.io"
QUEUE, FLAVOR = "imports", "pgimport-tests"
CLUSTER_QUEUE, LOW, HIGH = "pgimport-tests", "pgimport-tests-low", "pgimport-tests-high"
NAMESPACE = name_for_worker("e2e-kueue")
TIMEOUT = timedelta(seconds=90)


def build_queue_manifests(imports: int) -> list[Manifest]:
    """Builds a queue whose quota is enough for this many imports at once, with two priorities."""

    def body(kind: str, name: str, **parts: object) -> Manifest:
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, **parts}

    quota = {"cpu": f"{imports * 100 + 50}m", "memory": f"{imports}Gi"}  # an import requests 100m and 128Mi
    resources = [{"name": name, "nominalQuota": amount} for name, amount in quota.items()]
    group = {"coveredResources": list(quota), "flavors": [{"name": FLAVOR, "resources": resources}]}
    return [
        body("ResourceFlavor", FLAVOR),
        body(
            "ClusterQueue",
            CLUSTER_QUEUE,
            spec={
                "namespaceSelector": {},
                "preemption": {"withinClusterQueue": "LowerPriority"},
                "resourceGroups": [group],
            },
        ),
        body("WorkloadPriorityClass", LOW, value=10),
        body("WorkloadPriorityClass", HIGH, value=100),
        {
            "apiVersion": API_VERSION,
            "kind": "LocalQueue",
            "metadata": {"name": QUEUE, "namespace": NAMESPACE},
            "spec": {"clusterQueue": CLUSTER_QUEUE},
        },
    ]


def set_quota(imports: int) -> None:
    """Creates the queue, or changes its quota. The webhook may need a moment after the start of Kueue."""

    def try_apply() -> bool:
        try:
            kubectl.apply(*build_queue_manifests(imports))
        except kubectl.KubectlError as error:
            errors.append(str(error))
            return False
        return True

    errors: list[str] = []
    kubectl.wait_until(try_apply, "Kueue accepts the queue", READY_SECONDS, lambda: errors[-1])


def hold_queue(held: bool) -> None:
    """With `held`, Kueue admits nothing."""
    change = {"spec": {"stopPolicy": "Hold" if held else "None"}}
    kubectl.merge_patch(f"clusterqueues.{GROUP}", CLUSTER_QUEUE, None, change)


@pytest.fixture(scope="module")
def queued_tenant(source: Source) -> Iterator[Tenant]:
    """A Project whose imports wait in a queue of a running Kueue."""
    with run_kueue(NAMESPACE):
        try:
            tenant = make_tenant(NAMESPACE, source, queueName=QUEUE)
            tenant.make_secrets({name: source.url(name) for name in DATABASES})
            set_quota(1)
            yield tenant
        finally:
            remove_tenant(NAMESPACE)
            kubectl.wait_until(lambda: kubectl.find("namespace", NAMESPACE) is None, "its namespace is gone", 120)
            for kind, *names in (
                ("clusterqueues", CLUSTER_QUEUE),
                ("resourceflavors", FLAVOR),
                ("workloadpriorityclasses", LOW, HIGH),
            ):
                kubectl.delete(f"{kind}.{GROUP}", *names)


@pytest.fixture(autouse=True)
def _open_queue(queued_tenant: Tenant) -> Iterator[None]:
    """Lets the queue admit one import at a time after each test."""
    yield
    hold_queue(False)
    set_quota(1)


def start(tenant: Tenant, name: str, secret: str, priority: str = LOW, **spec: object) -> None:
    manifest = tenant.import_manifest(name, secret, name, **spec)
    manifest["metadata"]["labels"] = {f"{GROUP}/priority-class": priority}
    kubectl.create(manifest)


def list_workloads(tenant: Tenant, selector: str) -> list[Manifest]:
    return kubectl.list_objects(f"workloads.{GROUP}", tenant.name, selector)


def read_workload(tenant: Tenant, name: str) -> Manifest:
    (job,) = tenant.jobs(tenant.get(name)["metadata"]["uid"])
    (workload,) = list_workloads(tenant, f"{LABEL_JOB_UID}={job['metadata']['uid']}")
    return workload


def shows_the_message_of_its_workload(tenant: Tenant, name: str) -> bool:
    message = condition_of(read_workload(tenant, name), "QuotaReserved").get("message")
    shown = condition_of(tenant.get(name)).get("message")
    return bool(message) and shown == f"The import waits in queue {QUEUE}: {message}"


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_an_import_waits_in_its_queue_for_longer_than_its_timeout(queued_tenant: Tenant) -> None:
    tenant = queued_tenant
    tenant.make_previews("waiting")
    hold_queue(True)
    start(tenant, "waiting", "small", timeout=f"{TIMEOUT.seconds}s", startTimeout="60s")
    body = tenant.wait_for_reason("waiting", "Queued")
    assert state_of(body) == "pending"
    assert "startedAt" not in body["status"]
    assert tenant.preview("waiting")["status"]["activeImportName"] == "waiting"
    kubectl.wait_until(
        lambda: shows_the_message_of_its_workload(tenant, "waiting"),
        "its message is Kueue's",
        READY_SECONDS,
        lambda: f"{tenant.describe(IMPORTS, 'waiting')}\n{read_workload(tenant, 'waiting')['status']}",
    )
    time.sleep(TIMEOUT.seconds + 5)
    assert (state_of(tenant.get("waiting")), reason_of(tenant.get("waiting"))) == ("pending", "Queued")
    assert tenant.pods(body["metadata"]["uid"]) == []
    assert read_workload(tenant, "waiting")["spec"]["priorityClassRef"]["name"] == LOW
    hold_queue(False)
    status = tenant.wait_for_end("waiting", "completed")["status"]
    assert read_time(status["startedAt"]) - read_time(status["createdAt"]) > TIMEOUT
    assert tenant.tables("waiting") == ["things"]


def test_a_queued_import_is_suspended_resumed_and_cancelled(queued_tenant: Tenant) -> None:
    tenant = queued_tenant
    tenant.make_previews("changed")
    hold_queue(True)
    start(tenant, "changed", "small")
    uid = tenant.wait_for_reason("changed", "Queued")["metadata"]["uid"]
    tenant.change("changed", suspend=True)
    tenant.wait_for_reason("changed", "Suspended")
    kubectl.wait_until(lambda: not tenant.jobs(uid), "its Job is gone", READY_SECONDS)
    tenant.change("changed", suspend=False)
    tenant.wait_for_reason("changed", "Queued")
    (job,) = tenant.jobs(uid)
    tenant.change("changed", cancel=True)
    body = tenant.wait_for_end("changed", "cancelled", READY_SECONDS)
    tenant.assert_nothing_left(body)
    kubectl.wait_until(lambda: not tenant.jobs(uid), "its Job is gone", READY_SECONDS)
    kubectl.wait_until(
        lambda: not list_workloads(tenant, f"{LABEL_JOB_UID}={job['metadata']['uid']}"),
        "its Workload is gone",
        READY_SECONDS,
    )


def test_a_preempted_import_waits_again_and_completes(queued_tenant: Tenant) -> None:
    tenant = queued_tenant
    tenant.make_previews("low", "high")
    start(tenant, "low", "slow")
    before = tenant.wait_until_copying("low")
    start(tenant, "high", "small", HIGH)
    body = tenant.wait_for_reason("low", "Queued")
    assert state_of(body) == "pending"
    assert "startedAt" not in body["status"]
    assert tenant.preview("low")["status"]["activeImportName"] == "low"
    kubectl.wait_until(lambda: tenant.attempts_on_server(before) == [], "its shadow is gone", READY_SECONDS)
    tenant.wait_for_end("high", "completed")
    ended = tenant.wait_for_end("low", "completed")
    history = [(attempt["number"], attempt["reason"]) for attempt in ended["status"]["attemptHistory"]]
    assert (history, ended["status"]["attempts"]) == ([(0, "Preempted"), (1, "Completed")], 1)
    assert tenant.tables("low") == ["slow_rows"]
    tenant.assert_nothing_left(ended)


def test_an_admitted_import_waits_for_its_slot_at_the_gate(queued_tenant: Tenant) -> None:
    tenant = queued_tenant
    tenant.make_previews("first", "second")
    kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"limits": {"maxConcurrentImports": 1}}})
    try:
        set_quota(2)
        start(tenant, "first", "slow")
        tenant.wait_until_copying("first")
        start(tenant, "second", "small")
        body = tenant.wait_for_reason("second", "WaitingForSlot")
        assert state_of(body) == "pending"
        assert len(tenant.pods(body["metadata"]["uid"])) == 1
        assert tenant.attempts_on_server(body) == []
        for name in ("first", "second"):
            assert tenant.wait_for_end(name, "completed")["status"]["attempts"] == 1
    finally:
        kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"limits": {"maxConcurrentImports": 50}}})

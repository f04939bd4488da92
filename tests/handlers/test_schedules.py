"""Schedules on an emulated Kubernetes API: what the operator creates, cancels, deletes and leaves alone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.handlers.emulated_tenant import wait_for
from tests.handlers.running_operator import run_operator, write_kubeconfig
from tests.handlers.stepwise_operator import Operator
from tests.support.kubernetes import BYSTANDER, Json, Kubernetes, a_body, run_kubernetes

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import IMPORTS, LABEL_SCHEDULE, PROJECTS, SCHEDULES
from pgimport.model.resources import ResourceKey

NAMESPACE = "shop"
LONG_AGO = "2026-01-01T00:00:00Z"
TEMPLATE = {
    "project": "shop",
    "source": {"urlSecretRef": {"name": "source", "key": "url"}},
    "target": {"previewDatabase": "golden"},
    "recreate": True,
    "timeout": "90m",
    "scratch": {"size": "20Gi"},
}
# Labels and annotations by which GitOps tools recognise what they have applied.
TRACKING = {
    "labels": {
        "app.kubernetes.io/instance": "shop",
        "app.kubernetes.io/managed-by": "Helm",
        "argocd.argoproj.io/instance": "shop",
        "kustomize.toolkit.fluxcd.io/name": "shop",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        "helm.toolkit.fluxcd.io/name": "shop",
    },
    "annotations": {
        "argocd.argoproj.io/tracking-id": "shop:capydb.dev/PostgresImportSchedule:shop/nightly",
        "argocd.argoproj.io/sync-wave": "2",
        "meta.helm.sh/release-name": "shop",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    },
}


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[Kubernetes]:
    with run_kubernetes() as running:
        server = {"clusterID": "test", "host": "pg.internal", "adminSecretRef": {"name": "admin"}}
        spec = {"organizationID": "capy", "namespace": NAMESPACE, "server": server}
        running.connect(BYSTANDER).create(api_paths.resource(PROJECTS), a_body(PROJECTS, "shop", None, spec=spec))
        yield running


@pytest.fixture
def cluster(kubernetes: Kubernetes) -> KubernetesClient:
    return kubernetes.connect(BYSTANDER)


@pytest.fixture
def operator(kubernetes: Kubernetes) -> Operator:
    return Operator(kubernetes)


def create_schedule(cluster: KubernetesClient, name: str, **spec: Any) -> ResourceKey:
    """Creates a schedule with a time in each minute. It is old, so the last minute is due."""
    body = a_body(SCHEDULES, name, spec={"schedule": "* * * * *", "importTemplate": TEMPLATE} | spec)
    body["metadata"] |= {"creationTimestamp": LONG_AGO} | TRACKING
    cluster.create(api_paths.resource(SCHEDULES, NAMESPACE), body)
    return ResourceKey(SCHEDULES, NAMESPACE, name)


def list_imports(cluster: KubernetesClient, schedule: str) -> list[Json]:
    items: list[Json] = cluster.get(
        api_paths.resource(IMPORTS, NAMESPACE), labelSelector=f"{LABEL_SCHEDULE}={schedule}"
    )["items"]
    return items


def read_status(cluster: KubernetesClient, key: ResourceKey) -> Json:
    status: Json = cluster.get(api_paths.of_key(key))["status"]
    return status


def read_conditions(cluster: KubernetesClient, key: ResourceKey) -> dict[str, Json]:
    return {item["type"]: item for item in read_status(cluster, key)["conditions"]}


def end_import(cluster: KubernetesClient, name: str, state: str, cleaned_up: bool = True) -> None:
    status = {"state": state, "completedAt": "2026-02-01T00:00:00Z", "cleanedUp": cleaned_up, "observedGeneration": 1}
    cluster.patch(f"{api_paths.resource(IMPORTS, NAMESPACE, name)}/status", {"status": status})


def create_import(cluster: KubernetesClient, name: str, created: str, schedule: ResourceKey) -> None:
    """Creates an import as the operator has created it earlier."""
    owner = {"kind": "PostgresImportSchedule", "name": schedule.name}
    owner["uid"] = cluster.get(api_paths.of_key(schedule))["metadata"]["uid"]
    body = a_body(IMPORTS, name, spec=TEMPLATE)
    labels = {LABEL_SCHEDULE: schedule.name}
    body["metadata"] |= {"creationTimestamp": created, "labels": labels, "ownerReferences": [owner]}
    cluster.create(api_paths.resource(IMPORTS, NAMESPACE), body)


def test_an_import_belongs_to_its_schedule_and_to_no_gitops_tool(cluster: KubernetesClient, operator: Operator) -> None:
    key = create_schedule(cluster, "plain")
    before = int(datetime.now(UTC).timestamp()) // 60
    operator.reconcile(key)
    (created,) = list_imports(cluster, "plain")
    meta, schedule = created["metadata"], cluster.get(api_paths.of_key(key))
    minute = int(meta["name"].removeprefix("plain-"))
    assert before <= minute <= int(datetime.now(UTC).timestamp()) // 60
    assert meta["labels"] == {"app.kubernetes.io/managed-by": "pgimport-operator", LABEL_SCHEDULE: "plain"}
    assert "annotations" not in meta
    assert meta["ownerReferences"] == [
        {
            "apiVersion": "capydb.dev/v1alpha1",
            "kind": "PostgresImportSchedule",
            "name": "plain",
            "uid": schedule["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    assert created["spec"] == TEMPLATE | {"timeout": "1h30m", "scratch": {"size": 20 * 1024**3}}
    status = schedule["status"]
    assert status["active"] == [meta["name"]]
    assert datetime.fromisoformat(status["lastScheduleTime"]).timestamp() == minute * 60
    assert status["observedGeneration"] == 1
    assert read_conditions(cluster, key)["Ready"]["reason"] == "Running"


def test_the_operator_changes_nothing_of_the_schedule_but_its_status(
    cluster: KubernetesClient, operator: Operator
) -> None:
    key = create_schedule(cluster, "untouched")
    before = cluster.get(api_paths.of_key(key))
    operator.reconcile(key)
    after = cluster.get(api_paths.of_key(key))
    assert after["spec"] == before["spec"]
    assert after["metadata"] | {"resourceVersion": ""} == before["metadata"] | {"resourceVersion": ""}


def test_a_deleted_schedule_takes_its_imports_with_it(cluster: KubernetesClient, operator: Operator) -> None:
    key = create_schedule(cluster, "leaving")
    operator.reconcile(key)
    assert len(list_imports(cluster, "leaving")) == 1
    cluster.delete(api_paths.of_key(key))
    operator.reconcile(key)
    assert list_imports(cluster, "leaving") == []


def test_an_import_with_the_name_that_the_operator_did_not_create_stalls_the_schedule(
    cluster: KubernetesClient, operator: Operator
) -> None:
    key = create_schedule(cluster, "taken", schedule="@yearly")
    minute = int(datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC).timestamp()) // 60
    cluster.patch(f"{api_paths.of_key(key)}/status", {"status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}})
    theirs = a_body(IMPORTS, f"taken-{minute}", spec=TEMPLATE)
    cluster.create(api_paths.resource(IMPORTS, NAMESPACE), theirs)
    operator.reconcile(key)
    shown = read_conditions(cluster, key)
    assert (shown["Stalled"]["status"], shown["Stalled"]["reason"]) == ("True", "NameTaken")
    assert f"PostgresImport taken-{minute} in namespace shop exists" in shown["Ready"]["message"]
    assert read_status(cluster, key)["lastScheduleTime"] == "2020-01-01T00:00:00.000Z"
    cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, f"taken-{minute}"))
    operator.reconcile(key)
    assert [item["metadata"]["name"] for item in list_imports(cluster, "taken")] == [f"taken-{minute}"]
    assert "Stalled" not in read_conditions(cluster, key)


@pytest.mark.parametrize("status", [403, 422], ids=["a quota", "an admission policy"])
def test_an_import_that_kubernetes_does_not_accept_stalls_the_schedule(
    status: int, kubernetes: Kubernetes, cluster: KubernetesClient, operator: Operator
) -> None:
    key = create_schedule(cluster, f"refused-{status}")
    kubernetes.refuse("POST", "/postgresimports", status, message="exceeded quota: imports")
    operator.reconcile(key)
    message = read_conditions(cluster, key)["Stalled"]["message"]
    assert f"Kubernetes does not accept import refused-{status}-" in message
    assert "exceeded quota: imports (hint: Correct spec.importTemplate, or ask the cluster's admin" in message
    operator.reconcile(key)
    assert len(list_imports(cluster, f"refused-{status}")) == 1


def test_imports_beyond_the_limit_leave_a_quota_before_the_next_import_needs_it(
    kubernetes: Kubernetes, cluster: KubernetesClient, operator: Operator
) -> None:
    key = create_schedule(cluster, "full", successfulImportsHistoryLimit=0)
    create_import(cluster, "full-24000000", LONG_AGO, key)
    end_import(cluster, "full-24000000", "completed")
    for imports in (["full-24000000"], []):
        kubernetes.refuse("POST", "/postgresimports", 403, message="exceeded quota: imports")
        operator.reconcile(key)
        assert [item["metadata"]["name"] for item in list_imports(cluster, "full")] == imports
        assert read_status(cluster, key)["lastSuccessfulTime"] == "2026-02-01T00:00:00.000Z"
        assert "Stalled" in read_conditions(cluster, key)


def test_an_import_with_the_label_of_a_schedule_is_not_its_own(cluster: KubernetesClient, operator: Operator) -> None:
    limits = {"successfulImportsHistoryLimit": 0, "failedImportsHistoryLimit": 0}
    key = create_schedule(cluster, "labelled", concurrencyPolicy="Replace", **limits)
    for name in ("ended", "running"):
        body = a_body(IMPORTS, f"theirs-{name}", spec=TEMPLATE)
        body["metadata"]["labels"] = {LABEL_SCHEDULE: "labelled"}
        cluster.create(api_paths.resource(IMPORTS, NAMESPACE), body)
    end_import(cluster, "theirs-ended", "completed")
    operator.reconcile(key)
    ended, running = (
        cluster.get(api_paths.resource(IMPORTS, NAMESPACE, f"theirs-{name}")) for name in ("ended", "running")
    )
    assert ended["status"]["state"] == "completed"
    assert "cancel" not in running["spec"]
    assert len(read_status(cluster, key)["active"]) == 1


def test_replace_cancels_the_active_import(cluster: KubernetesClient, operator: Operator) -> None:
    key = create_schedule(cluster, "replacing", concurrencyPolicy="Replace")
    create_import(cluster, "replacing-1", LONG_AGO, key)
    operator.reconcile(key)
    imports = {item["metadata"]["name"]: item for item in list_imports(cluster, "replacing")}
    assert imports.pop("replacing-1")["spec"]["cancel"] is True
    (newer,) = imports.values()
    assert "cancel" not in newer["spec"]
    assert read_status(cluster, key)["active"] == ["replacing-1", newer["metadata"]["name"]]


@pytest.mark.parametrize("status", [403, 422], ids=["a missing right", "an admission policy"])
def test_an_import_that_kubernetes_does_not_let_be_cancelled_stalls_the_schedule(
    status: int, kubernetes: Kubernetes, cluster: KubernetesClient, operator: Operator
) -> None:
    """Before, the operator ignored a policy that forbade it, and the new import waited for the earlier one."""
    name = f"kept-{status}"
    key = create_schedule(cluster, name, concurrencyPolicy="Replace")
    create_import(cluster, f"{name}-1", LONG_AGO, key)
    kubernetes.refuse("PATCH", f"/postgresimports/{name}-1", status, message="the policy freeze denied request")
    operator.reconcile(key)
    message = read_conditions(cluster, key)["Stalled"]["message"]
    assert f"does not let the schedule cancel import {name}-1, which it replaces" in message
    assert f"the policy freeze denied request (hint: Cancel import {name}-1 yourself.)" in message
    operator.reconcile(key)
    imports = {item["metadata"]["name"]: item for item in list_imports(cluster, name)}
    assert (len(imports), imports[f"{name}-1"]["spec"]["cancel"]) == (2, True)
    assert "Stalled" not in read_conditions(cluster, key)


def test_forbid_leaves_the_active_import_alone(cluster: KubernetesClient, operator: Operator) -> None:
    key = create_schedule(cluster, "waiting")
    create_import(cluster, "waiting-1", LONG_AGO, key)
    operator.reconcile(key)
    (only,) = list_imports(cluster, "waiting")
    assert only["spec"] == TEMPLATE
    assert "waits for its end" in read_conditions(cluster, key)["Ready"]["message"]


def test_ended_imports_beyond_the_limits_are_deleted(cluster: KubernetesClient, operator: Operator) -> None:
    key = create_schedule(cluster, "tidy", suspend=True, successfulImportsHistoryLimit=2)
    for number, state in enumerate(["completed", "failed", "completed", "cancelled", "completed"]):
        create_import(cluster, f"tidy-{number}", f"2026-01-01T00:0{number}:00Z", key)
        end_import(cluster, f"tidy-{number}", state)
    operator.reconcile(key, key)  # the first one writes the last time, which only the imports show
    kept = {item["metadata"]["name"]: item["status"]["state"] for item in list_imports(cluster, "tidy")}
    assert kept == {"tidy-2": "completed", "tidy-3": "cancelled", "tidy-4": "completed"}
    assert read_status(cluster, key)["lastSuccessfulTime"] == "2026-02-01T00:00:00.000Z"


def test_two_operators_create_one_import(cluster: KubernetesClient, kubernetes: Kubernetes) -> None:
    key = create_schedule(cluster, "twice")
    slow, other = Operator(kubernetes), Operator(kubernetes)
    slow.freeze(key, at="/postgresimportschedules/twice/status")
    other.reconcile(key)
    (created,) = list_imports(cluster, "twice")
    end_import(cluster, created["metadata"]["name"], "completed")
    with pytest.raises(Conflict):
        slow.reconcile(key)
    assert [item["metadata"]["name"] for item in list_imports(cluster, "twice")] == [created["metadata"]["name"]]


@pytest.mark.slow
def test_the_running_operator_creates_imports_and_follows_them(
    cluster: KubernetesClient, kubernetes: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, tmp_path)))
    key = create_schedule(cluster, "alive", successfulImportsHistoryLimit=0)
    with run_operator(kubernetes):
        created = wait_for("an import", lambda: list_imports(cluster, "alive"))[0]["metadata"]["name"]
        # Otherwise, the next minute could begin during the test.
        cluster.patch(api_paths.of_key(key), {"spec": {"suspend": True}})
        wait_for("the suspension", lambda: read_conditions(cluster, key)["Ready"]["reason"] == "Suspended")
        end_import(cluster, created, "completed", cleaned_up=False)  # the clean-up wakes the schedule
        wait_for("the end of its history", lambda: list_imports(cluster, "alive") == [])
        wait_for("the status of its end", lambda: read_status(cluster, key)["active"] == [])
        assert read_status(cluster, key)["lastSuccessfulTime"] == "2026-02-01T00:00:00.000Z"
    with pytest.raises(NotFound):
        cluster.get(api_paths.resource(IMPORTS, NAMESPACE, created))

"""Import pods run where the Project's podTemplate says, and the status says why a pod cannot run there."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import (
    IMPORTS,
    PROJECTS,
    READY_SECONDS,
    Tenant,
    condition_of,
    make_tenant,
    reason_of,
    remove_tenant,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

NAME = name_for_worker("e2e-placement")
OS = "kubernetes.io/os"
PREFERENCE = {"matchExpressions": [{"key": OS, "operator": "In", "values": ["linux"]}]}
SPEC: dict[str, Any] = {
    "nodeSelector": {OS: "linux"},
    "affinity": {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": PREFERENCE}]}
    },
    "tolerations": [{"key": "pgimport-tests/batch", "operator": "Exists", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"team": "platform"}},
        }
    ],
    "priorityClassName": NAME,
    "runtimeClassName": NAME,
    "serviceAccountName": "imports",
    "imagePullSecrets": [{"name": "registry-key"}],
}
METADATA = {"labels": {"team": "platform"}, "annotations": {"example.com/cost-center": "42"}}
RESOURCES = {"requests": {"cpu": "150m", "memory": "160Mi"}, "limits": {"memory": "800Mi"}}
POD_TEMPLATE = {"metadata": METADATA, "spec": SPEC | {"resources": RESOURCES}}


def classes() -> list[Manifest]:
    metadata = {"name": NAME}
    return [
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1000},
        # The runtime that containerd uses for pods without a class.
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": metadata, "handler": "runc"},
    ]


@pytest.fixture(scope="module")
def placed(cluster: None, source: Source) -> Iterator[Tenant]:
    remove_tenant(NAME)
    kubectl.delete("namespace", NAME)
    kubectl.apply(*classes())
    tenant = make_tenant(NAME, source, podTemplate=POD_TEMPLATE)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "imports", "namespace": NAME}}
    kubectl.apply(account)
    tenant.make_secrets({"small": source.url("small")})
    yield tenant
    remove_tenant(NAME)
    kubectl.delete("priorityclasses", NAME)
    kubectl.delete("runtimeclasses", NAME)


def test_a_pod_has_each_field_of_the_template(placed: Tenant) -> None:
    placed.make_previews("placed")
    placed.start("placed", "small", "placed")
    body = placed.wait_for_end("placed", "completed")
    (pod,) = placed.pods(body["metadata"]["uid"])
    assert METADATA["labels"].items() <= pod["metadata"]["labels"].items()
    assert METADATA["annotations"].items() <= pod["metadata"]["annotations"].items()
    for field, value in SPEC.items():
        if field == "tolerations":  # Kubernetes adds some
            assert value[0] in pod["spec"][field]
        else:
            assert pod["spec"][field] == value, field
    assert pod["spec"]["automountServiceAccountToken"] is False
    for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
        assert container["resources"] == RESOURCES


def test_a_pod_that_no_node_takes_is_shown_with_the_words_of_the_scheduler(placed: Tenant) -> None:
    selector = {"pgimport-tests/pool": "none"}
    kubectl.merge_patch(PROJECTS, NAME, None, {"spec": {"podTemplate": {"spec": {"nodeSelector": selector}}}})
    placed.make_previews("homeless")
    placed.start("homeless", "small", "homeless")

    def shows(body: Manifest) -> bool:
        return "FailedScheduling" in condition_of(body).get("message", "")

    body = placed.wait(IMPORTS, ("homeless",), shows, "shows why no node takes its pod", READY_SECONDS)["homeless"]
    assert reason_of(body) == "Starting"
    placed.change("homeless", cancel=True)
    placed.wait_for_end("homeless", "cancelled")

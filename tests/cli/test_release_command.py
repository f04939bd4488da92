"""`pgimport release` before an uninstall: it waits until no pod of the operator runs."""

import threading
from collections.abc import Iterator

import pytest
from tests.support.kubernetes import run_kubernetes

from pgimport.cli.release_command import OperatorStillRunning, stop_operator
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient

NAMESPACE, DEPLOYMENT = "system", "pgimport-operator"
LABELS = {"app.kubernetes.io/name": "pgimport", "app.kubernetes.io/component": "operator"}
POD = api_paths.core(NAMESPACE, "pods", "operator-1")


@pytest.fixture
def cluster() -> Iterator[KubernetesClient]:
    """A Deployment whose only pod is terminating: the numbers of its status do not count this pod any more."""
    with run_kubernetes() as kubernetes:
        kubernetes.emulator.faults.namespaces[NAMESPACE] = "Active"
        cluster = kubernetes.connect()
        cluster.create(
            api_paths.deployments(NAMESPACE, "").rstrip("/"),
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": DEPLOYMENT},
                "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}},
                "status": {"replicas": 0},
            },
        )
        for name, labels in (("operator-1", LABELS), ("bystander", {"app.kubernetes.io/name": "other"})):
            cluster.create(
                api_paths.core(NAMESPACE, "pods"),
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}},
            )
        yield cluster


def test_a_pod_that_does_not_end_in_time_is_an_error(cluster: KubernetesClient) -> None:
    with pytest.raises(OperatorStillRunning, match="pgimport-operator"):
        stop_operator(cluster, NAMESPACE, DEPLOYMENT, stop_seconds=0.1, poll_seconds=0.02)


def test_release_waits_until_the_pod_has_ended(cluster: KubernetesClient) -> None:
    ending = threading.Timer(0.5, lambda: cluster.delete(POD))
    ending.start()
    stop_operator(cluster, NAMESPACE, DEPLOYMENT, stop_seconds=20, poll_seconds=0.02)
    ending.join()
    assert [pod["metadata"]["name"] for pod in cluster.get(api_paths.core(NAMESPACE, "pods"))["items"]] == ["bystander"]


def test_without_a_deployment_there_is_nothing_to_stop(cluster: KubernetesClient) -> None:
    stop_operator(cluster, NAMESPACE, "another", stop_seconds=0.1)

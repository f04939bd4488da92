"""`pgimport release` before an uninstall: who created its Job, and that it waits until no pod of the operator runs."""

import threading
from collections.abc import Iterator

import pytest
from tests.support.kubernetes import run_kubernetes
from tests.support.samples import a_meta

from pgimport.cli.release_command import (
    OperatorStillRunning,
    UnknownCreator,
    is_uninstall,
    remove_finalizers,
    remove_tenant_rights,
    stop_operator,
)
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.model.names import (
    API_VERSION,
    FINALIZER_PREVIEW,
    PREVIEWS,
    PROJECTS,
    namespace_names,
)
from pgimport.model.watch_scope import WatchScope

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


def create_job(cluster: KubernetesClient, *managers: str) -> None:
    fields = [{"manager": manager, "operation": "Apply"} for manager in managers]
    fields.append({"manager": "helmless-controller", "operation": "Update", "subresource": "status"})
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "pgimport-release", "managedFields": fields},
        "spec": {"template": {}},
    }
    cluster.create(api_paths.jobs(NAMESPACE), body)


@pytest.mark.parametrize("manager", ["helm", "helm-controller", "terraform-provider-helm_v3", "argocd-controller"])
def test_a_job_of_helm_or_argo_cd_belongs_to_an_uninstall(cluster: KubernetesClient, manager: str) -> None:
    create_job(cluster, manager)
    assert is_uninstall(cluster, NAMESPACE, "pgimport-release")


@pytest.mark.parametrize("manager", ["kubectl-client-side-apply", "kubectl", "kubectl-create"])
def test_a_rendered_job_that_kubectl_created_is_no_uninstall(cluster: KubernetesClient, manager: str) -> None:
    """Seen before: `helm template | kubectl apply` stopped the operator that it had just installed."""
    create_job(cluster, manager)
    assert not is_uninstall(cluster, NAMESPACE, "pgimport-release")


@pytest.mark.parametrize("managers", [(), ("kapp",)])
def test_a_job_of_another_tool_is_an_error(cluster: KubernetesClient, managers: tuple[str, ...]) -> None:
    create_job(cluster, *managers)
    with pytest.raises(UnknownCreator, match="--no-hooks"):
        is_uninstall(cluster, NAMESPACE, "pgimport-release")


@pytest.mark.isolation
def test_the_rights_in_the_namespaces_of_projects_are_removed(cluster: KubernetesClient) -> None:
    """Before, they stayed for whoever would create service accounts of these names."""
    project = {
        "apiVersion": API_VERSION,
        "kind": "Project",
        "metadata": {"name": "shop"},
        "spec": {"namespace": NAMESPACE, "server": {}},
    }
    cluster.create(api_paths.resource(PROJECTS), project)
    names, owner, account = namespace_names("imports"), a_meta("shop", namespace=""), ("account", "system")
    for name in (names.operator_binding, names.api_binding, names.connection_reader):
        binding = build_role_binding(name, NAMESPACE, owner, "imports-tenant", account)
        cluster.create(api_paths.role_bindings(NAMESPACE), binding)
    reader = build_connection_reader(names.connection_reader, NAMESPACE, owner, ["a"])
    cluster.create(api_paths.roles(NAMESPACE), reader)
    foreign = build_role_binding("foreign", NAMESPACE, owner, "view", account)
    cluster.create(api_paths.role_bindings(NAMESPACE), foreign)
    remove_tenant_rights(cluster, names, WatchScope(("of-another-operator",)))
    assert len(cluster.get(api_paths.role_bindings(NAMESPACE))["items"]) == 4
    for _ in range(2):
        remove_tenant_rights(cluster, names)
        bindings = cluster.get(api_paths.role_bindings(NAMESPACE))["items"]
        assert [item["metadata"]["name"] for item in bindings] == ["foreign"]
        assert cluster.get(api_paths.roles(NAMESPACE))["items"] == []


def test_the_objects_of_another_operator_keep_their_finalizers(cluster: KubernetesClient) -> None:
    for namespace in ("shop", "blog"):
        metadata = {"name": "x", "namespace": namespace, "finalizers": [FINALIZER_PREVIEW, "of.another/tool"]}
        body = {"apiVersion": API_VERSION, "kind": "PreviewDatabase", "metadata": metadata, "spec": {}}
        cluster.create(api_paths.resource(PREVIEWS, namespace), body)
    assert remove_finalizers(cluster, PREVIEWS, FINALIZER_PREVIEW, WatchScope(("shop",))) == 1
    left = {
        namespace: cluster.get(api_paths.resource(PREVIEWS, namespace, "x"))["metadata"]["finalizers"]
        for namespace in ("shop", "blog")
    }
    assert left == {"shop": ["of.another/tool"], "blog": [FINALIZER_PREVIEW, "of.another/tool"]}

"""Tests of objects in the namespace of a Project."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes

from pgimport.kubernetes_client import api_paths, namespaces
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.model.errors import Refused
from pgimport.model.names import API_VERSION, CONNECTION_READER, PREVIEWS, TENANT_ROLE_BINDING, connection_secret_name
from pgimport.reconcile.tenant_access import ensure_connection_reader, grant_missing_rights


def test_a_role_binding_is_created_once(kubernetes: Kubernetes, cluster: KubernetesClient, name: str) -> None:
    binding = a_binding(name)
    namespaces.ensure_role_binding(cluster, "shop", binding)
    namespaces.ensure_role_binding(cluster, "shop", binding)
    requests = [request for request in kubernetes.requests("POST", "/rolebindings") if name in request.text]
    assert len(requests) == 1


def test_an_event_has_a_reporter_and_a_time(cluster: KubernetesClient, name: str) -> None:
    event = {"metadata": {"generateName": f"{name}-", "namespace": "shop"}, "note": "x"}
    namespaces.post_event(cluster, event)
    (event_body,) = [
        body for body in cluster.get(api_paths.events("shop"))["items"] if body["metadata"]["name"].startswith(name)
    ]
    assert event_body["reportingController"] == "pgimport-operator"
    assert event_body["eventTime"].endswith("Z")


def test_the_newest_warning_event_is_read(cluster: KubernetesClient, name: str) -> None:
    for second, reason, kind in (
        ("01", "Old", "Warning"),
        ("03", "FailedMount", "Warning"),
        ("09", "Scheduled", "Normal"),
    ):
        event = {
            "metadata": {"name": f"{name}-{second}"},
            "type": kind,
            "reason": reason,
            "message": "no such Secret",
            "involvedObject": {"name": name},
            "lastTimestamp": f"2026-01-01T12:00:{second}Z",
        }
        cluster.create(api_paths.core("shop", "events"), event)
    assert namespaces.read_start_warning(cluster, "shop", (name,)) == "FailedMount: no such Secret"
    assert namespaces.read_start_warning(cluster, "shop", ("another",)) is None


@pytest.mark.parametrize(
    ("phase", "exists"),
    [pytest.param("Active", True, id="active"), pytest.param("Terminating", False, id="terminating")],
)
def test_a_terminating_namespace_does_not_exist(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str, phase: str, exists: bool
) -> None:
    assert not namespaces.namespace_exists(cluster, name)
    kubernetes.emulator.faults.namespaces[name] = phase
    assert namespaces.namespace_exists(cluster, name) is exists


def a_binding(name: str, role: str = "pgimport-tenant", account: str = "pgimport") -> dict[str, Any]:
    return build_role_binding(name, "shop", role, account, "pgimport-system")


@pytest.mark.isolation
@pytest.mark.parametrize(
    "stale",
    [
        pytest.param({"role": "an-older-role"}, id="another role"),
        pytest.param({"account": "an-older-account"}, id="another account"),
    ],
)
def test_a_role_binding_of_an_older_release_is_replaced(
    cluster: KubernetesClient, name: str, stale: dict[str, str]
) -> None:
    cluster.create(api_paths.role_bindings("shop"), a_binding(name, **stale))
    namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    binding = cluster.get(api_paths.role_bindings("shop", name))
    assert (binding["roleRef"]["name"], binding["subjects"][0]["name"]) == ("pgimport-tenant", "pgimport")
    namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    assert cluster.get(api_paths.role_bindings("shop", name))["metadata"]["uid"] == binding["metadata"]["uid"]


@pytest.mark.isolation
def test_a_foreign_role_binding_and_role_are_refused(cluster: KubernetesClient, name: str) -> None:
    foreign = a_binding(name, role="their-role")
    foreign["metadata"]["labels"] = {}
    cluster.create(api_paths.role_bindings("shop"), foreign)
    with pytest.raises(Refused, match=f"RoleBinding {name} in namespace shop exists"):
        namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    role = build_connection_reader("shop", [])
    role["metadata"] |= {"name": name, "labels": {}}
    theirs = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    cluster.create(api_paths.roles("shop"), role | {"rules": theirs})
    with pytest.raises(Refused, match=f"Role {name} in namespace shop exists"):
        namespaces.ensure_role(cluster, "shop", name, lambda _rules: role)


@pytest.mark.isolation
def test_missing_rights_are_granted_once(cluster: KubernetesClient, name: str) -> None:
    """An uninstall removes them. Without them, a new installation could not read the log of a pod that has ended."""
    policy = SimpleNamespace(operator_namespace="system")
    identity = SimpleNamespace(service_account=name, tenant_cluster_role="tenant", api_service_account=None)
    context: Any = SimpleNamespace(cluster=cluster, policy=policy, identity=identity)
    namespaces.remove_role_binding(cluster, "shop", TENANT_ROLE_BINDING)
    assert grant_missing_rights(context, "shop")
    assert not grant_missing_rights(context, "shop")
    namespaces.remove_role_binding(cluster, "shop", TENANT_ROLE_BINDING)


@pytest.mark.isolation
def test_a_connection_can_be_read_from_its_creation_until_its_preview_is_gone(
    cluster: KubernetesClient, name: str
) -> None:
    """Before, a reconcile of the Project removed the right again until the preview's status named its Secret."""
    policy, identity = SimpleNamespace(operator_namespace="system"), SimpleNamespace(api_service_account="api")
    context: Any = SimpleNamespace(cluster=cluster, policy=policy, identity=identity)

    def read_names() -> list[str]:
        rules = cluster.get(api_paths.roles("shop", CONNECTION_READER))["rules"]
        return [secret for rule in rules for secret in rule["resourceNames"] if secret.startswith(name)]

    preview = api_paths.resource(PREVIEWS, "shop", name)
    body = {"apiVersion": API_VERSION, "kind": "PreviewDatabase", "metadata": {"name": name}}
    cluster.create(api_paths.resource(PREVIEWS, "shop"), {**body, "spec": {"project": "shop"}})
    secret = connection_secret_name(name)
    ensure_connection_reader(context, "shop")
    assert read_names() == []
    ensure_connection_reader(context, "shop", secret)
    ensure_connection_reader(context, "shop")
    assert read_names() == [secret]
    cluster.delete(preview)
    ensure_connection_reader(context, "shop")
    assert read_names() == []

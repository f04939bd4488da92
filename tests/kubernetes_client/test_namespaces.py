"""Tests of objects in the namespace of a Project."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes, a_body
from tests.support.samples import a_meta

from pgimport.kubernetes_client import api_paths, namespaces
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.resource_lists import DirectLists
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.model.errors import Refused
from pgimport.model.names import (
    API_VERSION,
    EARLIER_NAMES,
    PREVIEWS,
    PROJECTS,
    connection_secret_name,
    namespace_names,
)
from pgimport.model.resources import ObjectMeta
from pgimport.reconcile.reconcile_context import OperatorIdentity
from pgimport.reconcile.tenant_access import ensure_connection_reader, ensure_role_bindings, grant_missing_rights

PROJECT = a_meta("shop", "uid-1", namespace="")


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


def a_binding(
    name: str, role: str = "pgimport-tenant", account: str = "pgimport", project: ObjectMeta = PROJECT
) -> dict[str, Any]:
    return build_role_binding(name, "shop", project, role, (account, "pgimport-system"))


def a_context(cluster: KubernetesClient, release: str = "pgimport", **identity: str) -> Any:
    policy = SimpleNamespace(operator_namespace="system", release_name=release)
    lists = DirectLists(cluster)
    return SimpleNamespace(
        cluster=cluster, lists=lists, direct_lists=lists, policy=policy, identity=OperatorIdentity(**identity)
    )


@pytest.mark.isolation
@pytest.mark.parametrize(
    "stale",
    [
        pytest.param({"role": "an-older-role"}, id="another role"),
        pytest.param({"account": "an-older-account"}, id="another account"),
    ],
)
def test_a_role_binding_of_an_older_release_is_replaced(cluster: KubernetesClient, name: str, stale: Any) -> None:
    cluster.create(api_paths.role_bindings("shop"), a_binding(name, **stale))
    namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    binding = cluster.get(api_paths.role_bindings("shop", name))
    assert (binding["roleRef"]["name"], binding["subjects"][0]["name"]) == ("pgimport-tenant", "pgimport")
    namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    assert cluster.get(api_paths.role_bindings("shop", name))["metadata"]["uid"] == binding["metadata"]["uid"]


def test_a_restored_project_becomes_the_owner_without_a_moment_without_rights(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    cluster.create(api_paths.role_bindings("shop"), a_binding(name))
    restored = a_meta("shop", "uid-2", namespace="")
    for _ in range(2):
        namespaces.ensure_role_binding(cluster, "shop", a_binding(name, project=restored))
    path = api_paths.role_bindings("shop", name)
    assert [owner["uid"] for owner in cluster.get(path)["metadata"]["ownerReferences"]] == ["uid-2"]
    assert len(kubernetes.requests("PATCH", path)) == 1
    assert kubernetes.requests("DELETE", path) == []


def test_a_binding_of_the_admin_that_grants_the_same_stays(cluster: KubernetesClient, name: str) -> None:
    theirs = a_binding(name)
    theirs["metadata"] = {"name": name, "labels": {}}
    cluster.create(api_paths.role_bindings("shop"), theirs)
    namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    assert "ownerReferences" not in cluster.get(api_paths.role_bindings("shop", name))["metadata"]


def test_an_upgrade_removes_the_bindings_under_the_names_of_all_installations(cluster: KubernetesClient) -> None:
    earlier, account = EARLIER_NAMES, ("api", "system")
    for name, owner in (
        (earlier.operator_binding, ("operator", "system")),
        (earlier.api_binding, ("operator", "of-another-installation")),
        (earlier.connection_reader, account),
    ):
        binding = build_role_binding(name, "blog", PROJECT, "tenant", owner)
        cluster.create(api_paths.role_bindings("blog"), binding)
    cluster.create(api_paths.roles("blog"), build_connection_reader(earlier.connection_reader, "blog", PROJECT, ["a"]))
    accounts = {"service_account": "operator", "api_service_account": "api"}
    roles = {"tenant_cluster_role": "tenant", "api_cluster_role": "api-tenant"}
    ensure_role_bindings(a_context(cluster, "imports", **accounts, **roles), "blog", PROJECT)
    names = namespace_names("imports")
    bindings = {item["metadata"]["name"] for item in cluster.get(api_paths.role_bindings("blog"))["items"]}
    created = {names.operator_binding, names.api_binding, names.connection_reader}
    assert bindings & {*created, *astuple(earlier)} == {*created, earlier.api_binding}
    assert not {earlier.connection_reader} & {
        item["metadata"]["name"] for item in cluster.get(api_paths.roles("blog"))["items"]
    }


def test_with_bindings_of_the_chart_the_operator_creates_only_the_role_for_connections(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    ensure_role_bindings(a_context(cluster, name, api_service_account="api"), "shop", PROJECT)
    assert cluster.get(api_paths.roles("shop", namespace_names(name).connection_reader))["rules"] is not None
    bindings = [item["metadata"]["name"] for item in cluster.get(api_paths.role_bindings("shop"))["items"]]
    assert not [binding for binding in bindings if binding.startswith(name)]


@pytest.mark.isolation
def test_a_foreign_role_binding_and_role_are_refused(cluster: KubernetesClient, name: str) -> None:
    foreign = a_binding(name, role="their-role")
    foreign["metadata"]["labels"] = {}
    cluster.create(api_paths.role_bindings("shop"), foreign)
    with pytest.raises(Refused, match=f"RoleBinding {name} in namespace shop exists"):
        namespaces.ensure_role_binding(cluster, "shop", a_binding(name))
    role = build_connection_reader(name, "shop", PROJECT, [])
    role["metadata"]["labels"] = {}
    theirs = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    cluster.create(api_paths.roles("shop"), role | {"rules": theirs})
    with pytest.raises(Refused, match=f"Role {name} in namespace shop exists"):
        namespaces.ensure_role(cluster, "shop", name, lambda _rules: role)


@pytest.mark.isolation
def test_missing_rights_are_granted_once(cluster: KubernetesClient, name: str) -> None:
    """An uninstall removes them. Without them, a new installation could not read the log of a pod that has ended."""
    context = a_context(cluster, name, service_account="operator", tenant_cluster_role="tenant")
    cluster.create(api_paths.resource(PROJECTS), a_body(PROJECTS, name, None, spec={}))
    assert not grant_missing_rights(context, "shop", "no-such-project")
    assert grant_missing_rights(context, "shop", name)
    assert not grant_missing_rights(context, "shop", name)


def test_previews_that_are_created_at_once_do_not_fail_on_their_common_role(
    cluster: KubernetesClient, name: str
) -> None:
    """All read the Role before one writes it. Before, the others failed, and were tried again later."""
    secrets = [f"{name}-{number}" for number in range(6)]
    all_have_read = threading.Barrier(len(secrets))

    def ensure(secret: str) -> None:
        waits = iter((all_have_read.wait,))

        def build(rules: list[dict[str, Any]]) -> dict[str, Any]:
            next(waits, lambda: None)()
            granted = [each for rule in rules for each in rule["resourceNames"]]
            return build_connection_reader(name, "shop", PROJECT, [*granted, secret])

        namespaces.ensure_role(cluster, "shop", name, build)

    with ThreadPoolExecutor(len(secrets)) as pool:
        list(pool.map(ensure, secrets))
    rules = cluster.get(api_paths.roles("shop", name))["rules"]
    assert sorted(each for rule in rules for each in rule["resourceNames"]) == secrets


@pytest.mark.isolation
def test_a_connection_can_be_read_from_its_creation_until_its_preview_is_gone(
    cluster: KubernetesClient, name: str
) -> None:
    """Before, a reconcile of the Project removed the right again until the preview's status named its Secret."""
    context = a_context(cluster, api_service_account="api")

    def read_names() -> list[str]:
        rules = cluster.get(api_paths.roles("shop", EARLIER_NAMES.connection_reader))["rules"]
        return [secret for rule in rules for secret in rule["resourceNames"] if secret.startswith(name)]

    preview = api_paths.resource(PREVIEWS, "shop", name)
    body = {"apiVersion": API_VERSION, "kind": "PreviewDatabase", "metadata": {"name": name}}
    cluster.create(api_paths.resource(PREVIEWS, "shop"), {**body, "spec": {"project": "shop"}})
    secret = connection_secret_name(name)
    ensure_connection_reader(context, "shop", PROJECT)
    assert read_names() == []
    ensure_connection_reader(context, "shop", PROJECT, secret)
    ensure_connection_reader(context, "shop", PROJECT)
    assert read_names() == [secret]
    context.lists = SimpleNamespace(list_previews=lambda _: [])  # a cache that does not have the preview yet
    ensure_connection_reader(context, "shop", PROJECT)
    assert read_names() == [secret]
    cluster.delete(preview)
    ensure_connection_reader(context, "shop", PROJECT)
    assert read_names() == []

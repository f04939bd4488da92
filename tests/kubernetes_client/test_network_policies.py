"""Tests of the NetworkPolicy in a Project's namespace, and of the API server's addresses."""

from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes
from tests.support.samples import a_meta

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.network_policies import ensure_network_policy, read_api_server, remove_network_policy
from pgimport.manifest.network_policy import build_network_policy
from pgimport.model.errors import NotFound, Refused
from pgimport.model.observations import ApiServerEndpoint

FIRST, SECOND = ApiServerEndpoint("192.168.5.10", 6443), ApiServerEndpoint("192.168.5.11", 6443)


def a_network_policy(name: str, *endpoints: ApiServerEndpoint, project: str = "uid-1") -> dict[str, Any]:
    return build_network_policy(name, "shop", a_meta("shop", project, namespace=""), endpoints)


def create_slice(cluster: KubernetesClient, name: str, kind: str, *addresses: str, **more: Any) -> None:
    body = {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": kind,
        "endpoints": [{"addresses": [address]} for address in addresses],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        **more,
    }
    cluster.create(api_paths.endpoint_slices("default"), body)


@pytest.mark.isolation
def test_the_api_server_has_the_addresses_of_its_service_and_of_its_instances(cluster: KubernetesClient) -> None:
    ports = [{"name": "https", "port": 443, "protocol": "TCP"}]
    service = {"metadata": {"name": "kubernetes"}, "spec": {"clusterIPs": ["10.96.0.1", "fd00::1"], "ports": ports}}
    cluster.create(api_paths.core("default", "services"), service)
    create_slice(cluster, "kubernetes", "IPv4", "192.168.5.11", "192.168.5.10")
    create_slice(cluster, "kubernetes-6", "IPv6", "fd00:5::10")
    create_slice(cluster, "kubernetes-name", "FQDN", "api.example.test")
    create_slice(cluster, "kubernetes-empty", "IPv4", endpoints=None, ports=None)
    create_slice(cluster, "other", "IPv4", "192.168.5.99", metadata={"name": "other", "labels": {}})
    services = (ApiServerEndpoint("10.96.0.1", 443), ApiServerEndpoint("fd00::1", 443))
    assert read_api_server(cluster) == tuple(sorted((*services, FIRST, SECOND, ApiServerEndpoint("fd00:5::10", 6443))))


def test_the_policy_is_written_once_and_again_when_an_address_changes(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    path = api_paths.network_policies("shop", name)
    for endpoints in ((FIRST,), (FIRST,), (FIRST, SECOND), (FIRST, SECOND)):
        ensure_network_policy(cluster, a_network_policy(name, *endpoints))
        assert cluster.get(path)["spec"] == a_network_policy(name, *endpoints)["spec"]
    assert len(kubernetes.requests("PATCH", path)) == 1


def test_a_change_by_others_is_undone(cluster: KubernetesClient, name: str) -> None:
    path = api_paths.network_policies("shop", name)
    ensure_network_policy(cluster, a_network_policy(name, FIRST))
    cluster.patch(path, {"spec": {"ingress": [{}], "egress": [{}]}, "metadata": {"ownerReferences": None}})
    ensure_network_policy(cluster, a_network_policy(name, FIRST))
    restored = cluster.get(path)
    assert restored["spec"] == a_network_policy(name, FIRST)["spec"]
    assert restored["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


def test_a_new_project_of_the_same_name_becomes_the_owner(cluster: KubernetesClient, name: str) -> None:
    for project in ("uid-1", "uid-2"):
        ensure_network_policy(cluster, a_network_policy(name, FIRST, project=project))
    owners = cluster.get(api_paths.network_policies("shop", name))["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["uid-2"]


def test_a_policy_of_others_is_refused_and_never_removed(cluster: KubernetesClient, name: str) -> None:
    foreign = a_network_policy(name)
    foreign["metadata"]["labels"] = {}
    cluster.create(api_paths.network_policies("shop"), foreign)
    with pytest.raises(Refused, match=f"NetworkPolicy {name} in namespace shop exists"):
        ensure_network_policy(cluster, a_network_policy(name, FIRST))
    remove_network_policy(cluster, "shop", name)
    assert cluster.get(api_paths.network_policies("shop", name))


def test_the_policy_is_removed(cluster: KubernetesClient, name: str) -> None:
    ensure_network_policy(cluster, a_network_policy(name, FIRST))
    for _ in range(2):
        remove_network_policy(cluster, "shop", name)
        with pytest.raises(NotFound):
            cluster.get(api_paths.network_policies("shop", name))

"""The operator keeps the NetworkPolicy of import pods in the namespace of each Project."""

from typing import Any

import pytest
from tests.e2e.tenant import Tenant
from tests.support import kubectl
from tests.support.network_policies import Packet, allows, selects

from pgimport.model.names import LABEL_IMPORT_UID, namespace_names

pytestmark = pytest.mark.cluster

NAME = namespace_names("pgimport").network_policy
CHECK_SECONDS = 90  # a Project is checked once a minute


def read_endpoints() -> list[Packet]:
    """Reads the addresses of the API server, of its Service and of its instances."""
    service = kubectl.get("services", "kubernetes", "default")["spec"]
    packets = [Packet(address, port["port"]) for address in service["clusterIPs"] for port in service["ports"]]
    for item in kubectl.list_objects("endpointslices", "default", "kubernetes.io/service-name=kubernetes"):
        addresses = [address for endpoint in item["endpoints"] for address in endpoint["addresses"]]
        packets += [Packet(address, port["port"]) for address in addresses for port in item["ports"]]
    return packets


def read_policy(tenant: Tenant) -> dict[str, Any] | None:
    return kubectl.find("networkpolicies", NAME, tenant.name)


def test_import_pods_may_not_connect_to_the_api_server(tenant: Tenant) -> None:
    policy = kubectl.get("networkpolicies", NAME, tenant.name)
    assert selects(policy["spec"]["podSelector"], {LABEL_IMPORT_UID: "uid"})
    endpoints = read_endpoints()
    assert len(endpoints) > 1
    for packet in endpoints:
        assert not allows(policy, packet), packet
    assert not allows(policy, Packet("169.254.169.254", 80))
    assert allows(policy, Packet("10.1.2.3", 5432))


def test_the_policy_comes_back_and_belongs_to_the_project(tenant: Tenant) -> None:
    kubectl.delete("networkpolicies", NAME, namespace=tenant.name)
    policy = kubectl.wait_until(lambda: read_policy(tenant), "the policy is back", CHECK_SECONDS)
    assert [owner["uid"] for owner in policy["metadata"]["ownerReferences"]] == [tenant.uid]

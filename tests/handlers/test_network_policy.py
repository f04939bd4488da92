"""The NetworkPolicy of import pods follows the API server, the Project and the configuration."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import POLICY, PROJECT, Operator
from tests.support.kubernetes import BYSTANDER, run_kubernetes
from tests.support.network_policies import Packet, allows
from tests.support.postgres import PostgresServer

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import PROJECTS
from pgimport.model.resources import ResourceKey

SERVICE = {"clusterIPs": ["10.96.0.1"], "ports": [{"port": 443}]}


@pytest.fixture
def new_tenant(postgres16: PostgresServer) -> Iterator[Tenant]:
    with run_kubernetes() as kubernetes:
        prepared = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        prepared.prepare()
        prepared.create(api_paths.core("default", "services"), {"metadata": {"name": "kubernetes"}, "spec": SERVICE})
        yield prepared


def reconcile_project(tenant: Tenant, **policy: Any) -> None:
    operator = Operator(tenant.kubernetes)
    operator.context = replace(operator.context, policy=replace(POLICY, **policy))
    operator.reconcile(PROJECT)


def read_policies(tenant: Tenant) -> list[dict[str, Any]]:
    policies: list[dict[str, Any]] = tenant.cluster.get(api_paths.network_policies(NAMESPACE))["items"]
    return policies


def test_it_follows_the_addresses_of_the_api_server(new_tenant: Tenant) -> None:
    new = Packet("192.168.5.10", 6443)
    reconcile_project(new_tenant, network_policy=True)
    (policy,) = read_policies(new_tenant)
    assert not allows(policy, Packet("10.96.0.1", 443))
    assert allows(policy, new)
    endpoints = {
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [new.address]}],
        "ports": [{"port": new.port}],
    }
    new_tenant.create(api_paths.endpoint_slices("default"), endpoints)
    reconcile_project(new_tenant, network_policy=True)
    (policy,) = read_policies(new_tenant)
    assert not allows(policy, new)


def test_it_goes_with_the_project(new_tenant: Tenant) -> None:
    reconcile_project(new_tenant, network_policy=True)
    assert len(read_policies(new_tenant)) == 1
    new_tenant.cluster.delete(api_paths.of_key(ResourceKey(PROJECTS, "", PROJECT.name)))
    assert read_policies(new_tenant) == []


def test_it_is_removed_when_it_is_turned_off(new_tenant: Tenant) -> None:
    reconcile_project(new_tenant, network_policy=True, release_name="imports")
    assert [policy["metadata"]["name"] for policy in read_policies(new_tenant)] == ["imports-imports"]
    reconcile_project(new_tenant, network_policy=False, release_name="imports")
    assert read_policies(new_tenant) == []


def test_a_project_without_the_right_to_read_the_addresses_names_the_request(new_tenant: Tenant) -> None:
    new_tenant.cluster.delete(api_paths.core("default", "services", "kubernetes"))
    with pytest.raises(Exception, match="GET /api/v1/namespaces/default/services/kubernetes: 404"):
        reconcile_project(new_tenant, network_policy=True)
    assert read_policies(new_tenant) == []

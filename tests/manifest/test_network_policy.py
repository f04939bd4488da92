"""Checks which packets the NetworkPolicy of import pods allows."""

import ipaddress
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support.network_policies import Packet, allows, selects
from tests.support.samples import a_meta

from pgimport.manifest.network_policy import build_network_policy
from pgimport.model.observations import ApiServerEndpoint
from pgimport.model.source_addresses import METADATA_SERVICES

GOLDEN = Path(__file__).parent / "golden"
SERVICE, SERVICE_6 = ApiServerEndpoint("10.96.0.1", 443), ApiServerEndpoint("fd00:10:96::1", 443)
INSTANCE, PUBLIC = ApiServerEndpoint("192.168.5.10", 6443), ApiServerEndpoint("203.0.113.7", 443)
ENDPOINTS = (SERVICE, SERVICE_6, INSTANCE, PUBLIC)
DENIED = ("10.20.0.0/16", "2001:db8::/32")
PROJECT = a_meta("shop", namespace="")
POLICY = build_network_policy("pgimport-imports", "shop", PROJECT, ENDPOINTS)
STRICTER = build_network_policy("pgimport-imports", "shop", PROJECT, ENDPOINTS, DENIED)
A_POD = {"app": "postgres"}

REACHABLE = [
    pytest.param(Packet("8.8.8.8", 5432), id="a public source"),
    pytest.param(Packet("2600:1f18::5", 5432), id="a public source with IPv6"),
    pytest.param(Packet("10.1.2.3", 5432), id="a private source"),
    pytest.param(Packet("64:ff9b::808:808", 5432), id="a public source behind NAT64"),
    pytest.param(Packet("192.168.5.10", 5432), id="a database on the node of the API server"),
    pytest.param(Packet("192.168.5.10", 10053, "UDP"), id="the cluster's DNS on the node of the API server"),
    pytest.param(Packet("10.96.0.77", 9000), id="the Service of a store"),
    pytest.param(Packet("10.244.0.7", 5432, pod_labels=A_POD), id="a target in a pod"),
    pytest.param(Packet("10.244.0.9", 53, "UDP", {"k8s-app": "kube-dns"}), id="the cluster's DNS in a pod"),
    pytest.param(Packet("169.254.20.10", 53, "UDP"), id="NodeLocal DNS"),
    pytest.param(Packet("169.254.169.254", 53, "UDP"), id="the resolver of a cloud at the metadata address"),
    pytest.param(Packet("168.63.129.16", 53, "TCP"), id="the resolver of another cloud"),
]
UNREACHABLE = [
    pytest.param(Packet("10.96.0.1", 443), id="the Service of the API server"),
    pytest.param(Packet("fd00:10:96::1", 443), id="its Service with IPv6"),
    pytest.param(Packet("192.168.5.10", 6443), id="an instance of the API server"),
    pytest.param(
        Packet("192.168.5.10", 6443, pod_labels={"component": "kube-apiserver"}),
        id="an instance in a pod with hostNetwork",
    ),
    pytest.param(Packet("203.0.113.7", 443), id="a public address of the API server"),
    pytest.param(Packet("64:ff9b::cb00:7107", 443), id="this address behind NAT64"),
    *[
        pytest.param(Packet(str(network.network_address), 80), id=f"metadata service {network.network_address}")
        for network in METADATA_SERVICES
    ],
    pytest.param(Packet("64:ff9b::a9fe:a9fe", 80), id="a metadata service behind NAT64"),
]


def test_the_policy_is_valid_and_goes_with_the_project() -> None:
    for policy in (POLICY, STRICTER):
        kubernetes_validate.validate(policy, "1.35", strict=True)
    (owner,) = POLICY["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["blockOwnerDeletion"]) == ("Project", PROJECT.uid, False)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_policy_selects_the_pods_of_imports(path: Path) -> None:
    job = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert selects(POLICY["spec"]["podSelector"], job["spec"]["template"]["metadata"]["labels"])


def test_the_policy_selects_no_other_pod() -> None:
    assert not selects(POLICY["spec"]["podSelector"], A_POD)


def test_nothing_may_connect_to_an_import_pod() -> None:
    assert "Ingress" in POLICY["spec"]["policyTypes"]
    assert "ingress" not in POLICY["spec"]


@pytest.mark.parametrize("blocks_contain_pods", [True, False], ids=["by address", "by identity"])
@pytest.mark.parametrize("packet", REACHABLE)
def test_import_pods_reach(packet: Packet, blocks_contain_pods: bool) -> None:
    assert allows(POLICY, packet, blocks_contain_pods=blocks_contain_pods)


@pytest.mark.parametrize("blocks_contain_pods", [True, False], ids=["by address", "by identity"])
@pytest.mark.parametrize("packet", UNREACHABLE)
def test_import_pods_do_not_reach(packet: Packet, blocks_contain_pods: bool) -> None:
    assert not allows(POLICY, packet, blocks_contain_pods=blocks_contain_pods)


@pytest.mark.parametrize(
    ("packet", "allowed"),
    [
        pytest.param(Packet("10.20.3.4", 5432), False, id="a denied network"),
        pytest.param(Packet("64:ff9b::a14:304", 5432), False, id="this network behind NAT64"),
        pytest.param(Packet("2001:db8::1", 5432), False, id="a denied network with IPv6"),
        pytest.param(Packet("10.20.3.4", 53, "UDP"), True, id="its DNS"),
        pytest.param(Packet("10.20.3.4", 5432, pod_labels=A_POD), True, id="a pod in it"),
        pytest.param(Packet("10.21.0.1", 5432), True, id="another network"),
    ],
)
def test_an_admin_denies_more_networks(packet: Packet, allowed: bool) -> None:
    assert allows(STRICTER, packet) is allowed


def test_other_ports_of_the_api_server_stay_denied_with_their_network() -> None:
    policy = build_network_policy("a", "shop", PROJECT, (INSTANCE,), ("192.168.5.0/24",))
    assert not allows(policy, Packet("192.168.5.10", 5432))


addresses = st.one_of(
    st.ip_addresses(), st.sampled_from([ipaddress.ip_address(endpoint.address) for endpoint in ENDPOINTS])
)
ports = st.one_of(st.integers(1, 65535), st.sampled_from([53, 442, 443, 444, 6442, 6443, 6444]))


@given(address=addresses, port=ports, protocol=st.sampled_from(["TCP", "UDP"]))
def test_everything_else_is_reachable(address: Any, port: int, protocol: str) -> None:
    is_metadata = any(address in network for network in METADATA_SERVICES)
    is_nat64 = address in ipaddress.ip_network("64:ff9b::/96")
    is_api_server = protocol == "TCP" and ApiServerEndpoint(str(address), port) in ENDPOINTS
    allowed = port == 53 or not (is_metadata or is_api_server)
    assert is_nat64 or allows(POLICY, Packet(str(address), port, protocol)) is allowed


@pytest.mark.parametrize(
    ("endpoints", "packet", "allowed"),
    [
        pytest.param((("10.0.0.1", 1),), Packet("10.0.0.1", 2), True, id="the first port"),
        pytest.param((("10.0.0.1", 65535),), Packet("10.0.0.1", 65534), True, id="the last port"),
        pytest.param((("10.0.0.1", 1), ("10.0.0.1", 2)), Packet("10.0.0.1", 2), False, id="adjacent ports"),
        pytest.param((("10.0.0.1", 443), ("10.0.0.1", 6443)), Packet("10.0.0.1", 500), True, id="between two ports"),
    ],
)
def test_ports_of_the_api_server(endpoints: tuple[tuple[str, int], ...], packet: Packet, allowed: bool) -> None:
    policy = build_network_policy("a", "shop", PROJECT, [ApiServerEndpoint(*item) for item in endpoints])
    kubernetes_validate.validate(policy, "1.35", strict=True)
    assert allows(policy, packet) is allowed


def test_the_order_of_addresses_changes_nothing() -> None:
    """Otherwise the operator would write the policy again whenever Kubernetes lists the endpoints in another order."""
    assert build_network_policy("pgimport-imports", "shop", PROJECT, ENDPOINTS[::-1]) == POLICY

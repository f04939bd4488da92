"""Builds the NetworkPolicy of import pods.

A source can be anywhere, and a NetworkPolicy can only allow. So this one allows all addresses except those of the API
server and of metadata services.
"""

import ipaddress
import itertools
from collections.abc import Iterable, Sequence

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.observations import ApiServerEndpoint
from pgimport.model.resources import ObjectMeta
from pgimport.model.source_addresses import METADATA_SERVICES, NAT64, Network

_EVERYWHERE = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))
_LAST_PORT = 65535
_DNS_PORT = 53


def build_network_policy(
    name: str,
    namespace: str,
    project: ObjectMeta,
    api_server: Sequence[ApiServerEndpoint],
    denied_networks: Sequence[str] = (),
) -> Json:
    """Builds the policy, which Kubernetes deletes with the Project.

    `denied_networks`: more networks in CIDR notation that import pods must not reach, except for DNS.
    """
    denied = _add_nat64([*METADATA_SERVICES, *(ipaddress.ip_network(text, strict=False) for text in denied_networks)])
    excluded = {*denied, *_add_nat64([ipaddress.ip_network(endpoint.address) for endpoint in api_server])}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": build_labels(),
            "ownerReferences": [build_owner_reference("Project", project)],
        },
        "spec": {
            "podSelector": {"matchExpressions": [{"key": LABEL_IMPORT_UID, "operator": "Exists"}]},
            "policyTypes": ["Ingress", "Egress"],  # without a rule for Ingress: nothing may connect to an import pod
            "egress": [
                _allow_dns(),
                _allow_pods(),
                {"to": [_build_block(everywhere, excluded) for everywhere in _EVERYWHERE]},
                *_allow_other_ports(api_server, denied),
            ],
        },
    }


def _add_nat64(networks: Sequence[Network]) -> list[Network]:
    """Adds the IPv6 addresses by which a NAT64 gateway reaches the IPv4 ones."""
    return [*networks, *(_to_nat64(item) for item in networks if isinstance(item, ipaddress.IPv4Network))]


def _to_nat64(network: ipaddress.IPv4Network) -> ipaddress.IPv6Network:
    prefix = NAT64.prefixlen + network.prefixlen
    return ipaddress.IPv6Network((int(NAT64.network_address) | int(network.network_address), prefix))


def _allow_dns() -> Json:
    """Allows DNS at all addresses: in some clouds, the address of the metadata service is also that of the resolver."""
    return {"ports": [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]}


def _allow_pods() -> Json:
    """Allows all pods, because for some network plugins, such as Cilium, an ipBlock contains no pods.

    Some plugins take pods with hostNetwork for pods, so this leaves out the API server's, by kubeadm's label.
    """
    others = {"key": "component", "operator": "NotIn", "values": ["kube-apiserver"]}
    return {"to": [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [others]}}]}


def _build_block(everywhere: Network, excluded: Iterable[Network]) -> Json:
    same_family = {item for item in excluded if item.version == everywhere.version}
    ordered = sorted(same_family, key=lambda item: (int(item.network_address), item.prefixlen))
    return {"ipBlock": {"cidr": str(everywhere), "except": [str(item) for item in ordered]}}


def _allow_other_ports(api_server: Sequence[ApiServerEndpoint], denied: Sequence[Network]) -> list[Json]:
    """Allows the other ports of the API server's addresses: a node may also run a database, or the cluster's DNS."""
    rules = []
    for address in sorted({endpoint.address for endpoint in api_server}):
        network = ipaddress.ip_network(address)
        if any(network.network_address in item for item in denied):
            continue
        taken = sorted({endpoint.port for endpoint in api_server if endpoint.address == address})
        tcp = [{"protocol": "TCP", "port": first, "endPort": last} for first, last in _find_gaps(taken)]
        udp = {"protocol": "UDP", "port": 1, "endPort": _LAST_PORT}
        rules.append({"to": [{"ipBlock": {"cidr": str(network)}}], "ports": [*tcp, udp]})
    return rules


def _find_gaps(ports: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the ranges of ports, first and last, between the given ones, which are sorted."""
    bounds = [0, *ports, _LAST_PORT + 1]
    gaps = [(left + 1, right - 1) for left, right in itertools.pairwise(bounds)]
    return [(first, last) for first, last in gaps if first <= last]

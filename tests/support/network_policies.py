"""Evaluates a NetworkPolicy for one packet, by the rules that Kubernetes documents."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that a selected pod sends, as a network plugin sees it."""

    address: str
    port: int
    protocol: str = "TCP"
    pod_labels: Mapping[str, str] | None = None  # None: no pod has the address


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Evaluates a label selector."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_matches(term, labels) for term in selector.get("matchExpressions", ()))


def _matches(term: Json, labels: Mapping[str, str]) -> bool:
    key = term["key"]
    match term["operator"]:
        case "Exists":
            return key in labels
        case "NotIn":
            return labels.get(key) not in term["values"]
    raise NotImplementedError(term["operator"])


def allows(policy: Json, packet: Packet, *, blocks_contain_pods: bool = True) -> bool:
    """Tells whether a selected pod may send this packet, if no other policy selects the pod.

    `blocks_contain_pods`: whether the network plugin compares an ipBlock with the addresses of pods.
    """
    assert "Egress" in policy["spec"]["policyTypes"]
    return any(
        _allows_peer(rule, packet, blocks_contain_pods) and _allows_port(rule, packet)
        for rule in policy["spec"]["egress"]
    )


def _allows_peer(rule: Json, packet: Packet, blocks_contain_pods: bool) -> bool:
    return "to" not in rule or any(_is_peer(peer, packet, blocks_contain_pods) for peer in rule["to"])


def _is_peer(peer: Json, packet: Packet, blocks_contain_pods: bool) -> bool:
    if "ipBlock" not in peer:
        assert peer["namespaceSelector"] == {}
        return packet.pod_labels is not None and selects(peer.get("podSelector", {}), packet.pod_labels)
    if packet.pod_labels is not None and not blocks_contain_pods:
        return False
    address, block = ipaddress.ip_address(packet.address), peer["ipBlock"]
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(text) for text in block.get("except", ())
    )


def _allows_port(rule: Json, packet: Packet) -> bool:
    return "ports" not in rule or any(
        port["protocol"] == packet.protocol and port["port"] <= packet.port <= port.get("endPort", port["port"])
        for port in rule["ports"]
    )

"""Creates the bridge of the pods and its iptables rules, and removes all of them.

The addresses are constants. A second instance on the same machine runs in a network namespace of its own, because the
chains of two kube-proxies have the same names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.bare.debian_packages import network_plugins
from tests.cluster.commands import find_program, run
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance

BRIDGE = "pgimport0"
PODS = "10.244.0.0/24"
# The host's own address on the bridge: node, API server and CoreDNS answer on it, so that pods and this host
# reach them and no other machine does.
NODE_ADDRESS = "10.244.0.1"
# Fixed, because a bridge else takes a new hardware address whenever a pod comes or goes.
BRIDGE_HARDWARE_ADDRESS = "0a:58:0a:f4:00:01"
SERVICES = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"

TABLES = ("filter", "nat", "mangle")

# Chains that kube-proxy and the kubelet make; their own clean-up leaves some of them.
KUBERNETES_CHAIN = re.compile(r"KUBE-")


def _rules(instance: Instance) -> list[tuple[str, list[str]]]:
    """Builds the rules that masquerade and forward the pods' packets."""
    ours = ["-m", "comment", "--comment", instance.name]
    return [
        ("nat", ["POSTROUTING", "-s", PODS, "!", "-d", PODS, *ours, "-j", "MASQUERADE"]),
        ("filter", ["FORWARD", "-i", BRIDGE, *ours, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "-o", BRIDGE, *ours, "-j", "ACCEPT"]),
    ]


def _saved(family: str, table: str) -> list[str]:
    if find_program(f"{family}-save") is None:
        return []
    try:
        return run([f"{family}-save", "-t", table]).splitlines()
    except ClusterError:
        return []  # a kernel without this table, or without IPv6, holds no rules in it


def kubernetes_chains() -> list[str]:
    """Lists the chains of any kube-proxy or kubelet in this network namespace."""
    lines = [line for table in TABLES for line in _saved("iptables", table)]
    return sorted({line[1:].split()[0] for line in lines if line.startswith(":KUBE-")})


def names_in_rules() -> set[str]:
    """Returns the names of the instances whose rules are in this network namespace."""
    lines = [line for table in TABLES for line in _saved("iptables", table)]
    return {match[0] for line in lines if (match := re.search(r"\bpgimport-[0-9a-f]{8}\b", line))}


def create_network(instance: Instance) -> None:
    run(["ip", "link", "add", "name", BRIDGE, "address", BRIDGE_HARDWARE_ADDRESS, "type", "bridge"])
    run(["ip", "address", "add", f"{NODE_ADDRESS}/{PODS.partition('/')[2]}", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    for table, rule in _rules(instance):
        chain, *match = rule
        run(["iptables", "--wait", "-t", table, "-I", chain, "1", *match])


def write_network_config(instance: Instance) -> Path:
    """Writes the CNI configuration and returns its folder."""
    folder = instance.folder / "network"
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": PODS, "gateway": NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(instance.folder / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    content = {"cniVersion": "0.4.0", "name": "pgimport", "plugins": [bridge]}
    (folder / "10-pgimport.conflist").write_text(json.dumps(content, indent=1))
    return folder


def plugins_folder() -> Path:
    folder = network_plugins()
    if folder is None:
        raise ClusterError("the network plugins of the package containernetworking-plugins are missing")
    return folder


def _is_ours(rule: str, instance: Instance) -> bool:
    jumps = re.search(r"(?:-j|-g) (\S+)", rule)
    return instance.name in rule or bool(jumps and KUBERNETES_CHAIN.match(jumps[1]))


def _undo(lines: list[str], instance: Instance) -> Iterator[str]:
    """Builds the input with which `iptables-restore --noflush` removes our rules and chains from a table."""
    chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
    ours = [chain for chain in chains if KUBERNETES_CHAIN.match(chain)]
    yield from (f":{chain} - [0:0]" for chain in ours)
    for line in lines:
        if line.startswith("-A ") and line.split()[1] not in ours and _is_ours(line, instance):
            yield "-D " + line.removeprefix("-A ")
    yield from (f"-X {chain}" for chain in ours)


def remove_rules(instance: Instance) -> None:
    for family in ("iptables", "ip6tables"):
        for table in TABLES:
            if changes := list(_undo(_saved(family, table), instance)):
                text = "\n".join([f"*{table}", *changes, "COMMIT", ""])
                run([f"{family}-restore", "--wait", "--noflush"], text_in=text)


def _links(*filters: str) -> list[str]:
    try:
        links = json.loads(run(["ip", "-json", "link", "show", *filters]) or "[]")
    except ClusterError:
        return []
    # An emptied filter answers with empty objects instead of none.
    return [link["ifname"] for link in links if "ifname" in link]


def remove_network(instance: Instance) -> None:
    """Removes rules, veth pairs and the bridge. No process of a pod may be left."""
    remove_rules(instance)
    for link in [*_links("master", BRIDGE), *_links("dev", BRIDGE)]:
        # A veth pair may vanish by itself, when the kernel takes the pod's namespace away just now.
        with suppress(ClusterError):
            run(["ip", "link", "delete", link])
    if links := _links("dev", BRIDGE):
        raise ClusterError(f"the bridge {links[0]} cannot be removed")

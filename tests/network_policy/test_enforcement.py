"""kube-router enforces the NetworkPolicy of import pods in a network of its own.

The node has all addresses that are not pods: of the API server, of a metadata service, and of a public source. Before
the policy is enforced, every place is reachable.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.go_programs import ensure_go_program
from tests.network_policy.node_network import Namespace, open_node
from tests.support.samples import a_meta

from pgimport.manifest.network_policy import build_network_policy
from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.observations import ApiServerEndpoint

pytestmark = pytest.mark.thorough

PROGRAMS = ("nsenter", "unshare", "ip", "iptables", "ipset", "go")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
if sys.platform != "linux" or os.geteuid() != 0 or MISSING:
    needed = f"root on Linux{' and ' + ', '.join(MISSING) if MISSING else ''}"
    pytest.skip(f"enforcing a NetworkPolicy needs {needed}", allow_module_level=True)

IMPORT, OTHER, SERVER = "10.244.0.11", "10.244.0.12", "10.244.0.13"  # pods
NODE, SERVICE, METADATA, PUBLIC, DENIED = "192.168.5.10", "10.96.0.1", "169.254.169.254", "198.51.100.7", "10.20.0.1"
ENDPOINTS = (ApiServerEndpoint(SERVICE, 443), ApiServerEndpoint(NODE, 6443))
ALLOWED = [
    pytest.param(PUBLIC, 5432, id="a public source"),
    pytest.param(SERVER, 5432, id="a source in a pod"),
    pytest.param(NODE, 5432, id="a database on the node of the API server"),
    pytest.param(NODE, 10053, id="the cluster's DNS on this node"),
    pytest.param(METADATA, 53, id="the resolver of a cloud"),
]
FORBIDDEN = [
    pytest.param(NODE, 6443, id="the API server"),
    pytest.param(SERVICE, 443, id="the Service of the API server"),
    pytest.param(METADATA, 80, id="the metadata service"),
    pytest.param(DENIED, 5432, id="a network that the admin denies"),
]
PLACES = [(str(param.values[0]), int(str(param.values[1]))) for param in (*ALLOWED, *FORBIDDEN)]


def a_pod(name: str, address: str, **labels: str) -> dict[str, Any]:
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "hostIP": NODE}
    metadata = {"name": name, "namespace": "shop", "labels": labels}
    spec = {"nodeName": "node", "containers": [{"name": "a", "image": "a"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def list_objects() -> list[dict[str, Any]]:
    address = {"type": "InternalIP", "address": NODE}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}, "status": {"addresses": [address]}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        a_pod("import", IMPORT, **{LABEL_IMPORT_UID: "uid"}),
        a_pod("other", OTHER, app="shop"),
        a_pod("server", SERVER, app="postgres"),
        build_network_policy("pgimport-imports", "shop", a_meta("shop"), ENDPOINTS, [f"{DENIED}/32"]),
    ]


@pytest.fixture(scope="module")
def pods() -> Iterator[dict[str, Namespace]]:
    """Pods of a node on which the policy is enforced. Before, the import's pod has reached every place."""
    enforcer = ensure_go_program(Path(__file__).parent / "enforcer")
    with ExitStack() as stack:
        node, opened = stack.enter_context(open_node((IMPORT, OTHER, SERVER), (NODE, METADATA, PUBLIC, DENIED)))
        translation = ("-p", "tcp", "--dport", "443", "-j", "DNAT", "--to-destination", f"{NODE}:6443")
        node.run("iptables", "-t", "nat", "-A", "PREROUTING", "-d", SERVICE, *translation)
        listening = [f"{address}:{port}" for address, port in PLACES if address not in (SERVICE, SERVER)]
        stack.enter_context(node.listen(*listening))
        for pod, address in ((opened[SERVER], SERVER), (opened[IMPORT], IMPORT)):
            stack.enter_context(pod.listen(f"{address}:5432"))
        for address, port in PLACES:
            assert opened[IMPORT].reaches(address, port), f"{address}:{port} cannot be reached before the policy"
        assert opened[OTHER].reaches(IMPORT, 5432)
        assert node.run(str(enforcer), stdin=json.dumps(list_objects())) == "enforced\n"
        yield opened


@pytest.mark.parametrize(("address", "port"), ALLOWED)
def test_an_import_pod_reaches(pods: dict[str, Namespace], address: str, port: int) -> None:
    assert pods[IMPORT].reaches(address, port)


@pytest.mark.parametrize(("address", "port"), FORBIDDEN)
def test_an_import_pod_does_not_reach(pods: dict[str, Namespace], address: str, port: int) -> None:
    assert not pods[IMPORT].reaches(address, port)


def test_nothing_reaches_an_import_pod(pods: dict[str, Namespace]) -> None:
    assert not pods[OTHER].reaches(IMPORT, 5432)


@pytest.mark.parametrize(("address", "port"), PLACES)
def test_another_pod_of_the_namespace_reaches_everything(pods: dict[str, Namespace], address: str, port: int) -> None:
    assert pods[OTHER].reaches(address, port)

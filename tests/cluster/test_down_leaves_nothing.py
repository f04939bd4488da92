"""Tests that the host is the same before a cluster with pods was up and after it went down."""

from __future__ import annotations

import json

import pytest
from tests.cluster.bare.containerd import PAUSE_IMAGE, shim_sockets
from tests.cluster.bare.kubernetes_programs import TOOLS, link_programs
from tests.cluster.host_state import read_host_state
from tests.cluster.isolated_cluster import IsolatedCluster

pytestmark = [pytest.mark.thorough, pytest.mark.slow]


def _pod(name: str) -> dict[str, object]:
    """Builds a pod with every kind of mount: an emptyDir in memory, a token, a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "trace"}},
        "spec": {
            "containers": [
                {
                    "name": "pause",
                    "image": PAUSE_IMAGE,
                    "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
                    "resources": {"limits": {"memory": "32Mi"}},
                }
            ],
            "volumes": [{"name": "memory", "emptyDir": {"medium": "Memory"}}],
        },
    }


def _service() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "trace"},
        "spec": {"selector": {"app": "trace"}, "ports": [{"port": 80}]},
    }


def _run_pods(isolated: IsolatedCluster) -> None:
    documents = [_pod("one"), _pod("two"), _service()]
    items = {"apiVersion": "v1", "kind": "List", "items": documents}
    # The default service account is made a moment after the namespace; a pod before it is refused.
    isolated.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=120s")
    isolated.kubectl("apply", "--filename", "-", text_in=json.dumps(items))
    isolated.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=240s")


def test_before_and_after_are_the_same(isolated: IsolatedCluster) -> None:
    isolated.ask("ip", "link", "add", "foreign0", "type", "bridge")
    isolated.ask("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.0/24", "-j", "MASQUERADE")
    before = read_host_state(isolated)
    isolated.call("cluster")
    link_programs(TOOLS, isolated.instance.programs)
    _run_pods(isolated)
    during = read_host_state(isolated)
    sockets = shim_sockets(isolated.instance)
    isolated.call("down")
    after = read_host_state(isolated)
    blind = {what for what in before if what != "kernel settings" and during[what] == before[what]}
    assert not blind, "a running cluster left no trace there: the comparison looks at the wrong place"
    left = {what: sorted(after[what] ^ before[what]) for what in before if after[what] != before[what]}
    assert not left
    assert sockets, "pods ran without a shim: the comparison looks at the wrong place"
    assert not [socket for socket in sockets if socket.exists()]


def test_down_without_a_cluster_is_no_error(isolated: IsolatedCluster) -> None:
    isolated.call("down")
    isolated.call("down")

"""Runs CoreDNS as a process of this host, and makes it answer pods at the usual Service address."""

from __future__ import annotations

from tests.cluster.bare.api_client import create
from tests.cluster.bare.control_plane import kubeconfig_of
from tests.cluster.bare.node import resolver_file
from tests.cluster.bare.pod_network import DNS_SERVICE_ADDRESS, NODE_ADDRESS
from tests.cluster.bare.processes import Process, start
from tests.cluster.instance import Instance

DNS_PORT = 10053
HEALTH_PORT = 20080
READY_PORT = 20181

SERVICES_PATH = "/api/v1/namespaces/kube-system/services"
SLICES_PATH = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"


def _forward() -> str:
    """Forwards other names to this host's resolver, if it has one; cluster names work without."""
    path = resolver_file()
    known = path.exists() and any(line.startswith("nameserver") for line in path.read_text().splitlines())
    return f"forward . {path}" if known else ""


def _corefile(instance: Instance) -> str:
    # Short lives: a test that makes a Service anew must not be sent to the old one.
    return f""".:{DNS_PORT} {{
    bind {NODE_ADDRESS}
    errors
    health 127.0.0.1:{HEALTH_PORT}
    ready 127.0.0.1:{READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig_of(instance, "admin")}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    {_forward()}
    cache 5
}}
"""


def start_dns(instance: Instance) -> Process:
    config = instance.folder / "Corefile"
    config.write_text(_corefile(instance))
    return start(instance, "coredns", [instance.programs / "coredns", "-conf", config])


def create_dns_service(instance: Instance) -> None:
    """Creates a Service without a selector, whose only endpoint is CoreDNS on the bridge's address."""
    names = {"dns": "UDP", "dns-tcp": "TCP"}
    ports = [{"name": name, "protocol": protocol, "port": 53} for name, protocol in names.items()]
    create(
        instance,
        SERVICES_PATH,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": DNS_SERVICE_ADDRESS, "ports": ports},
        },
    )
    create(
        instance,
        SLICES_PATH,
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "kube-dns", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": [{**port, "port": DNS_PORT} for port in ports],
        },
    )

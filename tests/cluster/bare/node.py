"""Starts kubelet and kube-proxy, which make this host the cluster's only node."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.bare.containerd import socket_of
from tests.cluster.bare.control_plane import NODE, Access, kubeconfig_of
from tests.cluster.bare.pod_network import DNS_SERVICE_ADDRESS, NODE_ADDRESS, PODS
from tests.cluster.bare.processes import Process, start
from tests.cluster.instance import Instance

KUBELET_PORT = 20250
KUBELET_HEALTH_PORT = 20248
PROXY_METRICS_PORT = 20249
PROXY_HEALTH_PORT = 20256

# systemd-resolved's /etc/resolv.conf names an address of this host's loopback, which a pod cannot reach.
RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


def resolver_file() -> Path:
    return next((path for path in RESOLVERS if path.exists()), RESOLVERS[-1])


def _kubelet_config(instance: Instance, access: Access) -> dict[str, object]:
    pair = access.authority.pair("node")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "port": KUBELET_PORT,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": KUBELET_HEALTH_PORT,
        "tlsCertFile": str(pair.certificate),
        "tlsPrivateKeyFile": str(pair.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(access.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{socket_of(instance)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{instance.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(instance.folder / "pod-logs"),
        "volumePluginDir": str(instance.folder / "kubelet" / "volume-plugins"),
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver_file()),
        "maxPods": 200,
        "serializeImagePulls": False,
        # Seconds instead of minutes, so that a test sees soon what it waits for.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        # The images are imported once and cannot be pulled again: none may be collected, nor a pod evicted early.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    }


def start_kubelet(instance: Instance, access: Access) -> Process:
    config = instance.folder / "kubelet.json"
    config.write_text(json.dumps(_kubelet_config(instance, access), indent=1))
    return start(
        instance,
        "kubelet",
        [
            instance.programs / "kubelet",
            f"--config={config}",
            f"--kubeconfig={kubeconfig_of(instance, 'node')}",
            f"--root-dir={instance.folder / 'kubelet'}",
            f"--cert-dir={instance.folder / 'keys'}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ],
    )


def start_proxy(instance: Instance) -> Process:
    config = instance.folder / "kube-proxy.json"
    content = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_of(instance, "proxy"))},
        "mode": "iptables",
        "hostnameOverride": NODE,
        "clusterCIDR": PODS,
        "bindAddress": NODE_ADDRESS,
        "metricsBindAddress": f"127.0.0.1:{PROXY_METRICS_PORT}",
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
        "nodePortAddresses": ["primary"],
        # Zeros leave the host's own limits of connection tracking as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "100ms", "syncPeriod": "30s"},
    }
    config.write_text(json.dumps(content, indent=1))
    return start(instance, "kube-proxy", [instance.programs / "kube-proxy", f"--config={config}"])

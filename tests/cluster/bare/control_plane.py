"""Starts etcd, the API server, the controller manager and the scheduler, each with its own keys."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.bare.certificates import Authority, create_authority, issue
from tests.cluster.bare.kubeconfigs import write_kubeconfig
from tests.cluster.bare.pod_network import API_SERVICE_ADDRESS, NODE_ADDRESS, PODS, SERVICES
from tests.cluster.bare.processes import Process, start
from tests.cluster.instance import Instance

NODE = "pgimport"

# The usual ports and 10000: a Kubernetes or etcd that already runs on this machine keeps its own.
API_PORT = 16443
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
CONTROLLERS_PORT = 20257
SCHEDULER_PORT = 20259

# Nothing else competes for this API server: the clients' own brakes would only slow tests down.
REQUESTS = ["--kube-api-qps=200", "--kube-api-burst=400"]


@dataclass(frozen=True)
class Access:
    """The keys of all programs, and the address of the API server."""

    authority: Authority
    server: str


def _clients() -> dict[str, str]:
    """Maps each kubeconfig to the user and group that it authenticates as."""
    return {
        "admin": "/O=system:masters/CN=admin",
        "controllers": "/CN=system:kube-controller-manager",
        "scheduler": "/CN=system:kube-scheduler",
        "node": f"/O=system:nodes/CN=system:node:{NODE}",
        "proxy": "/CN=system:kube-proxy",
    }


def kubeconfig_of(instance: Instance, client: str) -> Path:
    return instance.kubeconfig if client == "admin" else instance.folder / "keys" / f"{client}.kubeconfig"


def create_access(instance: Instance) -> Access:
    authority = create_authority(instance.folder / "keys")
    access = Access(authority, f"https://{NODE_ADDRESS}:{API_PORT}")
    names = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost"
    issue(
        authority,
        "server",
        "/CN=kube-apiserver",
        f"{names},IP:127.0.0.1,IP:{NODE_ADDRESS},IP:{API_SERVICE_ADDRESS}",
    )
    for client, subject in _clients().items():
        pair = issue(authority, client, subject, f"DNS:{NODE},IP:{NODE_ADDRESS}" if client == "node" else "")
        write_kubeconfig(kubeconfig_of(instance, client), access.server, authority, pair)
    return access


def start_etcd(instance: Instance, access: Access) -> Process:
    """Starts etcd without fsync: after a power failure, a test cluster is created again."""
    server, ca = access.authority.pair("server"), access.authority.certificate
    tls = [
        word
        for prefix in ("", "peer-")
        for word in (
            f"--{prefix}cert-file={server.certificate}",
            f"--{prefix}key-file={server.key}",
            f"--{prefix}trusted-ca-file={ca}",
            f"--{prefix}client-cert-auth",
        )
    ]
    client, peer = f"https://127.0.0.1:{ETCD_PORT}", f"https://127.0.0.1:{ETCD_PEER_PORT}"
    return start(
        instance,
        "etcd",
        [
            instance.programs / "etcd",
            "--name=pgimport",
            f"--data-dir={instance.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=pgimport={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *tls,
        ],
    )


def _audit(instance: Instance) -> list[str]:
    """Writes requests of the chart's service accounts to `logs/audit.log`, without bodies.

    With `PGIMPORT_AUDIT_LOG=1` it writes all requests.
    """
    policy = instance.folder / "audit-policy.json"
    ours = {"level": "Metadata", "userGroups": ["system:serviceaccounts:pgimport-system"]}
    rules = [{"level": "Metadata"}] if os.environ.get("PGIMPORT_AUDIT_LOG") else [ours, {"level": "None"}]
    content = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    policy.write_text(json.dumps({**content, "rules": rules}))
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={instance.folder / 'logs' / 'audit.log'}",
        "--audit-log-format=json",
    ]


def start_api_server(instance: Instance, access: Access) -> Process:
    authority = access.authority
    server, admin = authority.pair("server"), authority.pair("admin")
    return start(
        instance,
        "kube-apiserver",
        [
            instance.programs / "kube-apiserver",
            f"--bind-address={NODE_ADDRESS}",
            f"--advertise-address={NODE_ADDRESS}",
            f"--secure-port={API_PORT}",
            f"--etcd-servers=https://127.0.0.1:{ETCD_PORT}",
            f"--etcd-cafile={authority.certificate}",
            f"--etcd-certfile={server.certificate}",
            f"--etcd-keyfile={server.key}",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={authority.certificate}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--service-account-key-file={authority.service_accounts}",
            f"--service-account-signing-key-file={authority.service_accounts}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-certificate-authority={authority.certificate}",
            f"--kubelet-client-certificate={admin.certificate}",
            f"--kubelet-client-key={admin.key}",
            # By its name, `kubectl logs` would ask DNS for the node.
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
            *_audit(instance),
        ],
    )


def _own_identity(kubeconfig: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        # There is no second one to agree with, and agreeing takes seconds.
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def start_controllers(instance: Instance, access: Access) -> Process:
    return start(
        instance,
        "kube-controller-manager",
        [
            instance.programs / "kube-controller-manager",
            *_own_identity(kubeconfig_of(instance, "controllers")),
            *REQUESTS,
            f"--secure-port={CONTROLLERS_PORT}",
            f"--cluster-cidr={PODS}",
            f"--service-account-private-key-file={access.authority.service_accounts}",
            f"--root-ca-file={access.authority.certificate}",
            "--use-service-account-credentials",
        ],
    )


def start_scheduler(instance: Instance) -> Process:
    return start(
        instance,
        "kube-scheduler",
        [
            instance.programs / "kube-scheduler",
            *_own_identity(kubeconfig_of(instance, "scheduler")),
            *REQUESTS,
            f"--secure-port={SCHEDULER_PORT}",
        ],
    )

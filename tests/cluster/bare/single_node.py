"""Starts a Kubernetes of one node on this host, and removes all of it.

`up` keeps a healthy cluster. If a cluster is not healthy (after a killed `up`, a reboot, or the end of a program), `up`
takes it down completely and starts a new one. It never repairs a part of a cluster.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable

from tests.cluster.bare import cgroups, host_settings, pod_network
from tests.cluster.bare.api_client import is_ready, node_is_ready
from tests.cluster.bare.cluster_dns import create_dns_service, start_dns
from tests.cluster.bare.containerd import (
    import_pause_image,
    shim_sockets,
    start_containerd,
    wait_for_containerd,
)
from tests.cluster.bare.control_plane import (
    NODE,
    create_access,
    start_api_server,
    start_controllers,
    start_etcd,
    start_scheduler,
)
from tests.cluster.bare.debian_packages import ensure_packages
from tests.cluster.bare.kubernetes_programs import CLUSTER, link_programs
from tests.cluster.bare.mounts import unmount_below
from tests.cluster.bare.node import start_kubelet, start_proxy
from tests.cluster.bare.processes import died, recorded
from tests.cluster.commands import print_progress
from tests.cluster.errors import ClusterError
from tests.cluster.instance import LONGEST_FOLDER, Instance, instance_named

# A first start on a busy machine of two cores takes 15 s.
SECONDS_TO_START = 120.0

PROGRAMS = {
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
}


def refuse_unfit_host(instance: Instance) -> None:
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise ClusterError("the bare cluster runs containers itself: it needs Linux and root")
    if len(os.fsencode(instance.folder)) > LONGEST_FOLDER:
        raise ClusterError(
            f"{instance.folder} is too long a path for the sockets below it ({LONGEST_FOLDER} bytes at most): "
            "choose another with PGIMPORT_CLUSTER_DIR"
        )
    if not host_settings.is_marked(instance):
        _take_down_abandoned()
    if not host_settings.is_marked(instance) and (chains := pod_network.kubernetes_chains()):
        raise ClusterError(
            f"this host has rules of another Kubernetes ({', '.join(chains[:3])} …), which a second kube-proxy "
            "would break: end it, or use it with CLUSTER=current"
        )


def _take_down_abandoned() -> None:
    """Removes bridge and rules of clusters whose processes were all ended from outside."""
    for other in filter(None, map(instance_named, pod_network.names_in_rules())):
        if cgroups.members(other.name):
            raise ClusterError(f"the cluster of {other.folder} is up on this host: take it down there first")
        print_progress(f"a cluster in {other.folder} was ended without a down: taking away what it left")
        pod_network.remove_network(other)
        down(other)


def is_healthy(instance: Instance) -> bool:
    alive = {process.name for process in recorded(instance) if process.is_alive()}
    return alive >= PROGRAMS and is_ready(instance) and node_is_ready(instance, NODE)


def _wait(instance: Instance, what: str, is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not is_done():
        for process in recorded(instance):
            if not process.is_alive():
                raise ClusterError(died(instance, process.name))
        if time.monotonic() > deadline:
            logs = instance.folder / "logs"
            raise ClusterError(f"{what} after {SECONDS_TO_START:.0f} s: look into {logs}")
        time.sleep(0.1)


def _start(instance: Instance) -> None:
    host_settings.remember_host(instance)
    host_settings.change_settings()
    cgroups.create_cgroups(instance.name)
    pod_network.create_network(instance)
    runtime = start_containerd(instance)
    access = create_access(instance)
    start_etcd(instance, access)
    start_api_server(instance, access)
    wait_for_containerd(instance, runtime)
    import_pause_image(instance)
    _wait(instance, "the API server is not ready", lambda: is_ready(instance))
    start_controllers(instance, access)
    start_scheduler(instance)
    start_kubelet(instance, access)
    start_proxy(instance)
    start_dns(instance)
    create_dns_service(instance)
    _wait(instance, "the node is not ready", lambda: node_is_ready(instance, NODE))


def up(instance: Instance) -> None:
    refuse_unfit_host(instance)
    cgroups.join_builders(instance.name)
    if is_healthy(instance):
        return
    ensure_packages()
    link_programs(CLUSTER, instance.programs)
    if host_settings.is_marked(instance):
        print_progress("a cluster is there but not in order: taking it down first")
        cgroups.leave_builders()
        down(instance)
        cgroups.join_builders(instance.name)
        link_programs(CLUSTER, instance.programs)
    print_progress(f"starting Kubernetes in {instance.folder}")
    _start(instance)
    print_progress(f"node {NODE} is ready")


def down(instance: Instance) -> None:
    """Removes processes, mounts, network, cgroups and files, in an order in which nothing is created again."""
    sockets = shim_sockets(instance)
    cgroups.end_members(instance.name)
    unmount_below(instance.folder, instance.run)
    for socket in sockets:
        socket.unlink(missing_ok=True)
    if host_settings.is_marked(instance):
        pod_network.remove_network(instance)
    cgroups.remove_cgroups(instance.name)
    host_settings.restore_host(instance)
    shutil.rmtree(instance.run, ignore_errors=True)
    _remove_files(instance)


def _remove_files(instance: Instance) -> None:
    """Removes the instance's files. The saved host settings go last, so that a killed `down` can be repeated."""
    if not instance.folder.exists():
        return
    last = ("host.json", "lock")
    for path in instance.folder.iterdir():
        if path.name in last:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (instance.folder / "host.json").unlink(missing_ok=True)

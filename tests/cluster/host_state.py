"""Reads everything that a cluster could leave on the host and in a network namespace."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.cluster.bare.buildah import RUN_FOLDER
from tests.cluster.bare.cgroups import hierarchies
from tests.cluster.bare.host_settings import CHANGED_BY_KUBERNETES, KUBELET_FOLDERS, OTHER_FOLDERS
from tests.cluster.instance import cache_folder, this_instance
from tests.cluster.isolated_cluster import IsolatedCluster

HostState = dict[str, set[str]]


def _foreign() -> tuple[str, ...]:
    """Returns texts that identify the cluster of `make up`, whose changes do not count."""
    main = this_instance()
    return (str(main.folder), main.name, str(cache_folder()), str(RUN_FOLDER))


def _processes(isolated: IsolatedCluster) -> set[str]:
    """Lists processes in the namespace, in the instance's cgroup, or with its folder in their arguments."""
    namespace = os.readlink(f"/proc/{isolated.holder}/ns/net")
    processes = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            inside = os.readlink(folder / "ns" / "net") == namespace
            member = isolated.instance.name in (folder / "cgroup").read_text()
            # A process that waits for its parent has neither arguments nor anything else any more.
            if words and (inside or member or str(isolated.instance.folder) in words):
                processes.add(f"{folder.name} {words}")
    return processes


def _mounts(_: IsolatedCluster) -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def _links(isolated: IsolatedCluster) -> set[str]:
    return {line.split(":")[1].strip() for line in isolated.ask("ip", "-oneline", "link").splitlines()}


def _namespaces(_: IsolatedCluster) -> set[str]:
    return {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " nsfs " in line} | {
        str(path) for path in Path("/run/netns").glob("*")
    }


def _rules(isolated: IsolatedCluster) -> set[str]:
    """Lists rules and chains, without the built-in chains, which exist as soon as they are listed."""
    lines = [
        f"{family} {line}"
        for family in ("iptables", "ip6tables")
        for line in isolated.ask(f"{family}-save").splitlines()
    ]
    built_in = (":INPUT ", ":OUTPUT ", ":FORWARD ", ":PREROUTING ", ":POSTROUTING ")
    kept = [line for line in lines if line.split(" ", 1)[1].startswith(("-A", ":"))]
    return {line.split(" [")[0] for line in kept if not line.split(" ", 1)[1].startswith(built_in)}


def _cgroups(_: IsolatedCluster) -> set[str]:
    """Lists the top of each cgroup tree. Ours are there; those of other programs come and go below it."""
    return {str(folder) for tree in hierarchies() for folder in tree.path.iterdir() if folder.is_dir()}


def _settings(_: IsolatedCluster) -> set[str]:
    paths = [Path("/proc/sys") / name for name in CHANGED_BY_KUBERNETES if not name.startswith("net/")]
    return {f"{path} = {path.read_text().strip()}" for path in paths if path.exists()}


def _folders(isolated: IsolatedCluster) -> set[str]:
    known = {*KUBELET_FOLDERS, *OTHER_FOLDERS, isolated.instance.folder, isolated.instance.run}
    around = {*Path("/run").iterdir(), *Path("/opt").iterdir()}
    return {str(path) for path in known | around if path.exists()}


READERS: dict[str, Callable[[IsolatedCluster], set[str]]] = {
    "processes": _processes,
    "mounts": _mounts,
    "links": _links,
    "network namespaces": _namespaces,
    "rules": _rules,
    "cgroups": _cgroups,
    "kernel settings": _settings,
    "folders": _folders,
}


def read_host_state(isolated: IsolatedCluster) -> HostState:
    foreign = _foreign()
    return {
        what: {entry for entry in read(isolated) if not any(word in entry for word in foreign)}
        for what, read in READERS.items()
    }

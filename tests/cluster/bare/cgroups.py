"""Manages an instance's cgroup in every hierarchy, and finds and ends the processes in it.

A process joins the instance's cgroup before its program starts, and its children are born there. So the cgroup has all
processes of the instance at any time, even if an `up` was killed before it could record a process.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError

# Killing is instant, but a process in the middle of a disk write ends only after it.
SECONDS_TO_END = 30.0


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup tree: one of several of version 1, or the only one of version 2."""

    path: Path
    unified: bool


def hierarchies() -> list[Hierarchy]:
    """Lists every mounted hierarchy once; cpu and cpuacct may be links to one mount."""
    trees = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind = right.split()[0]
        if kind in ("cgroup", "cgroup2"):
            path = left.split()[4]
            trees[path] = Hierarchy(Path(path), kind == "cgroup2")
    return list(trees.values())


def _holder() -> Hierarchy:
    """Returns the hierarchy in which processes are looked up: systemd's if there is one, because it limits nothing."""
    known = {tree.path.name: tree for tree in hierarchies()}
    if not known:
        raise ClusterError("no cgroup hierarchy is mounted below /sys/fs/cgroup: pods cannot be limited")
    return known.get("systemd") or known.get("pids") or next(iter(known.values()))


def _inherit_cpus(tree: Hierarchy, folder: Path) -> None:
    """Copies the parent's cpuset, because a new cpuset of version 1 is empty and nothing can run in it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not tree.unified and (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _delegate(tree: Hierarchy) -> None:
    """Enables the controllers for children, as version 2 demands; the kernel refuses those that are used elsewhere."""
    if tree.unified:
        for controller in (tree.path / "cgroup.controllers").read_text().split():
            with suppress(OSError):
                (tree.path / "cgroup.subtree_control").write_text(f"+{controller}")


def create_cgroups(name: str) -> None:
    for tree in hierarchies():
        _delegate(tree)
        for folder in (tree.path / name, tree.path / name / "system"):
            folder.mkdir(exist_ok=True)
            _inherit_cpus(tree, folder)


def system_procs(name: str) -> Path:
    """Returns the file into which a process writes its id to join the instance."""
    return _holder().path / name / "system" / "cgroup.procs"


def join_builders(name: str) -> None:
    """Ends the processes of a killed `up`, and makes this process and its children members."""
    builders = f"{name}/up"
    end_members(builders)
    tree = _holder()
    folder = tree.path / builders
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder.parent, folder):
        _inherit_cpus(tree, path)
    (folder / "cgroup.procs").write_text("0")


def leave_builders() -> None:
    """Moves this process back to the root cgroup, because a cgroup with a process cannot be removed."""
    (_holder().path / "cgroup.procs").write_text("0")


def _folders(name: str) -> list[Path]:
    """Lists the folders of a cgroup, children before parents, as they can be removed."""
    return [Path(folder) for tree in hierarchies() for folder, _, _ in os.walk(tree.path / name, topdown=False)]


def members(name: str) -> set[int]:
    pids: set[int] = set()
    for folder in _folders(name):
        with suppress(FileNotFoundError, OSError):
            pids.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
    return pids - {0, os.getpid()}


def _is_member(pid: int, name: str) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        return any(f"/{name}/" in f"{line}/" for line in lines)
    return False


def _kill(pid: int, name: str) -> None:
    """Kills a process if it is a member. A pidfd guards against a reused id."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if _is_member(pid, name):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def end_members(name: str) -> None:
    """Kills members until none is left, because a dying parent may have started another child."""
    deadline = time.monotonic() + SECONDS_TO_END
    while pids := members(name):
        if time.monotonic() > deadline:
            raise ClusterError(f"these processes of the cluster do not end: {sorted(pids)}")
        for pid in pids:
            _kill(pid, name)
        time.sleep(0.02)


def remove_cgroups(name: str) -> None:
    """Removes the cgroups. The kernel refuses that for a moment after the last process has ended."""
    deadline = time.monotonic() + SECONDS_TO_END
    while folders := _folders(name):
        for folder in folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if time.monotonic() > deadline:
                    raise ClusterError(f"the cgroup {folder} cannot be removed") from None
        time.sleep(0.02)

"""Changes the kernel settings that a cluster needs, and restores their earlier values."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from tests.cluster.instance import Instance

# Ours: pods reach other networks through this host, and each other's Services through the bridge's rules.
NEEDED = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}

# Set by the kubelet and kube-proxy as they start; neither can be told not to.
CHANGED_BY_KUBERNETES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
)

# The kubelet keeps its sockets for device plugins here whatever its root folder is.
KUBELET_FOLDERS = (Path("/var/lib/kubelet/device-plugins"), Path("/var/lib/kubelet"))
OTHER_FOLDERS = (
    Path("/var/log/containers"),
    Path("/var/lib/cni/results"),
    Path("/var/lib/cni"),
    Path("/run/containerd/s"),
    Path("/run/containerd"),
)


def _setting(name: str) -> Path:
    return Path("/proc/sys") / name


def _note(instance: Instance) -> Path:
    return instance.folder / "host.json"


def is_marked(instance: Instance) -> bool:
    """Tells whether an `up` of this instance has changed the host and no `down` has restored it."""
    return _note(instance).exists()


def remember_host(instance: Instance) -> None:
    """Saves the host's values before the first change. A repeated `up` keeps the saved values."""
    instance.run.mkdir(mode=0o711, exist_ok=True)
    instance.note.write_text(str(instance.folder))
    if is_marked(instance):
        return
    names = [name for name in (*NEEDED, *CHANGED_BY_KUBERNETES) if _setting(name).exists()]
    content = {
        "settings": {name: _setting(name).read_text().strip() for name in names},
        "folders": [str(path) for path in (*KUBELET_FOLDERS, *OTHER_FOLDERS) if path.exists()],
    }
    unfinished = _note(instance).with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=1))
    unfinished.replace(_note(instance))


def change_settings() -> None:
    for name, value in NEEDED.items():
        if _setting(name).exists():
            _setting(name).write_text(value)


def _remove_own_links(instance: Instance) -> None:
    """Removes the links to container logs that the kubelet creates in a folder of the host."""
    folder = Path("/var/log/containers")
    for link in folder.iterdir() if folder.exists() else ():
        if link.is_symlink() and os.readlink(link).startswith(f"{instance.folder}/"):
            link.unlink()


def _remove_folder(folder: Path) -> None:
    if folder in KUBELET_FOLDERS:
        for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
            (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # another instance still uses a folder that is not empty


def restore_host(instance: Instance) -> None:
    if not is_marked(instance):
        return
    content = json.loads(_note(instance).read_text())
    for name, value in content["settings"].items():
        if _setting(name).exists() and _setting(name).read_text().strip() != value:
            _setting(name).write_text(value)
    _remove_own_links(instance)
    for folder in (*KUBELET_FOLDERS, *OTHER_FOLDERS):
        if str(folder) not in content["folders"]:
            _remove_folder(folder)

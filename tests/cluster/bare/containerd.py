"""Runs the containerd of an instance, and imports images into it."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import time
from pathlib import Path

from tests.cluster.bare.kubernetes_programs import programs_folder
from tests.cluster.bare.pod_network import plugins_folder, write_network_config
from tests.cluster.bare.processes import Process, died, start
from tests.cluster.commands import find_program, run
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance

PAUSE_IMAGE = "localhost/pause:1"
SECONDS_TO_START = 30.0

# The namespace in which the kubelet's containers and images live.
NAMESPACE = "k8s.io"

# opt makes a folder /opt/containerd; the other snapshotters probe the host for what is not used here.
DISABLED = (
    "io.containerd.internal.v1.opt",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)


def socket_of(instance: Instance) -> Path:
    return instance.run / "containerd.sock"


def _config(instance: Instance) -> str:
    """Builds the configuration as TOML, whose strings and lists look like JSON.

    It sets no OOM score below our own, because that needs a capability.
    """
    q = json.dumps
    return f"""version = 2
root = {q(str(instance.folder / "containerd"))}
state = {q(str(instance.run / "containerd"))}
disabled_plugins = {q(DISABLED)}
[grpc]
address = {q(str(socket_of(instance)))}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {q(PAUSE_IMAGE)}
restrict_oom_score_adj = true
disable_apparmor = true
stream_server_address = "127.0.0.1"
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {q(str(plugins_folder()))}
conf_dir = {q(str(write_network_config(instance)))}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
"""


def start_containerd(instance: Instance) -> Process:
    config = instance.folder / "containerd.toml"
    config.write_text(_config(instance))
    program = find_program("containerd")
    if program is None:
        raise ClusterError("the program containerd is missing")
    return start(instance, "containerd", [program, "--config", config])


def _ctr(instance: Instance, *words: str | Path) -> str:
    return run(["ctr", "--address", socket_of(instance), "--namespace", NAMESPACE, *words])


def wait_for_containerd(instance: Instance, process: Process) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not _listens(socket_of(instance)):
        if not process.is_alive() or time.monotonic() > deadline:
            raise ClusterError(died(instance, "containerd"))
        time.sleep(0.05)


def _listens(path: Path) -> bool:
    """Tells whether containerd answers; the socket's file also exists after containerd was killed."""
    with socket.socket(socket.AF_UNIX) as plug:
        return plug.connect_ex(str(path)) == 0


def import_archive(instance: Instance, archive: Path) -> None:
    _ctr(instance, "images", "import", "--snapshotter", "overlayfs", archive)


def has_image(instance: Instance, image: str) -> bool:
    return image in _ctr(instance, "images", "ls", "--quiet").splitlines()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _pause_layer() -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _add(archive, "pause", (programs_folder() / "pause").read_bytes(), 0o755)
    return layer.getvalue()


def import_pause_image(instance: Instance) -> None:
    """Imports the pause image: one file in one layer, written here in the format of `docker save`."""
    layer = _pause_layer()
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(run(["uname", "-m"]).strip(), "amd64"),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    path = instance.folder / "pause.tar"
    with tarfile.open(path, "w") as archive:
        _add(archive, "config.json", json.dumps(config).encode())
        _add(archive, "layer.tar", layer)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    import_archive(instance, path)
    path.unlink()


def shim_sockets(instance: Instance) -> list[Path]:
    """Lists the sockets of the shims, whose addresses are in the container bundles. A killed shim leaves its socket."""
    bundles = (instance.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address")
    return [Path(bundle.read_text().strip().removeprefix("unix://")) for bundle in bundles]

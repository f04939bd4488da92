"""The environment goes in; every path of one cluster instance comes out, all derived from its folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent

# A Unix socket's path may have 107 bytes; the kubelet adds up to 33 to its folder inside ours.
LONGEST_FOLDER = 70


@dataclass(frozen=True)
class Instance:
    """One cluster: its folder says which one; two instances share nothing but the cache."""

    folder: Path

    @property
    def name(self) -> str:
        """Names the instance outside of its folder: cgroups, the folder under /run, comments of rules."""
        return "pgimport-" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Sockets and container bundles: /run is in memory, and its short path fits into a socket address."""
        return Path("/run") / self.name

    @property
    def note(self) -> Path:
        """Which folder an instance has whose name is all that is known."""
        return self.run / "folder"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def environment(self) -> Path:
        return self.folder / "env"

    def shown(self, path: Path) -> str:
        """As short as a person at the root of the checkout can use it."""
        return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


def this_instance() -> Instance:
    """The instance of `PGIMPORT_CLUSTER_DIR`, else the checkout's own `.cluster`."""
    folder = os.environ.get("PGIMPORT_CLUSTER_DIR") or REPOSITORY / ".cluster"
    return Instance(Path(folder).absolute())


def instance_named(name: str) -> Instance | None:
    """The one that left this name on the host, where its note is there still."""
    note = Path("/run") / name / "folder"
    return Instance(Path(note.read_text())) if note.exists() else None


def cache_folder() -> Path:
    """Programs, root file systems and images, which outlive `down` and serve every checkout of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pgimport"

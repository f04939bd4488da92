"""The paths of a cluster instance, all derived from its folder, and of the cache."""

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
    """A cluster, identified by its folder. Two instances share only the cache."""

    folder: Path

    @property
    def name(self) -> str:
        """The name of cgroups, of the folder in /run, and in comments of rules."""
        return "pgimport-" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    @property
    def run(self) -> Path:
        """Folder of sockets and container bundles, whose path is short enough for a socket address."""
        return Path("/run") / self.name

    @property
    def note(self) -> Path:
        """File that maps the name of the instance to its folder."""
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
        """Returns a path for messages: relative to the checkout if it is inside."""
        return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


def this_instance() -> Instance:
    """Returns the instance of `PGIMPORT_CLUSTER_DIR`, else that of `.cluster` in the checkout."""
    folder = os.environ.get("PGIMPORT_CLUSTER_DIR") or REPOSITORY / ".cluster"
    return Instance(Path(folder).absolute())


def instance_named(name: str) -> Instance | None:
    """Returns the instance with this name, or None if its folder is unknown."""
    note = Path("/run") / name / "folder"
    return Instance(Path(note.read_text())) if note.exists() else None


def cache_folder() -> Path:
    """Returns the folder of programs, root file systems and images, which all checkouts of this user share."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pgimport"

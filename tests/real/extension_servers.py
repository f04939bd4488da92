"""Provides PostgreSQL 15 with PostGIS and pg_partman, as programs of this host, from Debian's packages."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.debian_postgres import server_tree
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache
from tests.support.postgres import PostgresServer, run_postgres, tree_programs

MAJOR = 15  # that of Debian bookworm, whose packages apt downloads
EXTENSIONS = ("postgresql-15-postgis-3", "postgresql-15-postgis-3-scripts", "postgresql-15-partman")
# What the extension postgis loads. The packages of its raster and 3D parts are much larger.
LIBRARIES = ("libgeos-c1v5", "libproj25", "libjson-c5", "libprotobuf-c1")
CONTROL_FILES = Path("usr/share/postgresql/15/extension")
_ONLY_DEPENDENCIES = [
    f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
]


@contextmanager
def run_server_with_extensions(clients: Path) -> Iterator[PostgresServer]:
    """Runs a server. `clients`: folder with `<major>/bin`, in which the clients of the major are."""
    programs = tree_programs(MAJOR, _tree_with_extensions(), clients)
    with run_postgres(MAJOR, programs, max_locks_per_transaction="256") as server:
        yield server


def _tree_with_extensions() -> Path:
    """Returns a copy of the server's root file system with the packages, which is made once."""
    original = server_tree(MAJOR)
    tree = cache_folder() / "applications" / f"extensions-{original.name}"
    with only_one_in_cache("applications"):
        if not tree.exists():
            unfinished = tree.with_name(f"unfinished-{tree.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            subprocess.run(["cp", "--archive", original, unfinished], check=True)
            for package in [*EXTENSIONS, *_find_missing_libraries(original)]:
                _unpack(package, unfinished)
            # The package's own script links it, because several versions can be installed.
            (unfinished / CONTROL_FILES / "postgis.control").symlink_to("postgis-3.control")
            unfinished.rename(tree)
    return tree


def _find_missing_libraries(tree: Path) -> list[str]:
    """Returns the packages that the libraries need and that the tree does not have."""
    command = ["apt-cache", "depends", "--recurse", *_ONLY_DEPENDENCIES, *LIBRARIES]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    needed = {line for line in lines if line[:1].isalpha()}
    status = (tree / "var/lib/dpkg/status").read_text(encoding="utf-8").splitlines()
    return sorted(needed - {line.removeprefix("Package: ") for line in status if line.startswith("Package: ")})


def _unpack(package: str, tree: Path) -> None:
    folder = tree / "tmp" / package
    folder.mkdir(parents=True)
    subprocess.run(["apt-get", "download", "--quiet", package], check=True, capture_output=True, cwd=folder)
    (file,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", file, tree], check=True, capture_output=True)
    shutil.rmtree(folder)

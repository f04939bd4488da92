"""Fetches packages of applications from their registries. Nothing is installed on the machine."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache


def unpack_debian_package(name: str) -> Path:
    """Downloads a package with apt, unpacks it once into the cache, and returns that folder."""
    folder = cache_folder() / "applications" / name
    with only_one_in_cache("applications"):
        if not (folder / "usr").exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", "--quiet", name], check=True, capture_output=True, cwd=folder)
            (package,) = folder.glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, capture_output=True)
    return folder


def install_python_packages(name: str, requirements: Sequence[str]) -> Path:
    """Installs packages into an environment of the cache, once, and returns its folder of programs."""
    folder = cache_folder() / "applications" / name
    with only_one_in_cache("applications"):
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, capture_output=True)
            pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, *requirements], check=True, capture_output=True)
            (folder / "complete").touch()
    return folder / "bin"

"""Finds Prometheus and promtool: on PATH, or else in Debian's package, which is unpacked once into the cache."""

import shutil
import subprocess
from pathlib import Path

from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache

PACKAGE = "prometheus"


def find_prometheus_program(name: str) -> Path:
    """Returns the path of `prometheus` or `promtool`. Nothing is installed on the machine."""
    if (program := shutil.which(name)) is not None:
        return Path(program)
    folder = cache_folder() / PACKAGE
    with only_one_in_cache(PACKAGE):
        if not (folder / "usr/bin" / name).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            subprocess.run(["apt-get", "download", "--quiet", PACKAGE], check=True, capture_output=True, cwd=folder)
            (archive,) = folder.glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True, capture_output=True)
            archive.unlink()
    return folder / "usr/bin" / name

"""Downloads the wheels of hash-locked requirements for the Python of the images.

This host's pip is configured for an index and a build in a container is not. So the wheels are downloaded here and
installed there without an index.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from tests.cluster.commands import print_progress, run
from tests.cluster.digest import digest_of
from tests.cluster.instance import REPOSITORY, cache_folder

# The Python of the images: python:3.13-slim-trixie, and Debian trixie's own.
PYTHON = "3.13"

# Every kind of wheel that glibc 2.41 of trixie can load.
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


def _host_python() -> str:
    """Returns the Python of the virtual environment if there is one, because Debian's own may have no pip."""
    own = REPOSITORY / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def _tags() -> list[str]:
    machine = "aarch64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    abi = "cp" + PYTHON.replace(".", "")
    tags = [f"--platform={name}_{machine}" for name in PLATFORMS]
    return [f"--python-version={PYTHON}", "--implementation=cp", f"--abi={abi}", "--abi=abi3", "--abi=none", *tags]


def ensure_wheels(requirements: Path) -> Path:
    folder = cache_folder() / f"wheels-{digest_of([requirements], _tags())}"
    if folder.exists():
        return folder
    print_progress(f"collecting the wheels of {requirements.name}")
    unfinished = folder.with_name(f"{folder.name}.unfinished-{os.getpid()}")
    try:
        locked = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--requirement", str(requirements)]
        run([_host_python(), "-m", "pip", "download", "--quiet", *locked, *_tags(), "--dest", unfinished])
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder

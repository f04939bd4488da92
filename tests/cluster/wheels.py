"""The hash-locked requirements go in; a folder with their wheels for the images' Python comes out.

The host's package client knows the way to its index, a build in a container does not: so the wheels are
collected here and installed there without any index.
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
    """The checkout's virtual environment has a pip of its own; the system's Python on Debian may have none."""
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

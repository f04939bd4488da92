"""Builds the cluster's programs from the Go modules of `go.mod`, once, into the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import SHOWN_LINES, find_program, print_progress, run, search_path
from tests.cluster.digest import digest_of
from tests.cluster.errors import ClusterError
from tests.cluster.instance import SOURCES, cache_folder
from tests.cluster.lock import only_one_in_cache

KUBERNETES = "v1.37.2"

# Go 1.21 is the first that fetches the newer toolchain which go.mod names.
OLDEST_GO = (1, 21)

# Without a terminal a progress line stays in the log: one a quarter of a minute is enough there.
SECONDS_BETWEEN_LINES = 15.0

# argv[0] of the multi-call file chooses one of them.
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
)


@dataclass(frozen=True)
class Batch:
    """Programs that one call of Go builds; `packages` maps the file name in the cache to the package."""

    title: str
    packages: dict[str, str]


# The cluster starts with the first batch, while nobody needs the second one before it is ready.
CLUSTER = Batch(
    f"Kubernetes {KUBERNETES}, etcd and CoreDNS",
    {
        "kubernetes": "./cmd/kubernetes",
        "pause": "./cmd/pause",
        "coredns": "./cmd/coredns",
        "etcd": "go.etcd.io/etcd/server/v3",
    },
)
TOOLS = Batch(
    "kubectl and Helm",
    {"kubectl": "k8s.io/kubernetes/cmd/kubectl", "helm": "helm.sh/helm/v4/cmd/helm"},
)


def _link_flags() -> str:
    """Returns linker flags with the version, without which the API server reports v0.0.0 and clients reject it."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    stamp = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    values = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())
    return f"-s -w {values}"


# Debug information is a third of the compiler's work, and nobody debugs these programs here.
BUILD_FLAGS = (
    "-mod=readonly",
    "-buildvcs=false",
    "-trimpath",
    "-gcflags=all=-dwarf=false",
    f"-ldflags={_link_flags()}",
)


def programs_folder() -> Path:
    inputs = [SOURCES / "go.mod", SOURCES / "go.sum", SOURCES / "cmd"]
    return cache_folder() / f"programs-{digest_of(inputs, BUILD_FLAGS)}"


def _environment() -> dict[str, str]:
    # The user's own GOFLAGS could ask for what these builds must not do, such as changing go.mod.
    return {**os.environ, "PATH": search_path(), "CGO_ENABLED": "0", "GOFLAGS": ""}


def require_go() -> None:
    """Raises ClusterError if there is no Go on PATH, or if it cannot fetch the toolchain of go.mod."""
    if find_program("go") is None:
        raise ClusterError(
            "Go is missing: the bare cluster is built from source. Install Go 1.26, or any Go from 1.21 on "
            "that may fetch its newer toolchain, from https://go.dev/dl and try again"
        )
    # Asked in the root folder: beside go.mod, an older Go would answer with the toolchain it fetched.
    answer = run(["go", "version"], cwd=Path("/"), env={"GOTOOLCHAIN": "local"})
    match = re.search(r"go(\d+)\.(\d+)", answer)
    if not match or (int(match[1]), int(match[2])) < OLDEST_GO:
        raise ClusterError(
            f"this is `{answer.strip()}`, but the bare cluster needs Go 1.21 or newer, which fetches the "
            "toolchain named in tests/cluster/go.mod: install one from https://go.dev/dl and try again"
        )


class Progress:
    """Counts the packages that `go build -v` prints, and shows their number of all packages."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._built = title, total, 0
        self._start = time.monotonic()
        self._last = 0.0

    def line(self) -> str:
        seconds = int(time.monotonic() - self._start)
        return (
            f"building {self._title}: {self._built} of at most {self._total} packages, "
            f"{seconds // 60}:{seconds % 60:02d}"
        )

    def package(self) -> None:
        self._built += 1
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if now - self._last < (0.2 if terminal else SECONDS_BETWEEN_LINES):
            return
        self._last = now
        print("\r\033[K" + self.line() if terminal else self.line(), end="" if terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        print_progress(self.line())


@contextmanager
def _ended_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ends Go when the block is left, because a build that outlives an interrupted `up` would race the next one."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _build(batch: Batch, folder: Path) -> None:
    print_progress(f"fetching the Go modules of {batch.title}")
    packages = list(batch.packages.values())
    total = len(run(["go", "list", "-deps", *packages], cwd=SOURCES, env=_environment()).splitlines())
    progress = Progress(batch.title, total)
    with (
        subprocess.Popen(
            ["go", "build", "-v", *BUILD_FLAGS, "-o", f"{folder}/", *packages],
            cwd=SOURCES,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        _ended_with_us(process),
    ):
        last: list[str] = []
        for line in process.stderr or ():
            last = [*last[-SHOWN_LINES:], line.rstrip()]
            progress.package()
        code = process.wait()
    progress.end()
    if code != 0:
        raise ClusterError(f"Go could not build {batch.title}:\n" + "\n".join(last))


def _built_name(package: str) -> str:
    """Returns the file name that `go build -o FOLDER/` uses: the last element of the package that is no version."""
    return next(part for part in reversed(package.split("/")) if not re.fullmatch(r"v\d+", part))


def _is_built(batch: Batch, folder: Path) -> bool:
    return all((folder / name).exists() for name in batch.packages)


def _build_into(batch: Batch, folder: Path) -> None:
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a build that was killed
    unfinished.mkdir(parents=True)
    _build(batch, unfinished)
    for name, package in batch.packages.items():
        (unfinished / _built_name(package)).replace(folder / name)
    unfinished.rmdir()


def ensure_programs(batch: Batch) -> Path:
    """Returns the cache folder, after building what is missing. An unfinished file never gets its final name."""
    folder = programs_folder()
    if not _is_built(batch, folder):
        require_go()
        with only_one_in_cache("programs"):
            if not _is_built(batch, folder):
                _build_into(batch, folder)
    return folder


def link_programs(batch: Batch, folder: Path) -> None:
    """Creates links in `folder` to the cached programs, by the names by which they are called."""
    source = ensure_programs(batch)
    folder.mkdir(parents=True, exist_ok=True)
    for name in batch.packages:
        for link in KUBERNETES_PROGRAMS if name == "kubernetes" else (name,):
            path = folder / link
            if not path.is_symlink() or path.readlink() != source / name:
                path.unlink(missing_ok=True)
                path.symlink_to(source / name)

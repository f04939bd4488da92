"""Builds images with buildah, without Docker, daemon or registry, and keeps their archives in the cache."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.bare.debian_base import (
    SUITE,
    SUITES,
    base_digest,
    ensure_base_archive,
    host_apt_settings,
    unfinished_folder,
)
from tests.cluster.bare.mounts import unmount_below
from tests.cluster.commands import print_progress, run
from tests.cluster.instance import cache_folder
from tests.cluster.lock import nobody_else_in_cache, only_one_in_cache
from tests.cluster.provider import Build


def base_image(suite: str = SUITE) -> str:
    """Returns the name of a base image, whether it exists yet or not."""
    return f"localhost/pgimport/base:{base_digest(suite)}"


BASE_SUITES = {base_image(suite): suite for suite in {SUITE, *SUITES.values()}}

# Archives of one image that stay in the cache: of this checkout, of another one, and of the last change.
KEPT_ARCHIVES = 3


# What is mounted just now; the store itself is in the cache.
RUN_FOLDER = Path("/run/pgimport-buildah")


def _buildah(*words: str | Path) -> str:
    """Runs buildah with a store of our own, apart from that of other users of buildah on this machine."""
    return run(["buildah", "--root", _store(), "--runroot", RUN_FOLDER, *words])


def _store() -> Path:
    return cache_folder() / "buildah"


@contextmanager
def building() -> Iterator[None]:
    """Takes the lock for builds, and unmounts the file systems that buildah leaves mounted even after success."""
    with only_one_in_cache("images"):
        try:
            yield
        finally:
            _unmount_builds()


def _unmount_builds() -> None:
    unmount_below(_store(), RUN_FOLDER, unfinished_folder())
    shutil.rmtree(RUN_FOLDER, ignore_errors=True)


def _is_stored(reference: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={reference}").strip())


def _ensure_base(image: str) -> None:
    if image not in BASE_SUITES or _is_stored(image):
        return
    archive = ensure_base_archive(BASE_SUITES[image])
    print_progress(f"importing {image}")
    container = _buildah("from", "scratch").strip()
    try:
        _buildah("add", "--quiet", container, archive, "/")
        _buildah("config", "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
        _buildah("commit", "--quiet", container, image)
    finally:
        _buildah("rm", container)


def _archive_of(build: Build) -> Path:
    return cache_folder() / "images" / f"{build.name}-{build.digest}.tar"


def _drop_old_archives(build: Build) -> None:
    archives = _archive_of(build).parent.glob(f"{build.name}-*.tar")
    for old in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT_ARCHIVES:]:
        old.unlink(missing_ok=True)


def _build(build: Build, reference: str) -> None:
    _ensure_base(build.arguments["BASE"])
    print_progress(f"building the image {reference}")
    arguments = [word for key, value in build.arguments.items() for word in ("--build-arg", f"{key}={value}")]
    target = ["--target", build.target] if build.target else []
    with tempfile.NamedTemporaryFile("w", prefix="pgimport-apt-", suffix=".conf") as settings:
        settings.write(host_apt_settings())
        settings.flush()
        Path(settings.name).chmod(0o644)  # apt reads it as a user of its own
        mount = f"{settings.name}:/etc/apt/apt.conf.d/99host:ro"
        _buildah(
            "bud",
            "--quiet",
            "--isolation",
            "chroot",
            "--layers",
            "--pull-never",
            "--volume",
            mount,
            "--file",
            build.dockerfile,
            "--tag",
            reference,
            *target,
            *arguments,
            build.context,
        )


def write_archive(reference: str, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f"unfinished-{archive.name}")
    unfinished.unlink(missing_ok=True)  # buildah refuses to write into a file that is there
    _buildah("push", "--quiet", reference, f"docker-archive:{unfinished}:{reference}")
    unfinished.rename(archive)


def ensure_archive(build: Build, reference: str) -> Path:
    """Returns the archive of an image, and builds it first unless the cache has one with this content."""
    archive = _archive_of(build)
    if archive.exists():
        return archive
    with building():
        if not _is_stored(reference):
            _build(build, reference)
        write_archive(reference, archive)
        _drop_old_archives(build)
    return archive


def end_builds() -> None:
    """Unmounts what a killed build left mounted, unless a build of another checkout is running."""
    with nobody_else_in_cache("images") as free:
        if free:
            _unmount_builds()

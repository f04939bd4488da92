"""Provides Debian's PostgreSQL servers and clients as programs of this host.

They have contrib, ICU, TLS, XML and lz4, and their clients are up to date. Each comes from an image of the bare
cluster, unpacked once into the same cache.
"""

import json
import shutil
import tarfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.cluster.bare.buildah import base_image, ensure_archive
from tests.cluster.bare.debian_base import SUITES
from tests.cluster.bare.debian_packages import ensure_packages
from tests.cluster.commands import find_program, print_progress
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache
from tests.cluster.project_images import build_postgres
from tests.cluster.provider import Build

RELEASES = {int(major): suite for major, suite in SUITES.items()}
CLIENTS = ("pg_dump", "pg_restore", "psql")
# Runs a program of another Debian release with the libraries and the loader of that release.
_CLIENT = """#!/bin/sh
exec {loader} --library-path {libraries} {program} "$@"
"""


def server_build(major: int) -> Build:
    return build_postgres(str(major), base_image(RELEASES[major]))


def reference(build: Build) -> str:
    """Returns the name of the image in the bare cluster."""
    return f"localhost/pgimport/{build.name}:{build.digest}"


def ensure_programs() -> None:
    if find_program("buildah") is None or find_program("debootstrap") is None:
        ensure_packages()


@cache
def server_tree(major: int) -> Path:
    """Returns the root file system of a server of this major version. It is read-only by convention."""
    ensure_programs()
    build = server_build(major)
    return image_tree(build, ensure_archive(build, reference(build)))


def image_tree(build: Build, archive: Path) -> Path:
    """Unpacks the layers of an image into a folder of the cache, and returns that."""
    tree = cache_folder() / "trees" / f"{build.name}-{build.digest}"
    with only_one_in_cache("trees"):
        if not tree.exists():
            print_progress(f"unpacking {archive.name}")
            for old in tree.parent.glob(f"{build.name}-*"):
                shutil.rmtree(old)
            unfinished = tree.with_name(f"unfinished-{tree.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            _unpack(archive, unfinished)
            unfinished.rename(tree)
    return tree


def _unpack(archive: Path, tree: Path) -> None:
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for layer in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                for entry in files:
                    _extract(files, entry, tree)


def _extract(files: tarfile.TarFile, entry: tarfile.TarInfo, tree: Path) -> None:
    """Extracts an entry of a layer. An entry `.wh.x` means that this layer removed `x`."""
    path = Path(entry.name)
    if path.name.startswith(".wh."):
        removed = tree / path.with_name(path.name.removeprefix(".wh."))
        shutil.rmtree(removed) if removed.is_dir() and not removed.is_symlink() else removed.unlink(missing_ok=True)
    else:
        files.extract(entry, tree, filter="fully_trusted")


def link_clients(tree: Path, major: int, folder: Path, names: Sequence[str] = CLIENTS) -> None:
    """Creates `<folder>/<major>/bin/pg_dump` and the other clients where the worker looks for them."""
    programs = folder / str(major) / "bin"
    programs.mkdir(parents=True)
    for name in names:
        link_program(tree, Path("usr/lib/postgresql") / str(major) / "bin" / name, programs / name)


def link_program(tree: Path, program: Path, link: Path) -> None:
    """Creates a script that runs a program of a tree on this host."""
    loader = next(tree.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*"))
    link.write_text(_CLIENT.format(loader=loader, libraries=loader.parent, program=tree / program))
    link.chmod(0o755)

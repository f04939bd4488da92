"""Builds the images of the chart and of the demo, and loads them into the cluster, tagged by their content."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cluster.commands import print_progress
from tests.cluster.digest import IGNORED, digest_of
from tests.cluster.instance import REPOSITORY, SOURCES
from tests.cluster.provider import Build, Provider
from tests.cluster.wheels import ensure_wheels

OPERATOR = REPOSITORY / "operator"
DEMO = REPOSITORY / "tests" / "demo"
POSTGRES = SOURCES / "images" / "postgres"

# The majors of target servers: the worker's image has its target's clients.
MAJORS = ("17", "18")
MAJOR = "18"  # of the trial server
SOURCE_MAJOR = "17"  # of the demo's source

# Majors whose clients the worker's Dockerfile takes from an image each.
_CLIENTS = ("15", "16", "17", "18")


@dataclass(frozen=True)
class Images:
    """The references of all images, as pods name them."""

    operator: str
    workers: Mapping[str, str]  # by the target's major
    postgres: str
    demo_source: str | None


def _requirements(target: str) -> Path:
    return OPERATOR / f"requirements-{target}.txt"


def _context_paths(target: str) -> list[Path]:
    return [OPERATOR / "Dockerfile", _requirements(target), OPERATOR / "pgimport"]


def build_postgres(major: str, base: str) -> Build:
    """Builds the description of a server image on a base that has this major version or packages of it."""
    digest = digest_of([POSTGRES], [major, base])
    arguments = {"BASE": base, "PG_MAJOR": major}
    return Build(f"postgres-{major}", POSTGRES / "Dockerfile", POSTGRES, f"{major}-{digest}", arguments=arguments)


def build_worker(major: str, bases: Mapping[str, str], servers: Mapping[str, str]) -> Build:
    """Builds the description of a worker image. `servers` maps a major version to the image with its clients.

    With public base images, the other majors have images of their own. Without, the clients of the next newer major
    serve them, as in a worker whose clients lack security fixes (Debian's 15 lacks them).
    """
    known = {version: image for version, image in servers.items() if version <= major}
    serving = {other: min(version for version in known if version >= other) for other in _CLIENTS if other <= major}
    clients = {f"PG{other}": known[version] for other, version in serving.items() if bases or version == other}
    return _of_operator(f"worker-{major}", "worker", {"PG_MAJOR": major, **bases, **clients})


def build_operator(bases: Mapping[str, str]) -> Build:
    return _of_operator("operator", "operator", bases)


def _of_operator(name: str, target: str, arguments: Mapping[str, str]) -> Build:
    words = [target, *(f"{key}={value}" for key, value in sorted(arguments.items()))]
    digest = digest_of(_context_paths(target), words)
    return Build(name, OPERATOR / "Dockerfile", OPERATOR, digest, target, arguments)


def _demo(provider: Provider, postgres: Build) -> Build:
    arguments = {"BASE": provider.reference(postgres)}
    digest = digest_of([DEMO / "Dockerfile", DEMO / "source"], arguments.values())
    return Build("demo-source", DEMO / "Dockerfile", DEMO, digest, "", arguments)


@contextmanager
def context_with_wheels(target: str) -> Iterator[Path]:
    """Copies the build context of an image into a folder with its wheels, so that the build asks no index."""
    with tempfile.TemporaryDirectory(prefix="pgimport-context-") as name:
        folder = Path(name)
        for path in _context_paths(target):
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=lambda _, names: IGNORED.intersection(names))
            else:
                shutil.copy(path, folder)
        shutil.copytree(ensure_wheels(_requirements(target)), folder / "wheels")
        yield folder


def _ensure(provider: Provider, build: Build) -> str:
    reference = provider.reference(build)
    if not provider.has(reference):
        provider.build(build)
    return reference


def _ensure_of_operator(provider: Provider, build: Build) -> str:
    if provider.has(provider.reference(build)):
        return provider.reference(build)
    with context_with_wheels(build.target) as context:
        return _ensure(provider, replace(build, context=context, dockerfile=context / "Dockerfile"))


def ensure_images(provider: Provider) -> Images:
    """Builds all images; the server images come first, because the others need them."""
    bases = provider.base_arguments()
    servers = {major: build_postgres(major, provider.server_base(major)) for major in MAJORS}
    references = {major: _ensure(provider, server) for major, server in servers.items()}
    demo_source = _demo(provider, servers[SOURCE_MAJOR])
    images = Images(
        postgres=references[MAJOR],
        operator=_ensure_of_operator(provider, build_operator(bases)),
        workers={major: _ensure_of_operator(provider, build_worker(major, bases, references)) for major in MAJORS},
        demo_source=_ensure(provider, demo_source) if (DEMO / "Dockerfile").exists() else None,
    )
    if images.demo_source is None:
        print_progress("tests/demo/Dockerfile is not there: the demo's source image is left out")
    return images


def server_image(provider: Provider, major: str) -> str:
    """Returns the server image that `ensure_images` builds for a major version."""
    return provider.reference(build_postgres(major, provider.server_base(major)))

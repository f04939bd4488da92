"""The sources go in; every image that the chart and the demo name is in the cluster, tagged by its content."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cluster.commands import say
from tests.cluster.digest import IGNORED, digest_of
from tests.cluster.places import REPOSITORY, SOURCES
from tests.cluster.provider import Build, Provider
from tests.cluster.wheels import ensure_wheels

OPERATOR = REPOSITORY / "operator"
DEMO = REPOSITORY / "tests" / "demo"
POSTGRES = SOURCES / "images" / "postgres"

# The major of the target server in demo and tests, and so of the worker's clients.
MAJOR = "17"


@dataclass(frozen=True)
class Images:
    """Full references, as pods name them."""

    operator: str
    worker: str
    postgres: str
    demo_source: str | None


def _context_paths() -> list[Path]:
    return [OPERATOR / "Dockerfile", OPERATOR / "requirements.txt", OPERATOR / "pgimport"]


def _postgres(provider: Provider) -> Build:
    base = provider.base_arguments()
    digest = digest_of([POSTGRES], sorted(base.values()))
    return Build("postgres", POSTGRES / "Dockerfile", POSTGRES, f"{MAJOR}-{digest}", arguments=base)


def _client_arguments(provider: Provider, postgres: Build) -> dict[str, str]:
    """Without public images, the one PostgreSQL that is there stands for every older major too."""
    if not provider.base_arguments():
        return {}
    return {f"PG{major}": provider.reference(postgres) for major in ("15", "16", "17")}


def _of_operator(name: str, target: str, arguments: Mapping[str, str]) -> Build:
    words = [target, *(f"{key}={value}" for key, value in sorted(arguments.items()))]
    digest = digest_of(_context_paths(), words)
    return Build(name, OPERATOR / "Dockerfile", OPERATOR, digest, target, arguments)


def _demo(provider: Provider, postgres: Build) -> Build:
    arguments = {"BASE": provider.reference(postgres)}
    digest = digest_of([DEMO / "Dockerfile", DEMO / "source"], arguments.values())
    return Build("demo-source", DEMO / "Dockerfile", DEMO, digest, "", arguments)


@contextmanager
def _context_with_wheels() -> Iterator[Path]:
    """The Dockerfile's own folder and the wheels: the build then asks no index."""
    with tempfile.TemporaryDirectory(prefix="pgimport-context-") as name:
        folder = Path(name)
        for path in _context_paths():
            if path.is_dir():
                shutil.copytree(path, folder / path.name, ignore=lambda _, names: IGNORED.intersection(names))
            else:
                shutil.copy(path, folder)
        shutil.copytree(ensure_wheels(OPERATOR / "requirements.txt"), folder / "wheels")
        yield folder


def _ensure(provider: Provider, build: Build) -> str:
    reference = provider.reference(build)
    if not provider.has(reference):
        provider.build(build)
    return reference


def _ensure_of_operator(provider: Provider, build: Build) -> str:
    if provider.has(provider.reference(build)):
        return provider.reference(build)
    with _context_with_wheels() as context:
        return _ensure(provider, replace(build, context=context, dockerfile=context / "Dockerfile"))


def ensure_images(provider: Provider) -> Images:
    """The slow one first: operator, worker and demo are made from it or beside it."""
    bases = provider.base_arguments()
    postgres = _postgres(provider)
    clients = {"PG_MAJOR": MAJOR, **bases, **_client_arguments(provider, postgres)}
    images = Images(
        postgres=_ensure(provider, postgres),
        operator=_ensure_of_operator(provider, _of_operator("operator", "operator", bases)),
        worker=_ensure_of_operator(provider, _of_operator(f"worker-{MAJOR}", "worker", clients)),
        demo_source=_ensure(provider, _demo(provider, postgres)) if (DEMO / "Dockerfile").exists() else None,
    )
    if images.demo_source is None:
        say("tests/demo/Dockerfile is not there: the demo's source image is left out")
    return images

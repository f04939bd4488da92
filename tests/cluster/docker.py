"""Builds images with this host's Docker, from the public base images that the Dockerfiles name."""

from __future__ import annotations

from collections.abc import Sequence

from tests.cluster.commands import find_program, print_progress, run, succeeds
from tests.cluster.errors import ClusterError
from tests.cluster.provider import Build


def require_programs(names: Sequence[str]) -> None:
    if missing := [name for name in names if find_program(name) is None]:
        raise ClusterError(f"these programs are missing, install them and try again: {', '.join(missing)}")


def build_with_docker(build: Build, reference: str) -> None:
    if succeeds(["docker", "image", "inspect", reference]):
        return
    print_progress(f"building the image {reference}")
    arguments = [word for key, value in build.arguments.items() for word in ("--build-arg", f"{key}={value}")]
    target = ["--target", build.target] if build.target else []
    run(
        ["docker", "build", "--tag", reference, "--file", build.dockerfile, *target, *arguments, build.context],
        env={"DOCKER_BUILDKIT": "1"},
    )

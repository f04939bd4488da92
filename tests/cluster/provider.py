"""The protocol of a cluster provider: four verbs for the user, and what images and chart need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Build:
    """An image to build. `digest` is a hash of everything it is made of, and becomes its tag."""

    name: str
    dockerfile: Path
    context: Path
    digest: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """A provider for one instance. Every verb may be repeated."""

    name: str

    def up(self) -> None:
        """Starts the cluster, and writes its kubeconfig into the instance's folder."""

    def load(self, image: str) -> None:
        """Loads an image of this host's builder into the cluster."""

    def kubeconfig(self) -> Path: ...

    def down(self) -> None:
        """Removes everything that `up` started."""

    def ensure_tools(self) -> None:
        """Makes sure that kubectl and helm are on PATH or in the instance's `bin`."""

    def reference(self, build: Build) -> str:
        """Returns the name of an image as a pod names it."""

    def api_values(self) -> Mapping[str, str]:
        """Returns chart values with which this host can reach the HTTP API."""

    def api_url(self, service: Mapping[str, Any]) -> str | None:
        """Returns the URL at which this host reaches the API's Service; None if that needs port forwarding."""

    def has(self, image: str) -> bool:
        """Tells whether pods can run an image already."""

    def base_arguments(self) -> Mapping[str, str]:
        """Returns build arguments that replace the public base images of the Dockerfiles."""

    def server_base(self, major: str) -> str:
        """Returns the base of a server image of this major version."""

    def build(self, build: Build) -> None:
        """Builds the image and loads it."""

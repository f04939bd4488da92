"""What every provider promises: four verbs for the user, and what images and chart need of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Build:
    """One image to be built: `digest` changes with everything it is made of, and becomes its tag."""

    name: str
    dockerfile: Path
    context: Path
    digest: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """Made for one instance; every verb may be repeated."""

    name: str

    def up(self) -> None:
        """A ready cluster and its kubeconfig in the instance's folder."""

    def load(self, image: str) -> None:
        """An image of this host's builder, for pods to run."""

    def kubeconfig(self) -> Path: ...

    def down(self) -> None:
        """Nothing that `up` started is left."""

    def ensure_tools(self) -> None:
        """kubectl and helm, on PATH or in the instance's `bin`."""

    def reference(self, build: Build) -> str:
        """The image's name as a pod names it."""

    def api_values(self) -> Mapping[str, str]:
        """Of the chart, that bring the HTTP API within this host's reach."""

    def api_url(self, service: Mapping[str, Any]) -> str | None:
        """Of the API's Service, as this host reaches it; None where there is no way but a port forwarding."""

    def has(self, image: str) -> bool:
        """Whether pods can run it already."""

    def base_arguments(self) -> Mapping[str, str]:
        """Build arguments that replace the Dockerfile's public base images; their values say what is in them."""

    def server_base(self, major: str) -> str:
        """What an image of a PostgreSQL of this major is made upon."""

    def build(self, build: Build) -> None:
        """Builds the image and loads it."""

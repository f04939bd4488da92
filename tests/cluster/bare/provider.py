"""The provider `bare`: implements the verbs of a provider with the bare cluster and buildah."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.bare import single_node
from tests.cluster.bare.buildah import base_image, building, end_builds, ensure_archive, write_archive
from tests.cluster.bare.containerd import has_image, import_archive
from tests.cluster.bare.debian_base import SUITES
from tests.cluster.bare.kubernetes_programs import TOOLS, link_programs
from tests.cluster.commands import print_progress
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance
from tests.cluster.provider import Build


class Bare:
    name = "bare"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def up(self) -> None:
        single_node.up(self._instance)

    def load(self, image: str) -> None:
        with tempfile.TemporaryDirectory(prefix="pgimport-image-") as folder:
            archive = Path(folder) / "image.tar"
            with building():
                write_archive(image, archive)
            import_archive(self._instance, archive)

    def kubeconfig(self) -> Path:
        if not self._instance.kubeconfig.exists():
            raise ClusterError("no cluster is up: `make up` starts one")
        return self._instance.kubeconfig

    def down(self) -> None:
        single_node.down(self._instance)
        end_builds()

    def ensure_tools(self) -> None:
        link_programs(TOOLS, self._instance.programs)

    def reference(self, build: Build) -> str:
        return f"localhost/pgimport/{build.name}:{build.digest}"

    def api_values(self) -> Mapping[str, str]:
        return {}

    def api_url(self, service: Mapping[str, Any]) -> str | None:
        return f"http://{service['spec']['clusterIP']}"  # kube-proxy runs on this host

    def has(self, image: str) -> bool:
        return has_image(self._instance, image)

    def base_arguments(self) -> Mapping[str, str]:
        return {"BASE": base_image()}

    def server_base(self, major: str) -> str:
        return base_image(SUITES[major])

    def build(self, build: Build) -> None:
        archive = ensure_archive(build, self.reference(build))
        print_progress(f"loading {self.reference(build)}")
        import_archive(self._instance, archive)

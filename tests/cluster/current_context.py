"""The provider `current`: uses the cluster of the kubeconfig's current context, if the user names that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.commands import print_progress, run, succeeds
from tests.cluster.docker import build_with_docker, require_programs
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance
from tests.cluster.provider import Build


class CurrentContext:
    name = "current"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def up(self) -> None:
        """Copies this context into a kubeconfig of ours, so that later changes of the user's do not matter."""
        require_programs(["kubectl", "docker"])
        context = run(["kubectl", "config", "current-context"]).strip()
        if os.environ.get("CLUSTER_I_MEAN_IT") != context:
            raise ClusterError(
                f"CLUSTER=current would install into the context {context!r}: if that is what you want, "
                f"set CLUSTER_I_MEAN_IT={context}"
            )
        self._registry()
        content = run(["kubectl", "config", "view", "--minify", "--flatten", "--raw"])
        self._instance.kubeconfig.touch(mode=0o600)
        self._instance.kubeconfig.write_text(content)

    def _registry(self) -> str:
        if registry := os.environ.get("IMAGE_REGISTRY"):
            return registry.rstrip("/")
        raise ClusterError("CLUSTER=current pushes its images: set IMAGE_REGISTRY to a registry the cluster reads")

    def load(self, image: str) -> None:
        run(["docker", "push", image])

    def kubeconfig(self) -> Path:
        return self._instance.kubeconfig

    def down(self) -> None:
        """Uninstalls the release; the cluster itself stays."""
        if not self._instance.kubeconfig.exists():
            return
        require_programs(["helm"])
        print_progress("taking the release away; the cluster itself stays")
        helm = ["helm", "--kubeconfig", str(self._instance.kubeconfig), "--namespace", "pgimport-system"]
        run([*helm, "uninstall", "pgimport", "--ignore-not-found", "--wait"])

    def ensure_tools(self) -> None:
        require_programs(["kubectl", "helm"])

    def reference(self, build: Build) -> str:
        return f"{self._registry()}/pgimport-{build.name}:{build.digest}"

    def api_values(self) -> Mapping[str, str]:
        return {}

    def api_url(self, _service: Mapping[str, Any]) -> str | None:
        return None

    def has(self, image: str) -> bool:
        return succeeds(["docker", "manifest", "inspect", image])

    def base_arguments(self) -> Mapping[str, str]:
        return {}

    def server_base(self, major: str) -> str:
        return f"postgres:{major}-trixie"

    def build(self, build: Build) -> None:
        build_with_docker(build, self.reference(build))
        self.load(self.reference(build))

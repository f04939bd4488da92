"""The provider `kind`: a kind cluster in this host's Docker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.commands import print_progress, run, succeeds
from tests.cluster.docker import build_with_docker, require_programs
from tests.cluster.instance import SOURCES, Instance
from tests.cluster.provider import Build

API_PORT = 30090  # of the node, as kind.yaml publishes it


class Kind:
    name = "kind"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def _exists(self) -> bool:
        return self._instance.name in run(["kind", "get", "clusters"]).split()

    def up(self) -> None:
        require_programs(["docker", "kind"])
        name, kubeconfig = self._instance.name, self._instance.kubeconfig
        if self._exists():
            run(["kind", "export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig])
            # A creation that was interrupted leaves a container without a Kubernetes that answers.
            if succeeds(["kubectl", "--kubeconfig", kubeconfig, "get", "--raw", "/readyz"]):
                return
            run(["kind", "delete", "cluster", "--name", name])
        print_progress(f"creating the kind cluster {name}")
        files = ["--config", str(SOURCES / "kind.yaml"), "--kubeconfig", str(kubeconfig)]
        run(["kind", "create", "cluster", "--name", name, *files, "--wait", "180s"])

    def load(self, image: str) -> None:
        run(["kind", "load", "docker-image", image, "--name", self._instance.name])

    def kubeconfig(self) -> Path:
        return self._instance.kubeconfig

    def down(self) -> None:
        require_programs(["docker", "kind"])
        run(["kind", "delete", "cluster", "--name", self._instance.name])

    def ensure_tools(self) -> None:
        require_programs(["kubectl", "helm"])

    def reference(self, build: Build) -> str:
        return f"localhost/pgimport/{build.name}:{build.digest}"

    def api_values(self) -> Mapping[str, str]:
        return {"api.service.type": "NodePort", "api.service.nodePort": str(API_PORT)}

    def api_url(self, _service: Mapping[str, Any]) -> str | None:
        """Returns the API's URL at the free loopback port at which Docker publishes the node's port (kind.yaml)."""
        return "http://" + run(["docker", "port", f"{self._instance.name}-control-plane", f"{API_PORT}/tcp"]).strip()

    def has(self, image: str) -> bool:
        """Asks the node's containerd, because a new cluster lacks images that the host has."""
        node = f"{self._instance.name}-control-plane"
        return succeeds(["docker", "exec", node, "crictl", "inspecti", image])

    def base_arguments(self) -> Mapping[str, str]:
        return {}

    def server_base(self, major: str) -> str:
        return f"postgres:{major}-trixie"

    def build(self, build: Build) -> None:
        build_with_docker(build, self.reference(build))
        self.load(self.reference(build))

"""Installs the chart as a Helm release, with the values and images of the test cluster."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from tests.cluster.commands import print_progress, run
from tests.cluster.digest import digest_of
from tests.cluster.errors import ClusterError
from tests.cluster.instance import REPOSITORY, SOURCES, Instance
from tests.cluster.project_images import Images
from tests.cluster.provider import Provider

CHART = REPOSITORY / "charts" / "pgimport"
VALUES = SOURCES / "values.yaml"
RELEASE = "pgimport"
NAMESPACE = "pgimport-system"

# Long enough for the first start of server and operator on two busy cores.
TIMEOUT = "180s"

# Log lines shown of each pod that is not ready, if the installation fails.
LOG_LINES = 10


def _helm(instance: Instance, *words: str | Path) -> str:
    own = instance.programs / "helm"
    program = own if own.exists() else "helm"
    return run([program, "--kubeconfig", instance.kubeconfig, "--namespace", NAMESPACE, *words])


def _status(instance: Instance) -> str:
    """Returns the status of the release, such as `deployed`; empty if there is none."""
    # Helm 4 has no `--all`, and Helm 3 shows only some states without it.
    states = ("--deployed", "--failed", "--pending", "--uninstalling", "--uninstalled", "--superseded")
    releases = json.loads(_helm(instance, "list", *states, "--filter", f"^{RELEASE}$", "--output", "json") or "[]")
    return str(releases[0]["status"]) if releases else ""


def _settings(provider: Provider, images: Images) -> list[str]:
    repository, _, tag = images.operator.rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        **{f"worker.images.{major}": image for major, image in images.workers.items()},
        "embeddedServer.image": images.postgres,
    }
    words = [word for key, value in values.items() for word in ("--set-string", f"{key}={value}")]
    return words + [word for key, value in provider.api_values().items() for word in ("--set", f"{key}={value}")]


def kubectl(instance: Instance, *words: str) -> str:
    """Runs kubectl in the release's namespace."""
    own = instance.programs / "kubectl"
    program = own if own.exists() else "kubectl"
    return run([program, "--kubeconfig", instance.kubeconfig, "--namespace", NAMESPACE, *words])


def _describe_pods(instance: Instance) -> str:
    """Lists the pods, with the last log lines of those that are not ready; Helm reports only a timeout."""
    text = kubectl(instance, "get", "pods")
    for pod in json.loads(kubectl(instance, "get", "pods", "--output=json"))["items"]:
        if not all(entry["ready"] for entry in pod["status"].get("containerStatuses", [])):
            with suppress(ClusterError):
                text += kubectl(instance, "logs", pod["metadata"]["name"], f"--tail={LOG_LINES}")
    return text


def _clear_interrupted(instance: Instance, status: str) -> None:
    """Uninstalls or rolls back a release that a killed helm left pending, because Helm refuses to change it."""
    if status.startswith("pending-install") or status == "uninstalling":
        _helm(instance, "uninstall", RELEASE, "--no-hooks", "--wait")
    elif status.startswith("pending"):
        _helm(instance, "rollback", RELEASE, "--wait")


def ensure_release(instance: Instance, provider: Provider, images: Images) -> None:
    if not (CHART / "Chart.yaml").exists():
        raise ClusterError(f"the chart {CHART} is not there")
    note = instance.folder / "installed"
    digest = digest_of([CHART, VALUES], _settings(provider, images))
    status = _status(instance)
    if status == "deployed" and note.exists() and note.read_text() == digest:
        return
    _clear_interrupted(instance, status)
    print_progress(f"installing the chart as release {RELEASE} in namespace {NAMESPACE}")
    try:
        _helm(
            instance,
            "upgrade",
            "--install",
            RELEASE,
            CHART,
            "--create-namespace",
            "--values",
            VALUES,
            *_settings(provider, images),
            "--wait",
            "--timeout",
            TIMEOUT,
        )
    except ClusterError as error:
        raise ClusterError(f"{error}\n{_describe_pods(instance)}") from error
    note.write_text(digest)

"""The chart, the test cluster's values and the images go in; one deployed Helm release comes out."""

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

# The embedded server's first start, and the operator's, on a busy machine of two cores.
PATIENCE = "180s"

# Of each pod that is not ready, when the installation fails.
LOG_LINES = 10


def _helm(instance: Instance, *words: str | Path) -> str:
    own = instance.programs / "helm"
    program = own if own.exists() else "helm"
    return run([program, "--kubeconfig", instance.kubeconfig, "--namespace", NAMESPACE, *words])


def _status(instance: Instance) -> str:
    """`deployed`, `pending-install` …, or nothing where there is no release."""
    # Helm 4 has no `--all`, and Helm 3 shows only some states without it.
    states = ("--deployed", "--failed", "--pending", "--uninstalling", "--uninstalled", "--superseded")
    found = json.loads(_helm(instance, "list", *states, "--filter", f"^{RELEASE}$", "--output", "json") or "[]")
    return str(found[0]["status"]) if found else ""


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
    """In the release's namespace."""
    own = instance.programs / "kubectl"
    program = own if own.exists() else "kubectl"
    return run([program, "--kubeconfig", instance.kubeconfig, "--namespace", NAMESPACE, *words])


def _what_waits(instance: Instance) -> str:
    """Lists the pods, with the last log lines of those that are not ready; Helm reports only a timeout."""
    text = kubectl(instance, "get", "pods")
    for pod in json.loads(kubectl(instance, "get", "pods", "--output=json"))["items"]:
        if not all(entry["ready"] for entry in pod["status"].get("containerStatuses", [])):
            with suppress(ClusterError):
                text += kubectl(instance, "logs", pod["metadata"]["name"], f"--tail={LOG_LINES}")
    return text


def _clear_interrupted(instance: Instance, status: str) -> None:
    """Helm refuses to touch a release that a killed helm was working on."""
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
            instance, "upgrade", "--install", RELEASE, CHART, "--create-namespace", "--values", VALUES,
            *_settings(provider, images), "--wait", "--timeout", PATIENCE,
        )  # fmt: skip
    except ClusterError as error:
        raise ClusterError(f"{error}\n{_what_waits(instance)}") from error
    note.write_text(digest)

"""Runs Kueue's own controller in the cluster, from its Go module, with its own chart, webhooks and certificates.

It manages only Jobs in one namespace, so that other tests do not notice it.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.cluster.bare.kubernetes_programs import require_go
from tests.cluster.commands import print_progress, search_path
from tests.cluster.digest import digest_of
from tests.cluster.instance import SOURCES, cache_folder, this_instance
from tests.cluster.lock import only_one_in_cache
from tests.cluster.provider import Build, Provider
from tests.cluster.provider_choice import choose_provider
from tests.support import kubectl
from tests.support.kubectl import Manifest
from tests.support.yaml_files import Loader

VERSION = "v0.19.2"
MODULE = "sigs.k8s.io/kueue"
NAMESPACE = "kueue-system"
DOCKERFILE = SOURCES / "images" / "kueue" / "Dockerfile"
READY_SECONDS = 300  # the kubelet mounts the certificate that the controller has made after up to two minutes
# An unavailable APIService breaks the discovery of the whole API, and with it the deletion of namespaces.
LEFT_OUT = ("APIService",)


def ensure_kueue() -> Path:
    """Returns a folder with the program `kueue` and its `chart`; a build takes about twelve minutes on two cores."""
    folder = cache_folder() / f"kueue-{VERSION}"
    with only_one_in_cache("kueue"):
        if not (folder / "kueue").exists():
            require_go()
            print_progress(f"building Kueue {VERSION}")
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    environment = {**os.environ, "PATH": search_path(), "CGO_ENABLED": "0", "GOFLAGS": ""}
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    options = ["-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w"]
    command = ["go", "install", *options, f"{MODULE}/cmd/kueue@{VERSION}"]
    subprocess.run(command, env={**environment, "GOBIN": str(unfinished)}, check=True, cwd="/")
    command = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    module = subprocess.run(command, env=environment, check=True, cwd="/", stdout=subprocess.PIPE, text=True)
    shutil.copytree(Path(json.loads(module.stdout)["Dir"]) / "charts" / "kueue", unfinished / "chart")
    for path in [unfinished / "chart", *(unfinished / "chart").rglob("*/")]:
        path.chmod(0o755)  # folders of modules are read-only, so nobody but root could remove a copy
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _ensure_image(provider: Provider, program: Path) -> str:
    arguments = provider.base_arguments()
    digest = digest_of([DOCKERFILE], [VERSION, *arguments.values()])
    with tempfile.TemporaryDirectory(prefix="pgimport-kueue-") as name:
        build = Build("kueue", DOCKERFILE, Path(name), digest, arguments=arguments)
        if not provider.has(provider.reference(build)):
            shutil.copy(program, name)
            provider.build(build)
        return provider.reference(build)


def _build_values(image: str, namespace: str) -> Manifest:
    repository, _, tag = image.rpartition(":")
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443"},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": False},
        "integrations": {"frameworks": ["batch/job"]},
        "managedJobsNamespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    return {
        "controllerManager": {
            "featureGates": [{"name": "VisibilityOnDemand", "enabled": False}],
            "manager": {
                "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            },
        },
        "managerConfig": {"controllerManagerConfigYaml": json.dumps(configuration)},
    }


def _render(chart: Path, values: Manifest) -> list[Manifest]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        rendered = subprocess.run(
            ["helm", "template", "kueue", chart, "--namespace", NAMESPACE, "--values", file.name],
            env=kubectl.environment(),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    documents = yaml.load_all(rendered.stdout, Loader)
    return [document for document in documents if document and document["kind"] not in LEFT_OUT]


@contextmanager
def run_kueue(namespace: str) -> Iterator[None]:
    """Runs Kueue for the Jobs of one namespace until the end of the block, and removes it then.

    Whoever uses it deletes its queues and Workloads first: their finalizers need the controller.
    """
    folder = ensure_kueue()
    image = _ensure_image(choose_provider(this_instance()), folder / "kueue")
    manifests = _render(folder / "chart", _build_values(image, namespace))
    own_namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    try:
        kubectl.apply(own_namespace, *manifests)
        kubectl.wait_until(_is_ready, "Kueue is ready", READY_SECONDS, _describe)
        yield
    finally:
        # First the webhooks: without the controller, they would refuse all Jobs of the namespace.
        manifests.sort(key=lambda item: "WebhookConfiguration" not in item["kind"])
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*manifests, own_namespace]})
        kubectl.run("delete", "--ignore-not-found", "--wait=false", "--filename", "-", stdin=text)
        kubectl.wait_until(lambda: kubectl.find("namespace", NAMESPACE) is None, "Kueue is gone", READY_SECONDS)


def _pods() -> list[Manifest]:
    return kubectl.list_objects("pods", NAMESPACE)


def _is_ready() -> bool:
    conditions = [condition for pod in _pods() for condition in pod["status"].get("conditions", ())]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _describe() -> str:
    pods = [(pod["metadata"]["name"], pod["status"]) for pod in _pods()]
    logs = [kubectl.logs(NAMESPACE, name, "--tail=40") for name, _ in pods]
    return "\n".join([json.dumps(pods, indent=1), *logs])

"""Runs Traefik as a program of this host: a controller of Ingresses, and of the Gateway API.

It serves the routes of one namespace. The host must reach the addresses of pods, as it does with the bare cluster.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.bare.kubernetes_programs import require_go
from tests.cluster.commands import print_progress, search_path
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache
from tests.support import kubectl
from tests.support.kubectl import Manifest

VERSION = "v3.6.12"
MODULE = "github.com/traefik/traefik/v3"
GATEWAY_API = "sigs.k8s.io/gateway-api"
CLASS = "pgimport-tests"  # of Ingresses and Gateways
# Asks for certificates, with the libraries of a hundred DNS providers, which some Go proxies refuse. No test uses it.
LEGO = "github.com/go-acme/lego/v4"
NO_DNS_PROVIDERS = """package dns

import (
	"errors"

	"github.com/go-acme/lego/v4/challenge"
)

func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, errors.New("built without DNS providers")
}
"""
BUILD_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")


def ensure_traefik() -> Path:
    """Returns a folder with the program `traefik` and the `crds` of the Gateway API.

    A build takes about ten minutes on two cores.
    """
    folder = cache_folder() / f"traefik-{VERSION}"
    with only_one_in_cache("traefik"):
        if not folder.exists():
            require_go()
            print_progress(f"building Traefik {VERSION}")
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    """Builds the module as its own authors do, with the versions of its go.mod and the hashes of its go.sum."""
    unfinished, sources = (folder.with_name(f"{folder.name}.{end}") for end in ("unfinished", "sources"))
    for path in (unfinished, sources):
        shutil.rmtree(path, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _copy_module(Path("/"), f"{MODULE}@{VERSION}", "", sources)
    _copy_module(sources, LEGO, "", sources / "lego")
    for path in (sources / "lego" / "providers" / "dns").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (sources / "lego" / "providers" / "dns" / "none.go").write_text(NO_DNS_PROVIDERS)
    _go(sources, "mod", "edit", "-replace", f"{LEGO}=./lego")
    _go(sources, "build", *BUILD_FLAGS, "-o", str(unfinished / "traefik"), "./cmd/traefik")
    _copy_module(sources, GATEWAY_API, "config/crd/standard", unfinished / "crds")
    shutil.rmtree(sources)
    unfinished.rename(folder)


def _go(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PATH": search_path(), "CGO_ENABLED": "0", "GOFLAGS": ""}
    command = ["go", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _copy_module(module: Path, name: str, part: str, to: Path) -> None:
    """Copies a folder of a module that the module in `module` requires. Folders of the module cache are read-only."""
    source = Path(json.loads(_go(module, "mod", "download", "-json", name))["Dir"]) / part
    shutil.copytree(source, to)
    for path in [to, *to.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def build_class_manifests() -> list[Manifest]:
    """Builds the classes by which an Ingress and a Gateway choose this controller."""
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS}}
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": CLASS}}
    return [
        ingress | {"spec": {"controller": "traefik.io/ingress-controller"}},
        gateway | {"spec": {"controllerName": "traefik.io/gateway-controller"}},
    ]


@contextmanager
def run_traefik(folder: Path, namespace: str, log: Path) -> Iterator[int]:
    """Runs the controller for one namespace until the end of the block, and yields its port on the loopback interface.

    `folder` is that of `ensure_traefik`. The CRDs of the Gateway API must exist.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    options = [
        f"--entrypoints.https.address=127.0.0.1:{port}",
        "--entrypoints.https.http.tls=true",  # as in the chart of Traefik
        "--providers.kubernetesingress=true",
        f"--providers.kubernetesingress.namespaces={namespace}",
        f"--providers.kubernetesingress.ingressclass={CLASS}",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.namespaces={namespace}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with log.open("wb") as out:
        command = [str(folder / "traefik"), *options]
        process = subprocess.Popen(command, env=kubectl.environment(), stdout=out, stderr=out)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)

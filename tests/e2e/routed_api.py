"""Installs the API of the chart a second time, in a namespace of a test, behind an Ingress and behind a Gateway."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.cluster.instance import this_instance
from tests.cluster.project_images import build_operator
from tests.cluster.provider_choice import choose_provider
from tests.e2e.chart import CHART
from tests.e2e.postgres_pods import secret_manifest
from tests.e2e.traefik_controller import CLASS
from tests.support import kubectl
from tests.support.https import make_certificates
from tests.support.kubectl import Manifest
from tests.support.yaml_files import Loader

DOMAIN = "pgimport.test"
CERTIFICATE = "certificate"
GATEWAY = "public"
READY_SECONDS = 120
TEMPLATES = ("templates/api.yaml", "templates/api-routes.yaml")


@dataclass(frozen=True)
class Site:
    """An API as its users reach it: by a host name, over HTTPS, through the controller."""

    name: str
    port: int
    ca: Path

    @property
    def url(self) -> str:
        return f"https://{self.name}.{DOMAIN}:{self.port}"

    def connect(self, address: str = "127.0.0.1", **options: Any) -> httpx.Client:
        """Returns a client with this address, which trusts only the certificate of the test."""
        context = ssl.create_default_context(cafile=self.ca)
        transport = _LoopbackTransport(verify=context, local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, timeout=120, **options)


class _LoopbackTransport(httpx.HTTPTransport):
    """Connects to the loopback interface, whatever the host name is."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return super().handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1"),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        )


def find_own_address() -> str:
    """Returns the address from which this host reaches pods."""
    pods = kubectl.list_objects("pods", selector="app.kubernetes.io/name=pgimport")
    (pod_address, *_) = [pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"]]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((pod_address, 9))  # sends nothing
        return str(probe.getsockname()[0])


def render_api(name: str, namespace: str, api: Manifest) -> list[Manifest]:
    """Renders the API and its routes, with the image of this checkout."""
    provider = choose_provider(this_instance())
    repository, _, tag = provider.reference(build_operator(provider.base_arguments())).rpartition(":")
    values = {
        "fullnameOverride": name,
        "image": {"repository": repository, "tag": tag},
        "api": {"enabled": True} | api,
    }
    shown = [word for template in TEMPLATES for word in ("--show-only", template)]
    rendered = subprocess.run(
        ["helm", "template", name, CHART, "--namespace", namespace, "--values", "-", *shown],
        input=json.dumps(values),
        env=kubectl.environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [document for document in yaml.load_all(rendered.stdout, Loader) if document]


def build_ingress_values(site: Site, proxy: str) -> Manifest:
    """Builds the values of an API behind an Ingress, which trusts the proxy."""
    route = {"enabled": True, "className": CLASS, "host": f"{site.name}.{DOMAIN}", "tlsSecret": CERTIFICATE}
    return {"ingress": route, "trustedProxies": [proxy]}


def build_gateway_values(site: Site) -> Manifest:
    """Builds the values of an API behind a Gateway, without the address of the proxy."""
    route = {"enabled": True, "parentRefs": [{"name": GATEWAY}], "hostnames": [f"{site.name}.{DOMAIN}"]}
    return {"httpRoute": route | {"timeouts": {"request": "0s"}}}


def build_gateway_manifest(namespace: str, port: int) -> Manifest:
    """Builds a Gateway with an HTTPS listener. Traefik finds its entry point by the port."""
    listener = {
        "name": "https",
        "port": port,
        "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": CERTIFICATE}]},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": namespace},
        "spec": {"gatewayClassName": CLASS, "listeners": [listener]},
    }


def build_certificate_manifest(namespace: str, folder: Path) -> Manifest:
    """Creates a certificate for all hosts of the test, and builds its Secret. The CA is `ca.crt` of the folder."""
    make_certificates(folder, f"*.{DOMAIN}")
    data = {name: (folder / name).read_text() for name in ("tls.crt", "tls.key")}
    return secret_manifest(namespace, CERTIFICATE, data) | {"type": "kubernetes.io/tls"}


@contextmanager
def applied(manifests: list[Manifest]) -> Iterator[None]:
    """Applies objects, and deletes them after the block."""
    try:
        kubectl.apply(*manifests)
        yield
    finally:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        kubectl.run("delete", "--ignore-not-found", "--filename", "-", stdin=text)


def wait_until_served(site: Site, log: Path) -> None:
    """Waits until the pod is ready and the controller knows the route and the certificate."""

    def answers() -> bool:
        try:
            answer.append(str(client.get("/readyz").status_code))
        except httpx.TransportError as error:
            answer.append(str(error))
        return answer[-1] == "200"

    answer: list[str] = []
    with site.connect() as client:
        kubectl.wait_until(answers, f"{site.url} answers", READY_SECONDS, lambda: f"{answer[-1]}\n{log.read_text()}")

"""Serves files over HTTPS from a pod, with a certificate of its own CA, and prints the POST requests that it gets."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Postgres, secret_manifest
from tests.support import kubectl
from tests.support.https import make_certificates
from tests.support.kubectl import Manifest

NAME, PORT = "files", 8443
START_SECONDS = 60

_SERVE = f"""
import functools, http.server, json, ssl
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(json.dumps({{"headers": dict(self.headers), "body": body}}), flush=True)
        self.send_response(204)
        self.end_headers()
handler = functools.partial(Handler, directory="/files")
server = http.server.ThreadingHTTPServer(("", {PORT}), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
_RECEIVE = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open(sys.argv[1], 'wb'))"
_RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class FileServer:
    """A running file server and its CA."""

    namespace: str
    ca: str = field(repr=False)

    @property
    def host(self) -> str:
        return f"{NAME}.{self.namespace}.svc.cluster.local"

    def put(self, name: str, content: bytes) -> str:
        """Copies a file into the pod and returns its URL."""
        kubectl.execute(self.namespace, NAME, "python3", "-c", _RECEIVE, f"/files/{name}", stdin=content)
        return self.url(name)

    def posts(self) -> list[Manifest]:
        """Returns the POST requests that the server has received: headers and body."""
        texts = (line.partition(" ")[2] for line in kubectl.logs(self.namespace, NAME).splitlines())  # after pod/name
        return [json.loads(text) for text in texts if text.startswith('{"headers"')]

    def url(self, name: str) -> str:
        """Returns a URL with a query like that of a presigned URL, which is a secret."""
        return f"https://{self.host}:{PORT}/{name}?signature=0a1b2c3d4e5f-{name}"


def operator_image() -> str:
    """Returns the operator's image, which has Python and is on the node already."""
    body = kubectl.get("deployment", "pgimport-operator", SYSTEM_NAMESPACE)
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"])


def start_file_server(namespace: str) -> FileServer:
    """Starts a file server in an existing namespace. Deleting the namespace removes it."""
    host = f"{NAME}.{namespace}.svc.cluster.local"
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder, host)
        made = {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}
    metadata = {"name": NAME, "namespace": namespace, "labels": {"server": NAME}}
    container: Manifest = {
        "name": "files",
        "image": operator_image(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", _SERVE],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": _RESTRICTED,
        "volumeMounts": [{"name": "files", "mountPath": "/files"}, {"name": "tls", "mountPath": "/tls"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
        "containers": [container],
        "volumes": [{"name": "files", "emptyDir": {}}, {"name": "tls", "secret": {"secretName": NAME}}],
    }
    service = {"selector": {"server": NAME}, "ports": [{"port": PORT}]}
    kubectl.apply(
        secret_manifest(namespace, NAME, {name: made[name] for name in ("tls.crt", "tls.key")}),
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    )
    kubectl.wait_for_pod(namespace, NAME, START_SECONDS)
    return FileServer(namespace, made["ca.crt"])


def dump(server: Postgres, dbname: str, *options: str) -> bytes:
    """What pg_dump writes to its standard output; a tar archive of a directory for `--format=directory`."""
    quoted = " ".join(options)
    command = f"pg_dump --username=postgres {quoted} {dbname}"
    if "--format=directory" in options:
        command = f"{command} --file=/tmp/dump && tar --create --directory=/tmp dump; rm -rf /tmp/dump"
    text = kubectl.execute(server.namespace, server.pod, "sh", "-c", f"set -e; ({command}) | base64 --wrap=0")
    return subprocess.run(["base64", "--decode"], input=text.encode(), capture_output=True, check=True).stdout

"""Calls the HTTP API as a person on a laptop does: with `kubectl port-forward`, a key and curl."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED, SYSTEM_NAMESPACE, Source, login
from tests.e2e.tenant import END_SECONDS, IMPORTS, Tenant
from tests.support import kubectl

OPERATOR = kubectl.CHECKOUT / "operator"
SERVICE = "service/pgimport-api"

OWNS_TABLES = "SELECT count(*) > 0 FROM pg_catalog.pg_tables WHERE tableowner = current_user"


@contextmanager
def forward_port(namespace: str = SYSTEM_NAMESPACE, service: str = SERVICE, target: int = 80) -> Iterator[int]:
    """Forwards a free local port to a Service with `kubectl port-forward`, and yields that port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    process = subprocess.Popen(
        ["kubectl", "-n", namespace, "port-forward", service, f"{port}:{target}"],
        env=kubectl.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Curl:
    """Calls the API with curl and one key."""

    port: int
    key: str = field(repr=False)

    def call(self, method: str, path: str, body: Any = None, *options: str) -> tuple[int, Any]:
        """Returns the HTTP status and the JSON body.

        curl reads the key and the request body from standard input, because everybody can read its arguments.
        """
        lines = [f'header = "Authorization: Bearer {self.key}"']
        if body is not None:
            text = json.dumps(body).replace("\\", "\\\\").replace('"', '\\"')
            lines += ['header = "Content-Type: application/json"', f'data = "{text}"']
        done = subprocess.run(
            [
                "curl",
                "--silent",
                "--show-error",
                "--config",
                "-",
                "--request",
                method,
                *options,
                "--write-out",
                "\n%{http_code}",
                f"http://127.0.0.1:{self.port}/v1{path}",
            ],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
            timeout=360,
        )
        answer, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(answer)

    def poll(self, job: str) -> dict[str, Any]:
        """Waits until a job has ended, and returns it."""
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            body: dict[str, Any] = self.call("GET", f"/jobs/{job}")[1]["job"]
            if body["state"] in ("completed", "failed", "cancelled"):
                return body
            time.sleep(0.5)
        raise AssertionError(f"{job} has not ended: {body}")


def make_key(*options: str, namespace: str = SYSTEM_NAMESPACE) -> str:
    """Creates an API key with `pgimport keys create` and the user's own kubeconfig."""
    done = subprocess.run(
        [sys.executable, "-m", "pgimport", "cli", "keys", "--namespace", namespace, "create", *options],
        env={**kubectl.environment(), "PYTHONPATH": str(OPERATOR)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def put(url: str, path: Path, *options: str) -> int:
    """Uploads a file with plain curl, without a key, and returns the HTTP status."""
    done = subprocess.run(
        [
            "curl",
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--upload-file",
            path,
            *options,
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def check_connections(curl: Curl, source: Source, preview: str) -> None:
    """Checks that the user of a copy of `shop` can log in, owns the tables, and finds all of the content."""
    status, answer = curl.call("GET", f"/preview-databases/{preview}/connections")
    assert status == 200, answer
    connections = answer["connections"]
    assert set(connections) == {"host", "port", "database", "user", "password", "url"}
    names = ("host", "port", "user", "password")
    target = {name: str(connections[name]) for name in names} | {"dbname": connections["database"]}
    assert login(source, target, OWNS_TABLES)[0] == ["t"]
    comparison.assert_same(source.server, "shop", EMBEDDED, connections["database"])


def check_upload(curl: Curl, source: Source, tenant: Tenant, folder: Path, put: Callable[[str, Path], int]) -> str:
    """Uploads a dump of `shop`, imports it, checks the copy, and returns the URL of the upload."""
    command = ("sh", "-c", "pg_dump --username=postgres --format=custom shop | base64")
    encoded_dump = kubectl.execute(source.server.namespace, source.server.pod, *command)
    (folder / "shop.dump").write_bytes(base64.b64decode(encoded_dump))
    status, answer = curl.call("POST", f"/projects/{tenant.name}/imports/uploads")
    assert status == 201, answer
    upload = answer["upload"]
    request = {"upload_key": upload["object_key"]}
    assert curl.call("POST", f"/projects/{tenant.name}/imports", request) == (404, {"error": "no such upload"})
    assert put(upload["upload_url"], folder / "shop.dump") == 200
    status, answer = curl.call("POST", f"/projects/{tenant.name}/imports", request)
    assert status == 202, answer
    done = curl.poll(answer["job"]["id"])
    assert done["state"] == "completed", done
    check_connections(curl, source, done["preview_database_id"])
    body = json.dumps(kubectl.get(IMPORTS, done["id"].removeprefix(f"{tenant.name}."), tenant.name))
    assert "signature" not in body.lower()
    return str(upload["upload_url"])

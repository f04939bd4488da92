"""A dump file from key to psql, by curl alone: upload, PUT into a real S3 server, import, connections.

The chart gets its upload store for the length of this module: a server in the cluster, at a private address.
"""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import comparison
from tests.e2e.postgres import (
    EMBEDDED,
    POD_USER,
    RESTRICTED,
    SYSTEM_NAMESPACE,
    Source,
    login,
    postgres_image,
    secret_manifest,
)
from tests.e2e.tenant import IMPORTS, Tenant
from tests.e2e.test_api import MINE, Curl, forward_port, make_key
from tests.support import kubectl
from tests.support.s3 import BUCKET, ensure_program

pytestmark = pytest.mark.cluster

NAME, PORT, SECONDS = "s3", 7070, 240
SECRET = "e2e-uploads"
_START = f"""
set -eu
until [ -e /data/complete ]; do sleep 0.1; done
mkdir -p /data/objects/{BUCKET}
. /data/credentials
exec /data/versitygw --port :{PORT} posix /data/objects
"""


def start_store(namespace: str) -> dict[str, str]:
    """Its program is brought into a pod that waits for it; its credentials, as the chart wants them."""
    metadata = {"name": NAME, "namespace": namespace, "labels": {"server": NAME}}
    container = {
        "name": NAME, "image": postgres_image(), "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", _START],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1}, "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    pod = {
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "securityContext": POD_USER,
        "containers": [container], "volumes": [{"name": "data", "emptyDir": {}}],
    }  # fmt: skip
    kubectl.delete("pod", NAME, namespace=namespace)
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata,
         "spec": {"selector": {"server": NAME}, "ports": [{"port": PORT}]}},
    )  # fmt: skip
    kubectl.wait_until(
        lambda: kubectl.get("pod", NAME, namespace)["status"].get("phase") == "Running" or None,
        "the store's pod runs",
        60,
    )
    access, secret = "pgimport", secrets.token_hex(20)
    program = ensure_program().read_bytes()
    kubectl.execute(namespace, NAME, "sh", "-c", "cat > /data/versitygw && chmod 755 /data/versitygw", stdin=program)
    text = f"export ROOT_ACCESS_KEY={access} ROOT_SECRET_KEY={secret}\n"
    kubectl.execute(namespace, NAME, "sh", "-c", "umask 077; cat > /data/credentials; touch /data/complete", stdin=text)
    kubectl.wait_for_pod(namespace, NAME, 60)
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}


def change_chart(*words: str) -> None:
    done = subprocess.run(
        ["helm", "--namespace", SYSTEM_NAMESPACE, *words, "--wait", "--timeout", f"{SECONDS}s"],
        capture_output=True, text=True, check=False, env=kubectl.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def endpoint(tenant: Tenant, source: Source) -> Iterator[str]:
    """The store's, as pods name it."""
    namespace = source.server.namespace
    credentials = start_store(namespace)
    kubectl.delete("secret", SECRET, namespace=SYSTEM_NAMESPACE)
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, SECRET, credentials))
    found = f"http://{NAME}.{namespace}.svc.cluster.local:{PORT}"
    values = {"enabled": True, "endpoint": found, "bucket": BUCKET, "credentialsSecret": SECRET}
    chart = str(kubectl.CHECKOUT / "charts" / "pgimport")
    change_chart("upgrade", "pgimport", chart, "--reuse-values", "--set-json", f"uploads={json.dumps(values)}")
    yield found
    change_chart("rollback", "pgimport")
    kubectl.delete("secret", SECRET, namespace=SYSTEM_NAMESPACE)


@pytest.fixture(scope="module")
def curl(endpoint: str) -> Iterator[Curl]:
    with forward_port() as port:
        yield Curl(port, make_key("--organization", "e2e", "--name", "uploads"))


def put(source: Source, endpoint: str, url: str, path: Path) -> int:
    """By plain curl, from outside of the cluster: the signed URL names the store as the cluster does."""
    namespace, host = source.server.namespace, endpoint.removeprefix("http://")
    with forward_port(namespace, f"service/{NAME}", PORT) as port:
        done = subprocess.run(
            ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--upload-file", path,
             "--connect-to", f"{host}:127.0.0.1:{port}", url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return int(done.stdout)


def test_a_dump_file_by_curl_alone(curl: Curl, source: Source, endpoint: str, tenant: Tenant, tmp_path: Path) -> None:
    words = ("sh", "-c", "pg_dump --username=postgres --format=custom shop | base64")
    dumped = kubectl.execute(source.server.namespace, source.server.pod, *words)
    (tmp_path / "shop.dump").write_bytes(base64.b64decode(dumped))
    status, answer = curl.call("POST", "/projects/e2e/imports/uploads")
    assert status == 201, answer
    upload = answer["upload"]
    assert upload["upload_url"].startswith(f"{endpoint}/{BUCKET}/uploads/e2e/")
    assert curl.call("POST", "/projects/e2e/imports", {"upload_key": upload["object_key"]}) == (
        404, {"error": "no such upload"}
    )  # fmt: skip
    assert put(source, endpoint, upload["upload_url"], tmp_path / "shop.dump") == 200
    status, answer = curl.call("POST", "/projects/e2e/imports", {"upload_key": upload["object_key"]})
    assert status == 202, answer
    done = curl.poll(answer["job"]["id"])
    assert done["state"] == "completed", done
    status, answer = curl.call("GET", f"/preview-databases/{done['preview_database_id']}/connections")
    assert status == 200, answer
    found = answer["connections"]
    place = {name: str(found[name]) for name in ("host", "port", "user", "password")} | {"dbname": found["database"]}
    assert login(source, place, MINE)[0] == ["t"]
    comparison.assert_same(source.server, "shop", EMBEDDED, found["database"])
    body = json.dumps(kubectl.get(IMPORTS, done["id"].removeprefix("e2e."), tenant.name))
    assert "X-Amz" not in body

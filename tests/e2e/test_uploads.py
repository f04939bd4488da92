"""Tests an upload with curl alone: PUT into a real S3 server, import, connections.

During this module, the chart has an upload store: a server in the cluster, at a private address.
"""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.s3_server import BUCKET, ensure_program
from tests.e2e.api_calls import Curl, check_upload, forward_port, make_key, put
from tests.e2e.chart import CHART, RELEASE, helm
from tests.e2e.postgres_pods import (
    POD_USER,
    RESTRICTED,
    SYSTEM_NAMESPACE,
    Source,
    postgres_image,
    secret_manifest,
)
from tests.e2e.tenant import Tenant
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]

NAME, PORT = "s3", 7070
SECRET = "e2e-uploads"
_START = f"""
set -eu
until [ -e /data/complete ]; do sleep 0.1; done
mkdir -p /data/objects/{BUCKET}
. /data/credentials
exec /data/versitygw --port :{PORT} posix /data/objects
"""


def start_store(namespace: str) -> dict[str, str]:
    """Starts an S3 server in a pod, and returns its credentials as the chart expects them."""
    metadata = {"name": NAME, "namespace": namespace, "labels": {"server": NAME}}
    container = {
        "name": NAME,
        "image": postgres_image(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _START],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_USER,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    kubectl.delete("pod", NAME, namespace=namespace)
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"server": NAME}, "ports": [{"port": PORT}]},
        },
    )
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


@pytest.fixture(scope="module")
def endpoint(tenant: Tenant, source: Source) -> Iterator[str]:
    """The endpoint of the store, as pods reach it."""
    namespace = source.server.namespace
    credentials = start_store(namespace)
    kubectl.delete("secret", SECRET, namespace=SYSTEM_NAMESPACE)
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, SECRET, credentials))
    url = f"http://{NAME}.{namespace}.svc.cluster.local:{PORT}"
    values = {"enabled": True, "endpoint": url, "bucket": BUCKET, "credentialsSecret": SECRET}
    helm("upgrade", RELEASE, CHART, "--reuse-values", "--set-json", f"uploads={json.dumps(values)}", "--wait")
    yield url
    helm("rollback", RELEASE, "--wait")
    kubectl.delete("secret", SECRET, namespace=SYSTEM_NAMESPACE)


@pytest.fixture(scope="module")
def curl(endpoint: str) -> Iterator[Curl]:
    with forward_port() as port:
        yield Curl(port, make_key("--organization", "e2e", "--name", "uploads"))


def test_a_dump_file_by_curl_alone(curl: Curl, source: Source, endpoint: str, tenant: Tenant, tmp_path: Path) -> None:
    namespace, host = source.server.namespace, endpoint.removeprefix("http://")

    def put_from_outside(url: str, path: Path) -> int:
        """Uploads through a forwarded port, because the signed URL has the store's name in the cluster."""
        with forward_port(namespace, f"service/{NAME}", PORT) as port:
            return put(url, path, "--connect-to", f"{host}:127.0.0.1:{port}")

    url = check_upload(curl, source, tenant, tmp_path, put_from_outside)
    assert url.startswith(f"{endpoint}/{BUCKET}/uploads/{tenant.name}/")

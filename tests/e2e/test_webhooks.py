"""Webhooks of the installed operator: its rights and its network suffice, also for the outbox."""

import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
from tests.e2e.file_server import NAME, FileServer, start_file_server
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, secret_manifest
from tests.e2e.tenant import END_SECONDS, IMPORTS, PREVIEWS, PROJECTS, Tenant, operator_logs
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster
KEY, SECRET, OUTBOX = "0123456789abcdef", "webhooks", "pgimport-webhook-outbox"


@pytest.fixture(scope="module")
def receiver(tenant: Tenant) -> Iterator[FileServer]:
    server = start_file_server(tenant.name)
    kubectl.create(secret_manifest(tenant.name, SECRET, {"key": KEY, "ca.crt": server.ca}))
    webhook = {
        "name": "ci",
        "url": server.url("hook"),
        "secretRef": {"name": SECRET, "key": "key"},
        "caSecretRef": {"name": SECRET, "key": "ca.crt"},
    }
    sources = kubectl.get(PROJECTS, tenant.name)["spec"]["sources"]
    hosts = [*sources["allowedHosts"], server.host]
    change = {"webhooks": [webhook], "sources": {"allowedHosts": hosts}}
    kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": change})
    yield server
    kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"webhooks": None, "sources": sources}})
    for kind, name in (("pod", NAME), ("service", NAME), ("secret", NAME), ("secret", SECRET)):
        kubectl.delete(kind, name, namespace=tenant.name)


def find(receiver: FileServer, event: str, object_id: str) -> list[Manifest]:
    return [
        post
        for post in receiver.posts()
        if post["headers"]["X-CapyDB-Event"] == event and f'"{object_id}"' in post["body"]
    ]


def wait_for(receiver: FileServer, event: str, object_id: str) -> None:
    kubectl.wait_until(
        lambda: bool(find(receiver, event, object_id)),
        f"{event} arrives",
        END_SECONDS,
        lambda: operator_logs("webhook"),
    )


def test_an_import_and_a_preview_are_announced(tenant: Tenant, receiver: FileServer) -> None:
    tenant.make_previews("announced")
    tenant.start("announced", "small", "announced")
    tenant.wait_for_end("announced", "completed")
    tenant.delete("announced")
    kubectl.delete(PREVIEWS, "announced", namespace=tenant.name)
    object_id = f"{tenant.name}.announced"
    events = ("preview.ready", "job.completed", "import.completed", "preview.deleted")
    for event in events:
        wait_for(receiver, event, object_id)
    (post,) = find(receiver, "job.completed", object_id)
    parts = dict(part.split("=", 1) for part in post["headers"]["X-CapyDB-Signature"].split(","))
    signed = f"{parts['t']}.{post['body']}".encode()
    assert parts["v1"] == hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert json.loads(post["body"])["job"]["state"] == "completed"
    kubectl.wait_until(
        lambda: not kubectl.get("configmap", OUTBOX, SYSTEM_NAMESPACE).get("data"), "the outbox is empty", END_SECONDS
    )
    conditions = kubectl.get(PROJECTS, tenant.name)["status"]["conditions"]
    assert [item["status"] for item in conditions if item["type"] == "WebhooksDelivered"] == ["True"]
    assert kubectl.find(IMPORTS, "announced", tenant.name) is None

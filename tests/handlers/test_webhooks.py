"""Webhooks of the running operator: signed events over real TLS, also after errors, restarts and deletions."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.emulated_tenant import HOME, NAMESPACE, WAITING, Tenant, encoded, ended, wait_for
from tests.handlers.running_operator import complete, run_operator, write_kubeconfig
from tests.support.https import Answer, HttpsServer, Post, body, run_https_server
from tests.support.kubernetes import BYSTANDER, Json, a_body, run_kubernetes
from tests.support.postgres import PostgresServer
from tests.support.samples import a_failed_result

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, parse_project
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, outbox_name
from pgimport.model.reasons import Reason
from pgimport.model.rest_views import build_job, build_preview_body
from pgimport.reconcile.delivery_queue import DeliveryQueue

pytestmark = pytest.mark.slow
KEY = "0123456789abcdef"
OUTBOX = api_paths.core(HOME, "configmaps", outbox_name("pgimport"))
DOWN, UP = body(b"", status=503), body(b"")


@dataclass
class Subscriber:
    """A tenant, and the receiver of its events."""

    tenant: Tenant
    server: HttpsServer
    path: str = "/hook"
    _seen: int = field(default=0)

    def run_operator(self) -> AbstractContextManager[int]:
        queue = DeliveryQueue(delays=[timedelta(seconds=1)] * 1000)
        return run_operator(self.tenant.kubernetes, queue)

    def answer(self, answer: Answer) -> None:
        self.server.answers[self.path] = answer

    def find(self, event: str, name: str) -> list[Post]:
        """Returns the requests with an event of the import or preview of this name."""
        return [
            post
            for post in list(self.server.posts)
            if post.headers["X-CapyDB-Event"] == event and f'"shop.{name}"' in post.body.decode()
        ]

    def wait_for(self, event: str, name: str) -> Post:
        posts: list[Post] = wait_for(f"{event} of {name}", lambda: self.find(event, name))
        return posts[0]

    def deliveries(self, kind: str, name: str) -> dict[str, Json]:
        return {item["event"]: item for item in self.tenant.status(name, kind).get("webhookDeliveries", ())}

    def wait_until_delivered(self, kind: str, name: str, *events: str) -> None:
        wait_for(
            f"{events} of {name} to be delivered",
            lambda: (
                {e: d["state"] for e, d in self.deliveries(kind, name).items()} == dict.fromkeys(events, "delivered")
            ),
            describe=self.tenant.describe,
        )

    def condition(self) -> Json:
        conditions = self.tenant.cluster.get(api_paths.resource(PROJECTS, "", "shop"))["status"]["conditions"]
        return next((item for item in conditions if item["type"] == "WebhooksDelivered"), {})

    def outbox(self) -> dict[str, str]:
        return dict(self.tenant.cluster.get(OUTBOX).get("data") or {})


@pytest.fixture(scope="module")
def subscriber(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subscriber]:
    folder = tmp_path_factory.mktemp("receiver")
    with (
        run_kubernetes() as kubernetes,
        run_https_server(folder, "127.0.0.1") as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, tmp_path_factory.mktemp("kubeconfig"))))
        tenant = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        tenant.prepare()
        secret = encoded(key=KEY + "\n", ca=server.ca.read_text())
        meta = {"name": "hooks", "namespace": NAMESPACE}
        tenant.create(
            api_paths.core(NAMESPACE, "secrets"),
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": secret},
        )
        outbox = {"name": outbox_name("pgimport"), "namespace": HOME}
        tenant.create(api_paths.core(HOME, "configmaps"), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": outbox})
        webhook = {
            "name": "ci",
            "url": server.url("/hook?token=hidden"),
            "secretRef": {"name": "hooks", "key": "key"},
            "caSecretRef": {"name": "hooks", "key": "ca"},
        }
        change = {"spec": {"webhooks": [webhook], "sources": {"allowedCIDRs": ["127.0.0.0/8"]}}}
        tenant.cluster.patch(api_paths.resource(PROJECTS, "", "shop"), change)
        yield Subscriber(tenant, server)


def verify(post: Post) -> Any:
    """Checks the signature as a receiver does, and returns the body."""
    parts = dict(part.split("=", 1) for part in post.headers["X-CapyDB-Signature"].split(","))
    signed = f"{parts['t']}.".encode() + post.body
    assert parts["v1"] == hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    return json.loads(post.body)


def list_previews(tenant: Tenant) -> list[str]:
    return [item["metadata"]["name"] for item in tenant.cluster.get(api_paths.resource(PREVIEWS, NAMESPACE))["items"]]


def fail(tenant: Tenant, name: str) -> None:
    job = tenant.job(name)
    refused = a_failed_result(Reason.SOURCE_AUTH_FAILED, step="preflight")
    tenant.show_pod(job, ended(refused, 66), WAITING, "Failed")
    tenant.end_job(job, {"type": "Failed", "status": "True", "reason": "PodFailurePolicy"})
    tenant.wait_for_state(name, "failed")


def test_events_are_signed_and_show_what_rest_shows(subscriber: Subscriber) -> None:
    tenant = subscriber.tenant
    subscriber.answer(UP)
    with subscriber.run_operator():
        tenant.apply("good")
        complete(tenant, "good")
        tenant.apply("bad", maxAttempts=1)
        fail(tenant, "bad")
        subscriber.wait_until_delivered(IMPORTS, "good", "job.completed", "import.completed")
        subscriber.wait_until_delivered(IMPORTS, "bad", "job.failed")
        subscriber.wait_until_delivered(PREVIEWS, "good", "preview.ready")
        wait_for("the Project to show it", lambda: subscriber.condition().get("status") == "True")
    project = parse_project(tenant.cluster.get(api_paths.resource(PROJECTS, "", "shop")))
    job = build_job(project, parse_import(tenant.get(IMPORTS, "good")))
    shown = verify(subscriber.wait_for("job.completed", "good"))["job"]
    same = set(shown) - {"updated_at", "locked_resource"}  # the clean-up and the delivery change them after the event
    assert {name: shown[name] for name in same} == {
        name: value for name, value in json.loads(job.model_dump_json(exclude_none=True)).items() if name in same
    }
    assert verify(subscriber.wait_for("job.failed", "bad"))["job"]["state"] == "failed"
    preview = build_preview_body(project, parse_preview(tenant.get(PREVIEWS, "good")))
    shown = verify(subscriber.wait_for("preview.ready", "good"))["preview"]
    assert set(shown) == set(preview.model_dump())
    assert (shown["state"], shown["id"]) == ("ready", "shop.good")


@pytest.mark.thorough
def test_a_failing_receiver_gets_the_event_again_also_after_a_restart(subscriber: Subscriber) -> None:
    tenant = subscriber.tenant
    subscriber.answer(DOWN)
    with subscriber.run_operator():
        tenant.apply("repeated")
        complete(tenant, "repeated")
        wait_for("an attempt", lambda: subscriber.deliveries(IMPORTS, "repeated")["job.completed"].get("error"))
        wait_for("the Project to show it", lambda: subscriber.condition().get("status") == "False")
    error = "the receiver 127.0.0.1 answered 503"
    delivery = subscriber.deliveries(IMPORTS, "repeated")["job.completed"]
    assert (delivery["state"], delivery["error"]) == ("pending", error)
    assert subscriber.condition()["message"] == f"Webhook ci: {error}"
    assert "hidden" not in tenant.describe(), "the URL may contain a token"
    subscriber.answer(UP)
    before = len(subscriber.find("job.completed", "repeated"))
    with subscriber.run_operator():
        subscriber.wait_until_delivered(IMPORTS, "repeated", "job.completed", "import.completed")
        wait_for("the Project to show it", lambda: subscriber.condition().get("status") == "True")
    posts = subscriber.find("job.completed", "repeated")
    assert len(posts) > before
    assert {post.headers["X-CapyDB-Delivery"] for post in posts} == {delivery["id"]}


@pytest.mark.thorough
def test_a_deletion_waits_for_no_receiver_and_is_announced_after_a_restart(subscriber: Subscriber) -> None:
    tenant = subscriber.tenant
    subscriber.answer(DOWN)
    with subscriber.run_operator():
        tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, "gone", spec={"project": "shop"}))
        wait_for("preview.ready to be tried", lambda: subscriber.find("preview.ready", "gone"))
        tenant.cluster.delete(api_paths.resource(PREVIEWS, NAMESPACE, "gone"))
        wait_for("the preview to be gone", lambda: "gone" not in list_previews(tenant))
        tenant.apply("ended")
        complete(tenant, "ended")
        tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, "ended"))
        wait_for("the events of both in the outbox", lambda: len(subscriber.outbox()) == 4)
    before = len(subscriber.find("preview.deleted", "gone"))
    subscriber.answer(UP)
    with subscriber.run_operator():
        wait_for("an empty outbox", lambda: not subscriber.outbox())
    assert verify(subscriber.find("import.completed", "ended")[-1])["job"]["state"] == "completed"
    posts = subscriber.find("preview.deleted", "gone")
    assert len(posts) > before
    assert verify(posts[-1])["preview"]["state"] == "deleting"
    assert len({post.headers["X-CapyDB-Delivery"] for post in posts}) == 1


@pytest.mark.thorough
def test_a_deletion_succeeds_without_an_outbox(subscriber: Subscriber) -> None:
    """For example after an upgrade, before the chart has created it. The event is sent all the same."""
    tenant = subscriber.tenant
    subscriber.answer(UP)
    tenant.kubernetes.refuse("GET", outbox_name("pgimport"), 403, times=1000)
    with subscriber.run_operator():
        tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, "unkept", spec={"project": "shop"}))
        subscriber.wait_until_delivered(PREVIEWS, "unkept", "preview.ready")
        tenant.cluster.delete(api_paths.resource(PREVIEWS, NAMESPACE, "unkept"))
        subscriber.wait_for("preview.deleted", "unkept")

"""What becomes of a delivery if the Project, its webhook or its Secret lacks what a request needs."""

import base64
from dataclasses import replace
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest
from tests.support.samples import NOW, a_policy, a_project, a_project_spec

from pgimport.kubernetes_client.resource_lists import DirectLists
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS
from pgimport.model.resources import ProjectObject, ResourceKey
from pgimport.model.webhooks import DeliveryState, WebhookDelivery, WebhookEvent
from pgimport.reconcile.delivery_queue import DeliveryQueue, QueuedDelivery
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.webhook_deliveries import start_deliveries

KEY = ResourceKey(IMPORTS, "shop", "orders")
HOOKS, CA = {"name": "hooks", "key": "key"}, {"name": "hooks", "key": "ca"}
WEBHOOK = {"name": "ci", "url": "https://hooks.example.invalid/x", "secretRef": HOOKS, "caSecretRef": CA}
MISSING = "Secret hooks in shop does not exist, or has no key "


class Lists(DirectLists):
    def __init__(self, projects: list[ProjectObject]) -> None:
        self._projects = projects

    def list_projects(self) -> list[ProjectObject]:
        return self._projects


class Cluster:
    """A cluster with at most one Secret, and without outbox."""

    def __init__(self, entries: dict[str, str] | None) -> None:
        self._entries = entries

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        if not path.endswith("/secrets/hooks") or self._entries is None:
            raise NotFound(path)
        return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in self._entries.items()}}


def attempt(projects: list[ProjectObject], entries: dict[str, str] | None) -> WebhookDelivery:
    """Returns the delivery after one attempt."""
    queue = DeliveryQueue(delays=[timedelta(days=1)])
    cluster: Any = Cluster(entries)
    context = ReconcileContext(cluster=cluster, lists=Lists(projects), policy=a_policy(), deliveries=queue)
    delivery = WebhookDelivery(id="1", webhook="ci", event=WebhookEvent.JOB_COMPLETED, occurred_at=NOW)
    woken: SimpleQueue[ResourceKey] = SimpleQueue()
    queue.put([QueuedDelivery(KEY, "uid", "shop", "shop.orders", delivery, b"{}")])
    start_deliveries(context, woken.put)
    try:
        while woken.get(timeout=30) != KEY:
            pass
    finally:
        queue.stop()
    return queue.find_newest(KEY)["1"]


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (None, f"{MISSING}key"),
        ({"ca": "x"}, f"{MISSING}key"),
        ({"key": "0123456789abcdef"}, f"{MISSING}ca"),
        ({"key": "  0123456789abcde  ", "ca": "x"}, "the key in Secret hooks has fewer than 16 characters"),
    ],
)
def test_a_secret_that_is_not_as_it_should_be_is_waited_for(entries: dict[str, str] | None, error: str) -> None:
    delivery = attempt([a_project(a_project_spec(webhooks=[WEBHOOK]))], entries)
    assert (delivery.state, delivery.error) == (DeliveryState.PENDING, error)


def test_a_delivery_ends_with_its_webhook() -> None:
    for projects in ([], [a_project()]):
        delivery = attempt(projects, None)
        assert (delivery.state, delivery.error) == (DeliveryState.FAILED, "the Project no longer has this webhook")


def test_a_project_whose_spec_is_not_valid_may_be_mended() -> None:
    delivery = attempt([replace(a_project(), spec=None)], None)
    assert (delivery.state, delivery.error) == (DeliveryState.PENDING, "the spec of the Project is not valid")

"""Announces changes of imports and previews to the webhooks of their Project.

The write of a status that causes an event also stores its deliveries as pending. The delivery queue then sends them,
and the next reconcile stores the outcome. A restart finds what is pending in the statuses and in the outbox.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pgimport.decide.webhooks import add_deliveries, find_events, merge_deliveries
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.metrics.state_gauges import find_owners
from pgimport.model.errors import PgimportError
from pgimport.model.names import PREVIEWS, PROJECTS
from pgimport.model.object_references import SecretKey
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.rest_views import JobAnswer, PreviewAnswer, build_job, build_preview_body
from pgimport.model.status import ImportStatus, PreviewState, PreviewStatus
from pgimport.model.webhooks import DeliveryOutcome, OutboxEntry, Webhook, WebhookDelivery, WebhookEvent
from pgimport.reconcile.delivery_queue import QueuedDelivery
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.webhook_outbox import add_to_outbox, read_outbox, update_outbox
from pgimport.webhooks.event_request import Receiver, send_event

logger = logging.getLogger(__name__)
SHORTEST_KEY = 16  # bytes


def find_project(context: ReconcileContext, item: ImportObject | PreviewObject) -> ProjectObject | None:
    """Returns the Project of an object. Only its own namespace counts: a tenant may write any name into a spec."""
    project = find_owners(context.lists.list_projects()).get(item.meta.namespace)
    if project is None or (item.spec is not None and item.spec.project != project.meta.name):
        return None
    return project


def show_deliveries(context: ReconcileContext, key: ResourceKey, item: object, status: Any) -> Any:
    """Returns the status with the outcomes of deliveries, and with new deliveries for what the status changes."""
    if not isinstance(item, ImportObject | PreviewObject) or not isinstance(status, ImportStatus | PreviewStatus):
        return status
    deliveries = merge_deliveries(status.webhook_deliveries, context.deliveries.find_newest(key))
    if events := find_events(item, status):
        project = find_project(context, item)
        webhooks = project.spec.webhooks if project is not None and project.spec is not None else []
        deliveries = add_deliveries(deliveries, events, webhooks, item.meta.uid, datetime.now(UTC))
    return status.model_copy(update={"webhook_deliveries": deliveries})


def queue_deliveries(context: ReconcileContext, key: ResourceKey, item: object, status: object) -> None:
    """Queues the deliveries that the written status shows as pending, and forgets those that it shows as ended."""
    if not isinstance(item, ImportObject | PreviewObject) or not isinstance(status, ImportStatus | PreviewStatus):
        return
    leave_deliveries(context, key, item.meta.uid)
    context.deliveries.keep_pending(key, status.webhook_deliveries)
    pending = [delivery for delivery in status.webhook_deliveries if delivery.pending]
    project = find_project(context, item) if pending else None
    if project is None:
        return
    context.deliveries.put(_build_queued(key, project, item, status, pending))


def _build_body(
    project: ProjectObject, item: ImportObject | PreviewObject, status: ImportStatus | PreviewStatus
) -> bytes:
    """Builds the body of an event: what `GET /v1/jobs/{id}` or `GET /v1/preview-databases/{id}` answers."""
    if isinstance(item, ImportObject) and isinstance(status, ImportStatus):
        job = build_job(project, replace(item, status=status))
        return JobAnswer(job=job).model_dump_json(exclude_none=True).encode()
    if isinstance(item, PreviewObject) and isinstance(status, PreviewStatus):
        preview = build_preview_body(project, replace(item, status=status))
        return PreviewAnswer(preview=preview).model_dump_json().encode()
    raise TypeError(f"no body for {type(item).__name__} with {type(status).__name__}")


def _build_queued(
    key: ResourceKey,
    project: ProjectObject,
    item: ImportObject | PreviewObject,
    status: ImportStatus | PreviewStatus,
    deliveries: Sequence[WebhookDelivery],
    *,
    in_outbox: bool = False,
) -> list[QueuedDelivery]:
    """Builds what the queue needs to send deliveries of one object, whose events share one body."""
    body, name = _build_body(project, item, status), project.meta.name
    return [
        QueuedDelivery(key, item.meta.uid, name, f"{name}.{item.meta.name}", delivery, body, in_outbox=in_outbox)
        for delivery in deliveries
    ]


def leave_deliveries(context: ReconcileContext, key: ResourceKey, uid: str | None = None) -> None:
    """Moves the pending deliveries of a deleted object to the outbox. `uid`: of the object with this key, if any."""
    if left := context.deliveries.leave_object(key, uid):
        add_to_outbox(context.cluster, context.policy, [_build_entry(item) for item in left])
        for item in left:
            if not item.delivery.pending:  # its last attempt ended before the outbox had it
                update_outbox(context.cluster, context.policy, _build_entry(item))


def announce_deletion(context: ReconcileContext, item: PreviewObject) -> None:
    """Puts the event of a deletion into the outbox. It can be repeated until the object is gone.

    The end of an expired preview was announced when its database was dropped.
    """
    project = find_project(context, item)
    if project is None or project.spec is None or item.status.state is PreviewState.EXPIRED:
        return
    requested = item.meta.deletion_requested_at or item.meta.created_at  # so that the IDs stay
    webhooks, key = project.spec.webhooks, ResourceKey(PREVIEWS, item.meta.namespace, item.meta.name)
    deliveries = add_deliveries([], [WebhookEvent.PREVIEW_DELETED], webhooks, item.meta.uid, requested)
    if queued := _build_queued(key, project, item, item.status, deliveries, in_outbox=True):
        add_to_outbox(context.cluster, context.policy, [_build_entry(item) for item in queued])
        context.deliveries.put(queued)


def _build_entry(item: QueuedDelivery) -> OutboxEntry:
    return OutboxEntry(project=item.project, object_id=item.object_id, delivery=item.delivery, body=item.body.decode())


def start_deliveries(context: ReconcileContext, wake: Callable[[ResourceKey], None]) -> None:
    """Queues what the outbox holds, and starts to send. `wake` makes the operator reconcile a key."""
    try:
        stored = read_outbox(context.cluster, context.policy)
    except PgimportError as error:
        logger.warning("the outbox of webhooks cannot be read: %s", error)
        stored = {}
    for entry in stored.values():
        # The object is gone. Its key holds the ID of the entry, so that no other object has it.
        key = ResourceKey("outbox", "", entry.delivery.id)
        item = QueuedDelivery(
            key, "", entry.project, entry.object_id, entry.delivery, entry.body.encode(), in_outbox=True
        )
        context.deliveries.put([item])
    context.deliveries.start(partial(_send, context), partial(_report, context, wake))


def _report(
    context: ReconcileContext,
    wake: Callable[[ResourceKey], None],
    item: QueuedDelivery,
    outcome: DeliveryOutcome,
    changed: bool,
) -> None:
    """Stores the outcome: in the outbox, or by a reconcile of the object, and by one of the Project if it changed."""
    delivery = item.delivery
    context.metrics.webhooks.record(item.project, delivered=outcome.error is None)
    if outcome.error is not None:
        logger.warning(
            "webhook %s of Project %s: event %s of %s: %s",
            delivery.webhook,
            item.project,
            delivery.event,
            item.object_id,
            outcome.error,
        )
    if changed:
        wake(ResourceKey(PROJECTS, "", item.project))
    if not item.in_outbox:
        wake(item.key)
    else:
        update_outbox(context.cluster, context.policy, _build_entry(item))


def _send(context: ReconcileContext, item: QueuedDelivery) -> DeliveryOutcome:
    """Sends a delivery with the webhook's settings as they are now."""
    project = next((each for each in context.lists.list_projects() if each.meta.name == item.project), None)
    if project is not None and project.spec is None:
        return DeliveryOutcome("the spec of the Project is not valid", removed=True)
    webhooks = project.spec.webhooks if project is not None and project.spec is not None else []
    webhook = next((each for each in webhooks if each.name == item.delivery.webhook), None)
    if project is None or project.spec is None or webhook is None:
        return DeliveryOutcome("the Project no longer has this webhook", final=True, removed=True)
    receiver = _read_receiver(context, project.spec, webhook)
    if isinstance(receiver, DeliveryOutcome):
        return receiver
    return send_event(receiver, item.delivery, item.body, int(datetime.now(UTC).timestamp()))


def _read_receiver(context: ReconcileContext, spec: ProjectSpec, webhook: Webhook) -> Receiver | DeliveryOutcome:
    """Reads the Secrets of a webhook. Returns an outcome with the error if they are missing or unfit."""
    try:
        key = _read_key(context, spec.namespace, webhook.secret_ref)
        ca = _read_key(context, spec.namespace, webhook.ca_secret_ref) if webhook.ca_secret_ref else None
    except PgimportError as error:
        return DeliveryOutcome(f"its Secret cannot be read: {error}")
    if key is None or (webhook.ca_secret_ref is not None and ca is None):
        reference = webhook.secret_ref if key is None or webhook.ca_secret_ref is None else webhook.ca_secret_ref
        missing = f"Secret {reference.name} in {spec.namespace} does not exist, or has no key {reference.key}"
        return DeliveryOutcome(missing)
    if len(key.strip()) < SHORTEST_KEY:
        return DeliveryOutcome(f"the key in Secret {webhook.secret_ref.name} has fewer than {SHORTEST_KEY} characters")
    text = ca.decode(errors="replace") if ca is not None else None
    return Receiver(url=webhook.url, key=key.strip(), ca=text, sources=spec.sources)


def _read_key(context: ReconcileContext, namespace: str, reference: SecretKey) -> bytes | None:
    return (read_secret(context.cluster, namespace, reference.name) or {}).get(reference.key)

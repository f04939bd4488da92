"""Decides which events a change of a status causes, and when their deliveries are tried again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pgimport.decide.conditions import TypedCondition, put_condition, remove_condition
from pgimport.decide.decision import Decision
from pgimport.decide.observed_objects import ObservedProject
from pgimport.model.names import LABEL_EPHEMERAL, short_hash
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject, PreviewObject
from pgimport.model.scalar_types import cut_to_milliseconds, format_time
from pgimport.model.status import ConditionStatus, ImportState, ImportStatus, PreviewState, PreviewStatus
from pgimport.model.webhooks import (
    DeliveryOutcome,
    DeliveryState,
    OutboxEntry,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)

WEBHOOKS_DELIVERED = "WebhooksDelivered"  # condition of a Project
# Between two attempts. The first retries bridge a restart of the receiver, and all together a day.
RETRY_DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 28800)
)
ENDED_KEPT = 10  # deliveries in the status of an object
PENDING_KEPT = 40  # as many as webhooks and events
OUTBOX_PER_PROJECT = 25  # deliveries of deleted objects
OUTBOX_BYTES = 800_000  # a ConfigMap has at most 1 MiB


def find_events(item: ImportObject | PreviewObject, after: ImportStatus | PreviewStatus) -> tuple[WebhookEvent, ...]:
    """Returns the events of the step from the status of `item` to `after`."""
    if isinstance(item, ImportObject) and isinstance(after, ImportStatus):
        return _find_import_events(item, after)
    if isinstance(item, PreviewObject) and isinstance(after, PreviewStatus):
        return _find_preview_events(item.status, after)
    return ()


def _find_import_events(item: ImportObject, after: ImportStatus) -> tuple[WebhookEvent, ...]:
    """A cancelled import is a failed job. The imports of the preflight route are no jobs in the HTTP API."""
    if item.status.terminal or not after.terminal or LABEL_EPHEMERAL in item.meta.labels:
        return ()
    if after.state is not ImportState.COMPLETED:
        return (WebhookEvent.JOB_FAILED,)
    if item.spec is not None and item.spec.dry_run:
        return (WebhookEvent.JOB_COMPLETED,)
    return WebhookEvent.JOB_COMPLETED, WebhookEvent.IMPORT_COMPLETED


def _find_preview_events(before: PreviewStatus, after: PreviewStatus) -> tuple[WebhookEvent, ...]:
    """A preview is ready anew after a reset, which may not change its state."""
    if after.state is PreviewState.READY:
        anew = before.state is not PreviewState.READY or before.reset_at != after.reset_at
        return (WebhookEvent.PREVIEW_READY,) if anew else ()
    if after.state is PreviewState.EXPIRED and before.state is not PreviewState.EXPIRED:
        return (WebhookEvent.PREVIEW_DELETED,)
    return ()


def add_deliveries(
    known: Sequence[WebhookDelivery],
    events: Iterable[WebhookEvent],
    webhooks: Sequence[Webhook],
    uid: str,
    now: datetime,
) -> list[WebhookDelivery]:
    """Adds a delivery for each webhook that wants an event.

    It replaces a pending delivery of the same event, whose request may have begun: that body lacks the change.
    """
    new = [
        WebhookDelivery(
            id=short_hash(f"{uid} {webhook.name} {event.value} {format_time(now)}", 32),
            webhook=webhook.name,
            event=event,
            occurred_at=cut_to_milliseconds(now),
        )
        for event in events
        for webhook in webhooks
        if webhook.wants(event)
    ]
    replaced = {(item.webhook, item.event) for item in new}
    pending = [item for item in known if item.pending and (item.webhook, item.event) not in replaced]
    return [*[item for item in known if not item.pending][-ENDED_KEPT:], *pending, *new]


def merge_deliveries(shown: Sequence[WebhookDelivery], newer: Mapping[str, WebhookDelivery]) -> list[WebhookDelivery]:
    """Replaces each delivery by the newer state of the same delivery, if there is one."""
    return [newer.get(item.id, item) if item.pending else item for item in shown]


def record_attempt(
    delivery: WebhookDelivery,
    outcome: DeliveryOutcome,
    now: datetime,
    delays: Sequence[timedelta] = RETRY_DELAYS,
) -> WebhookDelivery:
    """Returns the delivery after one more attempt.

    Its times are cut to what a status keeps. Otherwise the delivery in memory differs from the stored one, and each
    reconcile writes the status again.
    """
    ended_at = cut_to_milliseconds(now)
    attempts = max(delivery.attempts, 0) + 1
    state = DeliveryState.PENDING
    if outcome.error is None:
        state = DeliveryState.DELIVERED
    elif outcome.final or attempts > len(delays):
        state = DeliveryState.FAILED
    next_attempt = ended_at + delays[attempts - 1] if state is DeliveryState.PENDING else None
    return delivery.model_copy(
        update={
            "state": state,
            "attempts": attempts,
            "last_attempt_at": ended_at,
            "next_attempt_at": next_attempt,
            "error": outcome.error,
        }
    )


def choose_dropped(stored: Mapping[str, OutboxEntry], added: Sequence[OutboxEntry]) -> list[str]:
    """Returns the IDs of stored entries that must go, so that the outbox stays within its limits: the oldest ones.

    A Project loses entries of its own first, so that one Project cannot displace the entries of others.
    """
    entries = {**stored, **{entry.delivery.id: entry for entry in added}}
    oldest = sorted(entries, key=lambda id_: entries[id_].delivery.occurred_at)
    dropped: list[str] = []

    def count(project: str) -> int:
        return sum(item.project == project for id_, item in entries.items() if id_ not in dropped)

    for project in {entry.project for entry in entries.values()}:
        own = [id_ for id_ in oldest if entries[id_].project == project]
        dropped += own[: max(0, len(own) - OUTBOX_PER_PROJECT)]
    sizes = {id_: len(entry.model_dump_json(by_alias=True).encode()) for id_, entry in entries.items()}
    while sum(size for id_, size in sizes.items() if id_ not in dropped) > OUTBOX_BYTES:
        largest = max({entry.project for entry in entries.values()}, key=count)
        dropped.append(next(id_ for id_ in oldest if id_ not in dropped and entries[id_].project == largest))
    return dropped


def show_webhooks(
    observed: ObservedProject, decision: Decision[ProjectStatus], now: datetime
) -> Decision[ProjectStatus]:
    """Adds the condition WebhooksDelivered, which shows the last error of each webhook of the Project.

    After a restart, the operator keeps the condition until it has sent an event.
    """
    item, status = observed.object, decision.status
    names = [webhook.name for webhook in item.spec.webhooks] if item.spec is not None else []
    results = {name: error for name, error in observed.webhook_results.items() if name in names}
    others = remove_condition(status, WEBHOOKS_DELIVERED)
    shown = [condition for condition in item.status.conditions if condition.type == WEBHOOKS_DELIVERED]
    if results:
        errors = [f"Webhook {name}: {error}" for name, error in results.items() if error is not None]
        failed = TypedCondition(WEBHOOKS_DELIVERED, ConditionStatus.FALSE, Reason.WEBHOOK_FAILED, "; ".join(errors))
        delivered = TypedCondition(
            WEBHOOKS_DELIVERED, ConditionStatus.TRUE, Reason.DELIVERED, "The receivers have accepted the last events."
        )
        previous = others.model_copy(update={"conditions": [*others.conditions, *shown]})
        return replace(decision, status=put_condition(previous, failed if errors else delivered, now))
    kept = shown if names and not observed.webhook_results else []  # the results are of webhooks that are removed
    conditions = [*others.conditions, *kept]
    return replace(decision, status=others.model_copy(update={"conditions": conditions}))

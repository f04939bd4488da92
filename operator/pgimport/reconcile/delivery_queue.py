"""Sends events to webhooks in threads of their own, so that neither a reconcile nor a deletion waits for a receiver.

The status of an object, or the outbox, holds each delivery that is pending. This queue holds them in memory, with
their bodies, and remembers the outcome until it is stored.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgimport.decide.webhooks import PENDING_KEPT, RETRY_DELAYS, record_attempt
from pgimport.model.resources import ResourceKey
from pgimport.model.webhooks import DeliveryOutcome, WebhookDelivery

logger = logging.getLogger(__name__)
PER_WEBHOOK = 2  # requests at the same time
ALL_WEBHOOKS = 128
BURST_SECONDS = 0.05  # in which changes of the queue cause one look at it: it can be long
LONGEST_WAIT_SECONDS = 3600.0  # a status can name any time, and a wait of centuries raises OverflowError


@dataclass(slots=True, eq=False)
class QueuedDelivery:
    """A delivery that is pending, or whose outcome is not stored yet."""

    key: ResourceKey
    uid: str
    project: str
    object_id: str  # as in the HTTP API, for messages
    delivery: WebhookDelivery
    body: bytes
    in_outbox: bool = False  # the object is gone, or will be
    busy: bool = False
    replaced: bool = False  # the status no longer shows it, but its request runs

    @property
    def webhook(self) -> tuple[str, str]:
        """Project and name of the webhook."""
        return self.project, self.delivery.webhook

    @property
    def due_at(self) -> datetime:
        return self.delivery.next_attempt_at or self.delivery.occurred_at


Send = Callable[[QueuedDelivery], DeliveryOutcome]
Report = Callable[[QueuedDelivery, DeliveryOutcome, bool], None]  # with whether the webhook's last result changed


def _now() -> datetime:
    return datetime.now(UTC)


class DeliveryQueue:
    """Queued deliveries by ID; safe to share between threads."""

    def __init__(self, now: Callable[[], datetime] = _now, delays: Sequence[timedelta] = RETRY_DELAYS) -> None:
        self._now, self._delays = now, delays
        self._items: dict[str, QueuedDelivery] = {}
        self._by_key: dict[ResourceKey, set[str]] = {}
        self._results: dict[str, dict[str, str | None]] = {}  # by Project and webhook
        self._changed = threading.Condition()
        self._stopping = False

    def start(self, send: Send, report: Report) -> None:
        """Starts to send what is due. `report` is called in the same thread after each attempt."""
        thread = threading.Thread(target=self._run, args=(send, report), name="webhooks", daemon=True)
        thread.start()

    def stop(self) -> None:
        """Begins no further request. Those that run may be repeated by the next operator process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def put(self, items: Sequence[QueuedDelivery]) -> None:
        """Queues deliveries. The body of one that is queued already is replaced; its attempts are kept."""
        with self._changed:
            for item in items[:PENDING_KEPT]:
                known = self._items.get(item.delivery.id)
                if known is not None:
                    if (known.key, known.uid) == (item.key, item.uid):  # a tenant may write any ID into a status
                        known.body, known.in_outbox = item.body, known.in_outbox or item.in_outbox
                        known.replaced = False
                else:
                    self._items[item.delivery.id] = item
                    self._by_key.setdefault(item.key, set()).add(item.delivery.id)
            self._changed.notify_all()

    def find_newest(self, key: ResourceKey) -> Mapping[str, WebhookDelivery]:
        """Returns the newest states of an object's deliveries by ID."""
        with self._changed:
            return {id_: self._items[id_].delivery for id_ in self._by_key.get(key, ())}

    def keep_pending(self, key: ResourceKey, shown: Sequence[WebhookDelivery]) -> None:
        """Forgets the deliveries of an object that its status does not show as pending.

        One whose request runs counts as running until it ends.
        """
        pending = {item.id for item in shown if item.pending}
        with self._changed:
            for id_ in [*self._by_key.get(key, ())]:
                item = self._items[id_]
                if id_ in pending or item.in_outbox:
                    continue
                if item.busy:
                    item.replaced = True
                else:
                    self._remove(id_)

    def leave_object(self, key: ResourceKey, uid: str | None) -> list[QueuedDelivery]:
        """Marks the pending deliveries of earlier objects with this key, whose status is gone, and returns them.

        `uid`: of the object that exists now. Those that have ended are forgotten.
        """
        with self._changed:
            left = [self._items[id_] for id_ in self._by_key.get(key, ()) if self._items[id_].uid != uid]
            left = [item for item in left if not item.in_outbox and not item.replaced]
            for item in left:
                item.in_outbox = True
                if not item.delivery.pending:
                    self._remove(item.delivery.id)
            return [item for item in left if item.delivery.pending]

    def find_results(self, project: str) -> Mapping[str, str | None]:
        """Returns the error of the last request to each webhook of a Project, or None if it was accepted."""
        with self._changed:
            return dict(self._results.get(project, {}))

    def _remember_result(self, item: QueuedDelivery, outcome: DeliveryOutcome) -> bool:
        """Returns whether the last result of the webhook was another one, or none."""
        results, webhook = self._results.setdefault(item.project, {}), item.delivery.webhook
        changed = webhook not in results or results[webhook] != outcome.error
        results[webhook] = outcome.error
        return changed

    def _remove(self, id_: str) -> None:
        item = self._items.pop(id_)
        ids = self._by_key[item.key]
        ids.discard(id_)
        if not ids:
            del self._by_key[item.key]

    def _run(self, send: Send, report: Report) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, BURST_SECONDS):
                    return
                due, wait = self._choose_due()
                if not due:
                    self._changed.wait(wait)
                    continue
                for item in due:
                    item.busy = True
            for item in due:
                name = f"webhook-{item.project}"
                threading.Thread(target=self._attempt, args=(item, send, report), name=name, daemon=True).start()

    def _choose_due(self) -> tuple[list[QueuedDelivery], float]:
        """Returns what may be sent now, and the seconds until the next look.

        Projects with few running requests come first, and then the oldest deliveries.
        """
        now, wait = self._now(), LONGEST_WAIT_SECONDS
        webhooks = Counter(item.webhook for item in self._items.values() if item.busy)
        projects = Counter(item.project for item in self._items.values() if item.busy)
        due: list[QueuedDelivery] = []
        for item in self._items.values():
            if item.busy or not item.delivery.pending or webhooks[item.webhook] >= PER_WEBHOOK:
                continue
            seconds = (item.due_at - now).total_seconds()
            if seconds <= 0:
                due.append(item)
            else:
                wait = min(wait, seconds)
        chosen: list[QueuedDelivery] = []
        for item in sorted(due, key=lambda item: (projects[item.project], item.due_at)):
            if webhooks[item.webhook] < PER_WEBHOOK and webhooks.total() < ALL_WEBHOOKS:
                webhooks[item.webhook] += 1
                chosen.append(item)
        return chosen, wait

    def _attempt(self, item: QueuedDelivery, send: Send, report: Report) -> None:
        try:
            outcome = send(item)
        except Exception as error:
            logger.exception("webhook %s of Project %s failed", item.delivery.webhook, item.project)
            outcome = DeliveryOutcome(f"the operator failed: {type(error).__name__}")
        with self._changed:
            item.delivery = record_attempt(item.delivery, outcome, self._now(), self._delays)
            item.busy = False
            changed = not outcome.removed and self._remember_result(item, outcome)
            if item.replaced or (item.in_outbox and not item.delivery.pending):
                self._remove(item.delivery.id)
            self._changed.notify_all()
        try:
            report(item, outcome, changed)
        except Exception:
            logger.exception("webhook %s of Project %s: the outcome is not stored", item.delivery.webhook, item.project)

"""The queue of deliveries: it repeats, bounds what runs at the same time, and keeps objects apart."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest
from tests.support.samples import NOW

from pgimport.model.names import IMPORTS
from pgimport.model.resources import ResourceKey
from pgimport.model.webhooks import DeliveryOutcome, DeliveryState, WebhookDelivery, WebhookEvent
from pgimport.reconcile.delivery_queue import PER_WEBHOOK, DeliveryQueue, QueuedDelivery

KEY = ResourceKey(IMPORTS, "shop", "orders")


def a_queued(id_: str, project: str = "shop", key: ResourceKey = KEY, uid: str = "uid") -> QueuedDelivery:
    delivery = WebhookDelivery(id=id_, webhook="ci", event=WebhookEvent.JOB_COMPLETED, occurred_at=NOW)
    return QueuedDelivery(key, uid, project, f"{project}.orders", delivery, b"{}")


@pytest.fixture
def queue() -> Iterator[DeliveryQueue]:
    queue = DeliveryQueue(delays=[timedelta(0)] * 5)
    yield queue
    queue.stop()


def test_a_delivery_is_repeated_until_it_is_accepted(queue: DeliveryQueue) -> None:
    outcomes = [DeliveryOutcome("down"), DeliveryOutcome("down"), DeliveryOutcome()]
    reports: SimpleQueue[tuple[str | None, bool]] = SimpleQueue()
    queue.put([a_queued("1")])
    queue.start(
        lambda item: outcomes[item.delivery.attempts],
        lambda item, outcome, changed: reports.put((outcome.error, changed)),
    )
    assert [reports.get(timeout=30) for _ in range(3)] == [("down", True), ("down", False), (None, True)]
    assert queue.find_newest(KEY)["1"].state is DeliveryState.DELIVERED
    assert queue.find_results("shop") == {"ci": None}


def test_an_outcome_is_kept_until_the_status_shows_it(queue: DeliveryQueue) -> None:
    reported = threading.Event()
    queue.put([a_queued("1")])
    queue.start(lambda item: DeliveryOutcome(), lambda *_: reported.set())
    assert reported.wait(30)
    delivered = queue.find_newest(KEY)["1"]
    queue.keep_pending(KEY, [delivered.model_copy(update={"state": DeliveryState.PENDING})])
    assert queue.find_newest(KEY) == {"1": delivered}
    queue.keep_pending(KEY, [delivered])
    assert queue.find_newest(KEY) == {}


@pytest.mark.isolation
def test_names_of_webhooks_that_do_not_exist_are_not_remembered(queue: DeliveryQueue) -> None:
    """A tenant who may write a status could write any name there."""
    reports: SimpleQueue[bool] = SimpleQueue()
    queue.put([a_queued("1")])
    queue.start(
        lambda item: DeliveryOutcome("no such webhook", final=True, removed=True),
        lambda item, outcome, changed: reports.put(changed),
    )
    assert reports.get(timeout=30) is False
    assert queue.find_results("shop") == {}
    assert queue.find_newest(KEY)["1"].state is DeliveryState.FAILED


def test_an_unexpected_exception_is_an_attempt_that_failed(queue: DeliveryQueue) -> None:
    errors: SimpleQueue[str | None] = SimpleQueue()

    def send(item: QueuedDelivery) -> DeliveryOutcome:
        if item.delivery.attempts == 0:
            raise RuntimeError("https://hooks.example.com/secret")
        return DeliveryOutcome()

    queue.put([a_queued("1")])
    queue.start(send, lambda item, outcome, changed: errors.put(outcome.error))
    assert [errors.get(timeout=30) for _ in range(2)] == ["the operator failed: RuntimeError", None]


@pytest.mark.isolation
@pytest.mark.parametrize(("project", "webhook"), [("bank", "ci"), ("shop", "chat")])
def test_a_receiver_that_hangs_delays_no_other_one(queue: DeliveryQueue, project: str, webhook: str) -> None:
    release, sent = threading.Event(), threading.Event()
    running: SimpleQueue[str] = SimpleQueue()

    def send(item: QueuedDelivery) -> DeliveryOutcome:
        if item.webhook == (project, webhook):
            sent.set()
            return DeliveryOutcome()
        running.put(item.delivery.id)
        release.wait()
        return DeliveryOutcome()

    queue.put([a_queued(str(number), key=ResourceKey(IMPORTS, "shop", str(number))) for number in range(20)])
    queue.start(send, lambda *_: None)
    for _ in range(PER_WEBHOOK):
        running.get(timeout=30)
    other = a_queued("other", project, ResourceKey(IMPORTS, project, "orders"))
    other.delivery = other.delivery.model_copy(update={"webhook": webhook})
    queue.put([other])
    try:
        assert sent.wait(30)
        assert running.empty()
    finally:
        release.set()


@pytest.mark.isolation
def test_an_id_of_another_object_changes_nothing(queue: DeliveryQueue) -> None:
    """A tenant who may write a status could copy an ID from the status of another object."""
    queue.put([a_queued("1")])
    forged = a_queued("1", "bank", ResourceKey(IMPORTS, "bank", "forged"), "other-uid")
    forged.body = b"forged"
    queue.put([forged])
    queue.keep_pending(forged.key, [forged.delivery.model_copy(update={"state": DeliveryState.DELIVERED})])
    (left,) = queue.leave_object(KEY, None)
    assert (left.body, left.project) == (b"{}", "shop")


def test_deliveries_of_a_deleted_object_are_left_once_and_those_of_its_successor_stay(queue: DeliveryQueue) -> None:
    queue.put([a_queued("old", uid="old-uid"), a_queued("new", uid="new-uid")])
    assert [item.delivery.id for item in queue.leave_object(KEY, "new-uid")] == ["old"]
    assert queue.leave_object(KEY, "new-uid") == []


@pytest.mark.isolation
def test_a_time_that_never_comes_stops_no_other_delivery() -> None:
    """A tenant who may write a status could write any time there."""
    looked, sent = threading.Event(), threading.Event()

    def now() -> datetime:
        looked.set()  # the queue waits before it lets anybody else change it
        return datetime.now(UTC)

    queue = DeliveryQueue(now)
    never = a_queued("never")
    never.delivery = never.delivery.model_copy(update={"next_attempt_at": datetime.max.replace(tzinfo=UTC)})
    queue.put([never])
    queue.start(lambda item: DeliveryOutcome(), lambda item, *_: sent.set())
    try:
        assert looked.wait(30)
        queue.put([a_queued("1", "bank", ResourceKey(IMPORTS, "bank", "orders"))])
        assert sent.wait(30)
    finally:
        queue.stop()


def test_a_delivery_that_the_status_no_longer_shows_ends_with_its_request(queue: DeliveryQueue) -> None:
    """It counts as running until then: a status that changes often must not begin a request each time."""
    running, release, reported = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)
    begun: list[str] = []

    def send(item: QueuedDelivery) -> DeliveryOutcome:
        begun.append(item.delivery.id)
        running.release()
        release.wait()
        return DeliveryOutcome(None if item.delivery.id == "newest" else "the receiver is down")

    queue.put([a_queued(str(number)) for number in range(PER_WEBHOOK)])
    queue.start(send, lambda *_: reported.release())
    for _ in range(PER_WEBHOOK):
        assert running.acquire(timeout=30)
    queue.put([a_queued("never begun")])
    newest = a_queued("newest")
    queue.keep_pending(KEY, [newest.delivery])
    queue.put([newest])
    assert set(queue.find_newest(KEY)) == {*begun, "newest"}
    assert queue.leave_object(KEY, None) == [newest], "a replaced delivery does not come back from the outbox"
    release.set()
    for _ in range(PER_WEBHOOK + 1):
        assert reported.acquire(timeout=30)
    assert queue.find_newest(KEY) == {}
    assert begun[PER_WEBHOOK:] == ["newest"]

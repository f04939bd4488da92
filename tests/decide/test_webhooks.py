"""Which events a change of a status causes, when they are tried again, and what the outbox keeps."""

from datetime import timedelta

import pytest
from tests.support.samples import (
    BORN,
    NOW,
    a_policy,
    a_preview,
    a_project_spec,
    a_ready_status,
    a_running_status,
    an_import,
    an_import_spec,
    observed_project,
)

from pgimport.decide.projects import decide_project
from pgimport.decide.webhooks import (
    ENDED_KEPT,
    OUTBOX_BYTES,
    OUTBOX_PER_PROJECT,
    RETRY_DELAYS,
    WEBHOOKS_DELIVERED,
    add_deliveries,
    choose_dropped,
    find_events,
    merge_deliveries,
    record_attempt,
)
from pgimport.model.names import LABEL_EPHEMERAL
from pgimport.model.project_status import ProjectStatus
from pgimport.model.status import Condition, ImportState, ImportStatus, PreviewState, PreviewStatus, find_condition
from pgimport.model.webhooks import DeliveryOutcome, DeliveryState, OutboxEntry, Webhook, WebhookDelivery, WebhookEvent

REFUSED = DeliveryOutcome("the receiver hooks.example.com answered 500")


def a_webhook(name: str = "ci", **changes: object) -> Webhook:
    given = {"name": name, "url": "https://hooks.example.com/x", "secretRef": {"name": "hooks", "key": "key"}}
    return Webhook.model_validate(given | changes)


def a_delivery(id_: str = "1", **changes: object) -> WebhookDelivery:
    given = {"id": id_, "webhook": "ci", "event": "job.completed", "occurredAt": NOW}
    return WebhookDelivery.model_validate(given | changes)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (ImportState.RUNNING, ImportState.COMPLETED, ["job.completed", "import.completed"]),
        (ImportState.RUNNING, ImportState.FAILED, ["job.failed"]),
        (ImportState.PENDING, ImportState.CANCELLED, ["job.failed"]),
        (None, ImportState.FAILED, ["job.failed"]),
        (ImportState.PENDING, ImportState.RUNNING, []),
        (ImportState.COMPLETED, ImportState.COMPLETED, []),
    ],
)
def test_the_end_of_an_import_is_announced_once(
    before: ImportState | None, after: ImportState, events: list[str]
) -> None:
    item = an_import(status=a_running_status(state=before))
    assert list(find_events(item, ImportStatus(state=after))) == events


def test_a_dry_run_ends_a_job_and_imports_nothing() -> None:
    item = an_import(an_import_spec(dryRun=True), a_running_status())
    assert find_events(item, ImportStatus(state=ImportState.COMPLETED)) == (WebhookEvent.JOB_COMPLETED,)


def test_the_import_of_the_preflight_route_is_no_job() -> None:
    item = an_import(status=a_running_status(), labels={LABEL_EPHEMERAL: ""})
    assert find_events(item, ImportStatus(state=ImportState.COMPLETED)) == ()


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (PreviewStatus(), a_ready_status(), ["preview.ready"]),
        (PreviewStatus(state=PreviewState.PENDING), a_ready_status(), ["preview.ready"]),
        (a_ready_status(), a_ready_status(reset_at=NOW), ["preview.ready"]),
        (a_ready_status(), a_ready_status(data_as_of=NOW), []),
        (a_ready_status(), PreviewStatus(state=PreviewState.EXPIRED), ["preview.deleted"]),
        (PreviewStatus(state=PreviewState.EXPIRED), PreviewStatus(state=PreviewState.EXPIRED), []),
        (PreviewStatus(state=PreviewState.EXPIRED), a_ready_status(), ["preview.ready"]),
        (PreviewStatus(), PreviewStatus(state=PreviewState.FAILED), []),
    ],
)
def test_a_preview_is_announced_when_it_is_ready_and_when_its_database_is_dropped(
    before: PreviewStatus, after: PreviewStatus, events: list[str]
) -> None:
    assert list(find_events(a_preview(status=before), after)) == events


def test_each_webhook_gets_the_events_that_it_wants() -> None:
    webhooks = [a_webhook("all"), a_webhook("ends", events=["job.failed"]), a_webhook("previews", events=[])]
    added = add_deliveries([], [WebhookEvent.JOB_COMPLETED], webhooks, "uid", NOW)
    assert [item.webhook for item in added] == ["all", "previews"]
    assert len({item.id for item in added}) == 2
    assert added == add_deliveries([], [WebhookEvent.JOB_COMPLETED], webhooks, "uid", NOW), "the IDs are derived"


def test_a_later_event_replaces_a_pending_one_of_its_kind() -> None:
    """The request with the older body may run already, and the receiver skips an ID that it knows."""
    first = add_deliveries([], [WebhookEvent.PREVIEW_READY], [a_webhook()], "uid", BORN)
    (later,) = add_deliveries(first, [WebhookEvent.PREVIEW_READY], [a_webhook()], "uid", NOW)
    assert (later.occurred_at, later.id != first[0].id) == (NOW, True)
    deleted = add_deliveries(first, [WebhookEvent.PREVIEW_DELETED], [a_webhook()], "uid", NOW)
    assert [item.event for item in deleted] == ["preview.ready", "preview.deleted"]
    delivered = [record_attempt(first[0], DeliveryOutcome(), NOW)]
    assert len(add_deliveries(delivered, [WebhookEvent.PREVIEW_READY], [a_webhook()], "uid", NOW)) == 2


def test_few_ended_deliveries_are_kept_and_all_pending_ones() -> None:
    ended = [a_delivery(str(number), state="delivered") for number in range(30)]
    pending = [a_delivery("pending")]
    kept = add_deliveries([*pending, *ended], [], [], "uid", NOW)
    assert [item.id for item in kept] == [*(str(number) for number in range(30 - ENDED_KEPT, 30)), "pending"]


def test_a_delivery_is_repeated_with_growing_pauses_for_a_day() -> None:
    delivery, pauses = a_delivery(), []
    while delivery.pending:
        delivery = record_attempt(delivery, REFUSED, NOW)
        if delivery.next_attempt_at is not None:
            pauses.append(delivery.next_attempt_at - NOW)
    assert pauses == sorted(pauses)
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=30)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, len(RETRY_DELAYS) + 1)
    assert delivery.error == REFUSED.error


def test_a_delivery_in_memory_equals_the_one_in_the_status() -> None:
    """Else each reconcile writes the status, which causes the next reconcile, as long as a receiver is down."""
    now = NOW.replace(microsecond=123456)
    (new,) = add_deliveries([], [WebhookEvent.PREVIEW_READY], [a_webhook()], "uid", now)
    for delivery in (new, record_attempt(new, REFUSED, now), record_attempt(new, DeliveryOutcome(), now)):
        assert WebhookDelivery.model_validate_json(delivery.model_dump_json(by_alias=True)) == delivery


def test_an_accepted_event_and_a_receiver_that_is_gone_end_a_delivery() -> None:
    delivered = record_attempt(record_attempt(a_delivery(), REFUSED, NOW), DeliveryOutcome(), NOW)
    assert (delivered.state, delivered.attempts, delivered.error) == (DeliveryState.DELIVERED, 2, None)
    gone = record_attempt(a_delivery(), DeliveryOutcome("gone", final=True), NOW)
    assert (gone.state, gone.next_attempt_at, gone.error) == (DeliveryState.FAILED, None, "gone")


def test_a_number_of_attempts_that_a_tenant_wrote_does_no_harm() -> None:
    assert record_attempt(a_delivery(attempts=-1000), REFUSED, NOW).attempts == 1
    assert record_attempt(a_delivery(attempts=1000), REFUSED, NOW).state is DeliveryState.FAILED


def test_an_ended_delivery_in_the_status_never_changes() -> None:
    ended, newer = a_delivery(state="delivered"), a_delivery(attempts=3)
    assert merge_deliveries([ended], {"1": newer}) == [ended]
    assert merge_deliveries([a_delivery()], {"1": newer}) == [newer]


def an_entry(id_: str, project: str = "shop", minutes: int = 0, body: str = "{}") -> OutboxEntry:
    delivery = a_delivery(id_, occurredAt=NOW + timedelta(minutes=minutes))
    return OutboxEntry(project=project, object_id=f"{project}.pr", delivery=delivery, body=body)


@pytest.mark.isolation
def test_a_project_with_many_deletions_displaces_only_its_own_entries() -> None:
    stored = {"other": an_entry("other", "bank", -60)}
    stored |= {str(number): an_entry(str(number), minutes=number) for number in range(OUTBOX_PER_PROJECT)}
    assert choose_dropped(stored, [an_entry("new", minutes=99)]) == ["0"]
    assert choose_dropped(stored, [an_entry("new", "bank", minutes=99)]) == []


@pytest.mark.parametrize("large", ["x" * (OUTBOX_BYTES // 3), "я" * (OUTBOX_BYTES // 6)], ids=["ASCII", "Cyrillic"])
def test_the_outbox_stays_below_the_limit_of_a_config_map(large: str) -> None:
    stored = {name: an_entry(name, minutes=number, body=large) for number, name in enumerate("ab")}
    assert choose_dropped(stored, [an_entry("c", minutes=9, body=large)]) == ["a"]


WEBHOOKS = [{"name": "ci", "url": "https://hooks.example.com/x", "secretRef": {"name": "hooks", "key": "key"}}]


def decide_condition(results: dict[str, str | None], status: ProjectStatus | None = None) -> Condition | None:
    observed = observed_project(a_project_spec(webhooks=WEBHOOKS), status, webhook_results=results)
    return find_condition(decide_project(observed, NOW, a_policy()).status.conditions, WEBHOOKS_DELIVERED)


def test_the_project_shows_the_last_error_until_an_event_is_accepted() -> None:
    assert decide_condition({}) is None
    failed = decide_condition({"ci": "the receiver answered 500", "removed": "no longer of interest"})
    assert failed is not None
    assert (failed.status, failed.reason) == ("False", "WebhookFailed")
    assert failed.message == "Webhook ci: the receiver answered 500"
    restarted = ProjectStatus(conditions=[failed])
    assert decide_condition({}, restarted) == failed, "a restart does not hide it"
    delivered = decide_condition({"ci": None}, restarted)
    assert delivered is not None
    assert (delivered.status, delivered.reason) == ("True", "Delivered")


def test_the_condition_of_two_webhooks_keeps_their_errors_apart() -> None:
    both = [*WEBHOOKS, WEBHOOKS[0] | {"name": "chat"}]
    observed = observed_project(a_project_spec(webhooks=both), webhook_results={"ci": "no answer", "chat": "down"})
    condition = find_condition(decide_project(observed, NOW, a_policy()).status.conditions, WEBHOOKS_DELIVERED)
    assert condition is not None
    assert condition.message == "Webhook ci: no answer; Webhook chat: down"


def test_the_error_of_a_webhook_goes_with_it() -> None:
    failed = decide_condition({"ci": "the receiver answered 500"})
    assert failed is not None
    assert decide_condition({"removed": "the receiver answered 500"}, ProjectStatus(conditions=[failed])) is None


def test_a_project_without_webhooks_shows_no_condition_of_them() -> None:
    failed = decide_condition({"ci": "the receiver answered 500"})
    assert failed is not None
    observed = observed_project(a_project_spec(), ProjectStatus(conditions=[failed]), webhook_results={"ci": "error"})
    decided = decide_project(observed, NOW, a_policy()).status
    assert find_condition(decided.conditions, WEBHOOKS_DELIVERED) is None

"""PreviewDatabases: creation, reset, expiry and deletion."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.support.samples import (
    BORN,
    DATABASE,
    NOW,
    PREVIEW_UID,
    a_meta,
    a_policy,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    observed_preview,
)

from pgimport.decide.conditions import is_warning, ready_reason
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    ClaimServer,
    Decision,
    DropPreview,
    EnsurePreview,
    SetFinalizer,
)
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.previews import decide_preview, loses_database
from pgimport.model.names import FINALIZER_PREVIEW, owner_role_name
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_time
from pgimport.model.status import PreviewState, PreviewStatus

POLICY = a_policy()
NEW = PreviewStatus(observed_generation=-1)
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
CLAIMED = a_ready_status(active_import="import-uid")
RESET = a_preview_spec(resetAt="2026-01-01T12:05:00Z")


def decide(observed: ObservedPreview, now: object = NOW) -> Decision[PreviewStatus]:
    return decide_preview(observed, now, POLICY)  # type: ignore[arg-type]


def reason(decision: Decision[PreviewStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


def test_the_finalizer_is_written_before_anything_is_created() -> None:
    decision = decide(observed_preview(status=NEW, meta={"finalizers": ()}))
    assert decision.actions == (SetFinalizer(True),)
    assert decision.status.state is PreviewState.PENDING
    assert decision.status.database is None


def test_a_preview_with_its_finalizer_gets_its_database() -> None:
    decision = decide(observed_preview(status=NEW))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    shown = decision.status
    assert (shown.state, reason(decision)) == (PreviewState.READY, Reason.READY)
    assert (shown.database, shown.role, shown.connection_secret) == (
        DATABASE,
        owner_role_name(DATABASE),
        "pr-42-connection",
    )
    assert shown.expires_at == BORN + DAY
    assert shown.observed_generation == 1


def test_a_ready_preview_is_not_changed_until_it_expires() -> None:
    decision = decide(observed_preview(), BORN + DAY - timedelta(minutes=30))
    assert (decision.actions, decision.requeue_after) == ((), timedelta(minutes=30))
    assert decision.status.state is PreviewState.READY


def test_an_expiry_waits_until_the_project_can_be_read() -> None:
    """After an upgrade, a Project may be ready and unreadable for a moment. Before, the preview became expired, and its
    database stayed.
    """
    decision = decide(observed_preview(project=replace(a_project(), spec=None)), BORN + 2 * DAY)
    assert decision.actions == ()
    assert (decision.status.state, reason(decision)) == (PreviewState.READY, Reason.PROJECT_NOT_READY)


def test_a_deleted_connection_secret_is_created_again_and_the_database_is_kept() -> None:
    assert decide(observed_preview(secret_exists=False)).actions == (ClaimServer(), EnsurePreview(recreate=False))


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(observed_preview(secret_exists=False), id="a ready preview"),
        pytest.param(observed_preview(RESET, secret_exists=False, database_oid=7), id="a reset"),
        pytest.param(
            observed_preview(status=a_ready_status(state=PreviewState.PENDING), secret_exists=False),
            id="a preview whose database is gone, too",
        ),
    ],
)
def test_a_new_connection_secret_is_announced(observed: ObservedPreview) -> None:
    event = decide(observed).event
    assert event is not None
    assert (event.reason, is_warning(event.reason, stalled=False)) == (Reason.CONNECTION_REPLACED, True)
    assert "Secret pr-42-connection" in event.message
    assert "new password" in event.message


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(observed_preview(status=NEW, secret_exists=False), id="a new preview"),
        pytest.param(observed_preview(RESET, database_oid=7), id="a reset"),
        pytest.param(observed_preview(status=CLAIMED), id="the claim of an import that is gone"),
    ],
)
def test_no_connection_secret_is_announced_that_was_not_replaced(observed: ObservedPreview) -> None:
    decision = decide(observed)
    assert decision.actions
    assert decision.event is None


def test_a_database_that_is_gone_is_shown_and_then_created_again() -> None:
    """Before, the preview stayed ready without a database."""
    gone = decide(observed_preview(status=a_ready_status(data_as_of=BORN), database_oid=0))
    assert gone.status.data_as_of is None
    assert (gone.actions, gone.requeue_after, gone.status.state) == ((), IMMEDIATELY, PreviewState.PENDING)
    assert (reason(gone), is_warning(reason(gone), stalled=False)) == (Reason.DATABASE_GONE, True)
    assert f"Database {DATABASE} no longer exists" in gone.message
    assert "its content is lost" in gone.message
    again = decide(observed_preview(status=gone.status))
    assert again.actions == (ClaimServer(), EnsurePreview(recreate=False))
    assert (again.status.state, reason(again), again.event) == (PreviewState.READY, Reason.READY, None)
    later = decide(observed_preview(status=again.status))
    assert (later.actions, later.message) == ((), again.message)
    assert f"gone from the target server at {format_time(NOW)}" in later.message


def test_a_database_that_exists_is_kept() -> None:
    assert decide(observed_preview(database_oid=7)).actions == ()


def test_a_reset_and_an_expiry_forget_that_the_database_was_gone() -> None:
    lost = a_ready_status(database_lost_at=BORN)
    assert decide(observed_preview(RESET, lost, database_oid=7)).status.database_lost_at is None
    assert decide(observed_preview(RESET, database_oid=0)).actions == (ClaimServer(), EnsurePreview(True, 0))
    assert decide(observed_preview(status=lost, database_oid=7), BORN + DAY).status.database_lost_at is None


SHORT = a_project(a_project_spec(limits={"maxPreviews": 1}))


@pytest.mark.parametrize(
    ("observed", "expected", "text"),
    [
        pytest.param(
            observed_preview(status=NEW, meta={"namespace": "other"}),
            Reason.PROJECT_MISMATCH,
            "uses namespace shop, not other",
            id="a namespace that is not the project's",
        ),
        pytest.param(
            observed_preview(status=NEW, project=SHORT, position=2),
            Reason.LIMIT_REACHED,
            "may have 1 preview (limits.maxPreviews)",
            id="the limit is reached",
        ),
        pytest.param(
            observed_preview(object=PreviewObject(meta=a_meta("x"), spec=None, spec_error="spec.ttl: too long")),
            Reason.INVALID_SPEC,
            "spec.ttl: too long",
            id="a spec that cannot be read",
        ),
    ],
)
def test_a_preview_that_cannot_be_served_fails_with_its_reason_and_creates_nothing(
    observed: ObservedPreview, expected: Reason, text: str
) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (PreviewState.FAILED, expected, ())
    assert text in decision.message


def test_an_expired_preview_stays_expired_when_others_have_taken_its_place() -> None:
    expired = a_ready_status(state=PreviewState.EXPIRED, database=None)
    decision = decide(observed_preview(status=expired, project=SHORT, position=2), BORN + 2 * DAY)
    assert (decision.status.state, reason(decision)) == (PreviewState.EXPIRED, Reason.EXPIRED)
    renewed = a_preview_spec(renewedAt="2026-01-03T12:00:00Z")
    decision = decide(observed_preview(renewed, expired, project=SHORT, position=2), BORN + 2 * DAY + SECOND)
    assert (decision.status.state, reason(decision)) == (PreviewState.FAILED, Reason.LIMIT_REACHED)


def test_a_ready_preview_stays_ready_when_the_limit_is_lowered() -> None:
    assert decide(observed_preview(project=SHORT, position=2)).status.state is PreviewState.READY


@pytest.mark.parametrize("state", [PreviewState.PENDING, PreviewState.FAILED])
def test_a_preview_keeps_its_place_during_a_reset(state: PreviewState) -> None:
    """It has a database. Otherwise this would be left on the server, also after the ttl, until there is a place."""
    status = a_ready_status(state=state)
    assert decide(observed_preview(status=status, project=SHORT, position=2)).status.state is PreviewState.READY
    expired = decide(observed_preview(status=status, project=SHORT, position=2), BORN + DAY)
    assert (expired.status.state, len(expired.actions)) == (PreviewState.EXPIRED, 1)


@pytest.mark.parametrize(
    ("observed", "state", "expected"),
    [
        pytest.param(
            observed_preview(status=NEW, project=None), "pending", Reason.PROJECT_NOT_FOUND, id="a new preview"
        ),
        pytest.param(
            observed_preview(status=NEW, project=a_project(status=ProjectStatus(ready=False))),
            "pending",
            Reason.PROJECT_NOT_READY,
            id="its project is not ready",
        ),
        pytest.param(
            observed_preview(status=NEW, project=a_project(deleting=True), meta={"finalizers": ()}),
            "pending",
            Reason.PROJECT_NOT_READY,
            id="its project is being deleted",
        ),
        pytest.param(
            observed_preview(project=a_project(status=ProjectStatus(ready=False))),
            "ready",
            Reason.PROJECT_NOT_READY,
            id="a ready preview stays ready",
        ),
        pytest.param(
            observed_preview(status=a_ready_status(state=PreviewState.EXPIRED), project=None),
            "expired",
            Reason.PROJECT_NOT_FOUND,
            id="an expired preview stays expired",
        ),
    ],
)
def test_a_preview_waits_for_its_project(observed: ObservedPreview, state: str, expected: Reason) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (state, expected, ())


def test_the_ttl_counts_from_creation() -> None:
    observed = observed_preview(a_preview_spec(ttl="1h"), a_ready_status(clone_import="pr-42-clone-1"))
    assert decide(observed, BORN + timedelta(minutes=59)).actions == ()
    decision = decide(observed, BORN + timedelta(hours=1))
    assert decision.actions == (DropPreview(),)
    assert (decision.status.state, reason(decision)) == (PreviewState.EXPIRED, Reason.EXPIRED)
    # Without the name of its import, a clone that is renewed later needs a new one, whatever state it has until then.
    assert (decision.status.database, decision.status.role, decision.status.clone_import) == (None, None, None)
    assert "Set spec.renewedAt to get a new one: empty or, with mode clone, a new copy." in decision.message


def test_the_ttl_counts_from_the_renewal() -> None:
    observed = observed_preview(a_preview_spec(ttl="1h", renewedAt="2026-01-01T13:00:00Z"))
    decision = decide(observed, BORN + timedelta(minutes=90))
    assert (decision.actions, decision.status.state) == ((), PreviewState.READY)
    assert decision.status.expires_at == BORN + timedelta(hours=2)


def test_a_renewal_in_the_future_keeps_the_last_one() -> None:
    """A renewal for the year 2099 would otherwise keep a database for ever."""
    renewed = decide(observed_preview(a_preview_spec(ttl="1h", renewedAt="2026-01-01T12:05:00Z"))).status
    observed = observed_preview(a_preview_spec(ttl="1h", renewedAt="2099-01-01T00:00:00Z"), renewed)
    decision = decide(observed)
    assert (decision.actions, decision.status.state, reason(decision)) == ((), PreviewState.READY, Reason.INVALID_SPEC)
    assert "spec.renewedAt is 2099-01-01T00:00:00.000Z, which is in the future" in decision.message
    assert decision.status.expires_at == BORN + timedelta(minutes=65)
    assert decide(observed, BORN + timedelta(minutes=65)).status.state is PreviewState.EXPIRED


def test_an_expired_preview_says_that_its_renewal_is_in_the_future() -> None:
    spec = a_preview_spec(renewedAt="2099-01-01T00:00:00Z")
    decision = decide(observed_preview(spec, a_ready_status(state=PreviewState.EXPIRED)), BORN + DAY)
    assert (decision.actions, reason(decision)) == ((), Reason.INVALID_SPEC)


def test_a_clock_that_is_a_minute_ahead_is_no_future() -> None:
    spec = a_preview_spec(renewedAt="2026-01-01T12:01:00Z")
    assert reason(decide(observed_preview(spec), BORN)) == Reason.READY
    assert reason(decide(observed_preview(spec), BORN - SECOND)) == Reason.INVALID_SPEC


def test_an_expiry_waits_for_the_import_that_has_claimed_the_preview() -> None:
    decision = decide(observed_preview(status=CLAIMED, active_import_exists=True), BORN + DAY)
    assert (decision.actions, decision.status.state) == ((), PreviewState.READY)
    assert "The expiry waits for import " in decision.message


def test_the_claim_of_an_import_that_is_gone_does_not_delay_the_expiry() -> None:
    decision = decide(observed_preview(status=CLAIMED, active_import_exists=False, database_oid=100), BORN + DAY)
    assert decision.actions == (DropPreview(100),)
    assert decision.status.active_import is None


def test_a_database_that_a_deleted_import_left_closed_is_opened() -> None:
    decision = decide(observed_preview(status=CLAIMED, active_import_exists=False))
    assert (decision.actions, decision.status.active_import) == ((ClaimServer(), EnsurePreview(recreate=False)), None)
    assert decide(observed_preview(status=decision.status)).actions == ()


@pytest.mark.parametrize(
    ("item", "now", "due"),
    [
        pytest.param(a_preview(), NOW, False, id="ready"),
        pytest.param(a_preview(RESET), NOW, True, id="to be reset"),
        pytest.param(a_preview(RESET, a_ready_status(reset_at=RESET.reset_at)), NOW, False, id="reset before"),
        pytest.param(a_preview(), BORN + DAY, True, id="expired"),
        pytest.param(a_preview(status=a_ready_status(state=PreviewState.EXPIRED)), BORN + DAY, False, id="dropped"),
        pytest.param(a_preview(RESET, NEW), NOW, False, id="never created"),
        pytest.param(a_preview(RESET, deleting=True), NOW, False, id="deleting: whichever database exists is dropped"),
        pytest.param(PreviewObject(meta=a_meta("x"), spec=None), NOW, False, id="a spec that cannot be read"),
    ],
)
def test_the_database_is_observed_before_a_reset_or_an_expiry(item: PreviewObject, now: datetime, due: bool) -> None:
    assert loses_database(item, now) is due


def test_the_database_of_an_expired_preview_is_dropped_once() -> None:
    decision = decide(observed_preview(status=a_ready_status(state=PreviewState.EXPIRED)), BORN + DAY)
    assert (decision.actions, decision.status.state) == ((), PreviewState.EXPIRED)


def test_a_renewal_of_an_expired_preview_creates_an_empty_database() -> None:
    spec = a_preview_spec(renewedAt="2026-01-02T12:00:00Z")
    decision = decide(observed_preview(spec, a_ready_status(state=PreviewState.EXPIRED)), BORN + DAY + SECOND)
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    assert (decision.status.state, decision.status.database) == (PreviewState.READY, DATABASE)


def test_a_reset_recreates_the_database_once() -> None:
    decision = decide(observed_preview(RESET, database_oid=100))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=True, oid=100))
    assert decision.status.reset_at == RESET.reset_at
    assert decide(observed_preview(RESET, decision.status)).actions == ()


@pytest.mark.parametrize(
    ("observed", "now"),
    [
        pytest.param(observed_preview(RESET, a_ready_status(data_as_of=BORN), database_oid=100), NOW, id="reset"),
        pytest.param(
            observed_preview(
                a_preview_spec(renewedAt="2026-01-02T12:00:00Z"),
                a_ready_status(state=PreviewState.EXPIRED, data_as_of=BORN),
            ),
            BORN + DAY + SECOND,
            id="renewed after its expiry",
        ),
    ],
)
def test_an_empty_database_has_no_age(observed: ObservedPreview, now: datetime) -> None:
    assert decide(observed, now).status.data_as_of is None


def test_the_age_of_the_data_stays_while_the_database_does() -> None:
    observed = observed_preview(status=a_ready_status(data_as_of=BORN), secret_exists=False)
    assert decide(observed).status.data_as_of == BORN


def test_a_reset_that_is_requested_before_the_database_exists_drops_nothing() -> None:
    decision = decide(observed_preview(RESET, NEW))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    assert decision.status.reset_at == RESET.reset_at


def test_a_reset_older_than_the_last_one_does_nothing() -> None:
    status = a_ready_status(reset_at=BORN + DAY)
    assert decide(observed_preview(RESET, status)).actions == ()


def test_a_date_with_microseconds_is_carried_out_once() -> None:
    """A status keeps milliseconds. Such a reset was due again in each reconcile, and emptied the database each time."""
    spec = a_preview_spec(resetAt="2026-01-01T12:05:00.123456Z", renewedAt="2026-01-01T12:05:00.123456Z")
    first = decide(observed_preview(spec, database_oid=100))
    stored = PreviewStatus.model_validate(first.status.to_json())
    second = decide(observed_preview(spec, stored))
    assert (second.actions, second.status) == ((), stored)


def test_a_reset_in_the_future_has_no_effect_until_then() -> None:
    later = BORN + timedelta(minutes=30)
    spec = a_preview_spec(resetAt="2026-01-01T12:30:00Z")
    decision = decide(observed_preview(spec), BORN)
    assert (decision.actions, decision.status.reset_at, reason(decision)) == ((), None, Reason.INVALID_SPEC)
    assert decision.requeue_after == timedelta(minutes=30)
    due = decide(observed_preview(spec, decision.status), later)
    assert due.actions == (ClaimServer(), EnsurePreview(recreate=True))


def test_a_new_database_does_not_do_a_reset_of_the_future() -> None:
    decision = decide(observed_preview(a_preview_spec(resetAt="2099-01-01T00:00:00Z"), NEW))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    assert decision.status.reset_at is None


def test_a_reset_waits_for_the_import_that_has_claimed_the_preview() -> None:
    decision = decide(observed_preview(RESET, CLAIMED, active_import_exists=True))
    assert (decision.actions, decision.status.reset_at) == ((), None)
    assert decision.requeue_after == POLICY.waiting_interval
    assert decide(observed_preview(RESET, CLAIMED, active_import_exists=False)).actions == (
        ClaimServer(),
        EnsurePreview(recreate=True),
    )


DELETING = {"deleting": True}


@pytest.mark.parametrize(
    ("observed", "actions"),
    [
        pytest.param(
            observed_preview(meta=DELETING), (DropPreview(), SetFinalizer(False)), id="its database goes first"
        ),
        pytest.param(
            observed_preview(status=CLAIMED, meta=DELETING),
            (DropPreview(), SetFinalizer(False)),
            id="its import is gone",
        ),
        pytest.param(
            observed_preview(status=CLAIMED, active_import_exists=True, meta=DELETING), (), id="its import ends first"
        ),
        pytest.param(
            observed_preview(project=None, meta=DELETING), (SetFinalizer(False),), id="its server is not known any more"
        ),
        pytest.param(observed_preview(meta={"deleting": True, "finalizers": ()}), (), id="nothing of ours is on it"),
        pytest.param(
            observed_preview(a_preview_spec(mode="clone"), NEW, meta=DELETING),
            (DropPreview(), SetFinalizer(False)),
            id="a clone that was never begun goes as well",
        ),
    ],
)
def test_a_deletion_drops_the_database_and_then_the_finalizer(
    observed: ObservedPreview, actions: tuple[Action, ...]
) -> None:
    assert decide(observed).actions == actions


def test_a_deletion_that_waits_is_shown() -> None:
    decision = decide(observed_preview(status=CLAIMED, active_import_exists=True, meta=DELETING))
    assert (decision.status.state, reason(decision)) == (PreviewState.DELETING, Reason.DELETING)


def test_a_recreated_preview_of_the_same_name_has_another_database() -> None:
    later = decide(observed_preview(status=NEW, meta={"uid": "another-uid", "finalizers": (FINALIZER_PREVIEW,)}))
    assert PREVIEW_UID != "another-uid"
    assert later.status.database != DATABASE

"""Objects whose action fails, whose server does not answer, or whose reconcile raises again and again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decide.import_decisions import POLICY, reason
from tests.decide.import_strategies import any_observation, times
from tests.support.samples import (
    BORN,
    NOW,
    POD_UID,
    a_meta,
    a_preview,
    a_project,
    a_ready_status,
    a_running_status,
    a_shadow,
    an_import,
    an_import_spec,
    observed_import,
    observed_preview,
    observed_project,
    observed_running_import,
)

from pgimport.decide.conditions import CLEANED_UP, READY, STALLED, ready_reason
from pgimport.decide.decision import (
    DropAttempt,
    DropOrphanedObjects,
    DropPreview,
    DropReplaced,
    EnsurePreview,
    EnsureRoleBindings,
    PrepareShadow,
    StoreReport,
    Swap,
)
from pgimport.decide.failures import (
    UNOBSERVED_GRACE,
    FailedAction,
    decide_failed_import,
    decide_failed_preview,
    decide_failed_project,
    show_import_failure,
    show_preview_failure,
    show_project_failure,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.status import (
    Condition,
    ImportState,
    ImportStatus,
    PreviewState,
    PreviewStatus,
    find_condition,
)

pytestmark = pytest.mark.isolation

UNREACHABLE = Failure(Reason.SERVER_UNREACHABLE, "the target server pg.internal:5432 cannot be reached")
REFUSED = Failure(Reason.SERVER_REFUSED, "role a cannot be dropped: 1 object in database b")
REPEATED = Failure(Reason.REPEATED_ERROR, "The operator failed 5 times in a row: KeyError.")
ENDED = ImportStatus(state=ImportState.FAILED, completed_at=BORN, error="as it was")


def a_condition(kind: str, status: str, why: Reason, since: datetime = BORN) -> Condition:
    fields = {"type": kind, "status": status, "reason": why.value, "lastTransitionTime": since}
    return Condition.model_validate(fields)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(ImportStatus(), ImportState.PENDING, id="pending"),
        pytest.param(a_running_status(), ImportState.RUNNING, id="running"),
    ],
)
def test_a_server_that_stops_answering_during_an_action_is_shown_and_retried(
    status: ImportStatus, state: ImportState
) -> None:
    failed_action = FailedAction(DropAttempt(POD_UID), UNREACHABLE, refused=False)
    decision = decide_failed_import(observed_import(status=status), failed_action, NOW, POLICY)
    assert (decision.status.state, reason(decision)) == (state, Reason.SERVER_UNREACHABLE)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


@pytest.mark.parametrize("failure", [UNREACHABLE, REFUSED, REPEATED], ids=lambda item: item.reason.value)
def test_a_clean_up_that_fails_is_shown_and_retried_and_the_end_stays(failure: Failure) -> None:
    for refused in (False, True):
        observed = observed_import(status=ENDED)
        failed_action = FailedAction(DropReplaced(POD_UID), failure, refused)
        decision = decide_failed_import(observed, failed_action, NOW, POLICY)
        condition = find_condition(decision.status.conditions, CLEANED_UP)
        assert condition is not None
        assert (condition.reason, failure.message in condition.message) == (failure.reason, True)
        assert (decision.status.state, decision.status.error) == (ImportState.FAILED, "as it was")
        assert decision.requeue_after == POLICY.retry_interval
        again = decide_import(replace(observed, object=replace(observed.object, status=decision.status)), NOW, POLICY)
        assert find_condition(again.status.conditions, CLEANED_UP) is None
        assert again.status.cleaned_up


def test_a_refused_step_ends_the_import() -> None:
    failure = Failure(Reason.TARGET_BUSY, "a prepared transaction holds the target")
    failed_action = FailedAction(Swap(POD_UID), failure, refused=True)
    decision = decide_failed_import(observed_running_import(), failed_action, NOW, POLICY)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, Reason.TARGET_BUSY)
    assert decision.status.error == failure.format_with_hint()


def test_a_refused_clean_up_does_not_end_a_running_import() -> None:
    failed_action = FailedAction(DropAttempt("another-pod"), REFUSED, refused=True)
    decision = decide_failed_import(observed_running_import(), failed_action, NOW, POLICY)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, Reason.SERVER_REFUSED)


LATE = BORN + timedelta(hours=6, minutes=30) + 2 * UNOBSERVED_GRACE
VERIFIED: dict[str, Any] = {"verified": True, "verified_at": BORN}
WAITING: dict[str, Any] = {"state": ImportState.PENDING, "pending_since": BORN}
LAST_STEPS = [
    pytest.param({}, {"cancel": True}, NOW, ImportState.CANCELLED, id="cancel"),
    pytest.param({"state": None}, {"cancel": True}, NOW, ImportState.CANCELLED, id="cancel at first sight"),
    pytest.param({"shadow": a_shadow(**VERIFIED)}, {"cancel": True}, NOW, ImportState.CANCELLED, id="cancel, verified"),
    pytest.param(
        {"shadow": a_shadow(oid=200, **VERIFIED)}, {"cancel": True}, NOW, ImportState.RUNNING, id="cancel in a swap"
    ),
    pytest.param({}, {"timeout": "30s"}, BORN + timedelta(hours=1), ImportState.FAILED, id="deadline"),
    pytest.param({}, {}, NOW, ImportState.RUNNING, id="neither"),
    pytest.param(WAITING, {"pendingTimeout": "30s"}, NOW, ImportState.FAILED, id="the limit of its wait"),
    pytest.param(WAITING, {"pendingTimeout": "1h"}, NOW, ImportState.PENDING, id="a wait within its limit"),
    pytest.param(WAITING, {"pendingTimeout": "30s", "suspend": True}, NOW, ImportState.PENDING, id="it is suspended"),
    pytest.param({"shadow": a_shadow(**VERIFIED)}, {}, LATE, ImportState.FAILED, id="the limit of the swap"),
    pytest.param({"shadow": a_shadow(oid=200, **VERIFIED)}, {}, LATE, ImportState.RUNNING, id="the swap may be done"),
]


@pytest.mark.parametrize(("status", "spec", "now", "state"), LAST_STEPS)
def test_cancel_and_deadline_are_obeyed_though_the_import_cannot_be_observed(
    status: dict[str, Any], spec: dict[str, Any], now: datetime, state: ImportState
) -> None:
    item = an_import(an_import_spec(**spec), a_running_status(**({"started_at": BORN} | status)))
    decision = show_import_failure(item, REPEATED, now, POLICY)
    assert decision.status.state is state
    if not state.terminal:
        assert ready_reason(decision.status.conditions) == Reason.REPEATED_ERROR


@settings(max_examples=60, deadline=None)
@given(any_observation(), times, st.sampled_from([UNREACHABLE, REFUSED, REPEATED]), st.booleans())
def test_law_no_result_of_an_action_leaves_a_status_unchanged(
    observed: ObservedImport, now: datetime, failure: Failure, refused: bool
) -> None:
    """The status shows the failure, or the import has ended. A deleted object needs no status."""
    for action in decide_import(observed, now, POLICY).actions:
        after = decide_failed_import(observed, FailedAction(action, failure, refused), now, POLICY)
        check_failure_is_shown(observed, after.status, action, failure)
        assert after.requeue_after is not None
    shown = show_import_failure(observed.object, failure, now, POLICY)
    check_failure_is_shown(observed, shown.status, None, failure)


@settings(max_examples=60, deadline=None)
@given(any_observation(), times, st.sampled_from([UNREACHABLE, REFUSED, REPEATED]))
def test_law_a_failure_that_comes_again_changes_nothing(
    observed: ObservedImport, now: datetime, failure: Failure
) -> None:
    """A status that changed with each failure would cause an event, and thus another reconcile, without an end."""
    first = show_import_failure(observed.object, failure, now, POLICY).status
    again = show_import_failure(replace(observed.object, status=first), failure, now + timedelta(seconds=1), POLICY)
    assert again.status.terminal or again.status == first
    if first.terminal and observed.object.status.terminal:
        assert again.status == first


def check_failure_is_shown(observed: ObservedImport, status: ImportStatus, action: object, failure: Failure) -> None:
    if observed.object.meta.deleting or isinstance(action, StoreReport):
        return  # a report that is not stored is named in status.reportRef
    if observed.object.status.terminal:
        condition = find_condition(status.conditions, CLEANED_UP)
        assert condition is not None
        assert condition.reason == failure.reason
    elif not status.terminal:
        assert ready_reason(status.conditions) == failure.reason


# --- previews ---

CREATED = a_ready_status(conditions=[a_condition(READY, "True", Reason.READY)])
PREVIEW_ACTIONS = [EnsurePreview(), EnsurePreview(recreate=True), DropPreview()]


@pytest.mark.parametrize("action", PREVIEW_ACTIONS, ids=["create", "reset", "expire or delete"])
@pytest.mark.parametrize("refused", [False, True])
def test_law_a_preview_shows_why_an_action_fails(action: Any, refused: bool) -> None:
    for status in (PreviewStatus(), CREATED):
        observed = observed_preview(status=status)
        decision = decide_failed_preview(observed, FailedAction(action, UNREACHABLE, refused), NOW, POLICY)
        assert ready_reason(decision.status.conditions) == Reason.SERVER_UNREACHABLE
        assert (find_condition(decision.status.conditions, STALLED) is not None) is refused
        assert decision.requeue_after in (POLICY.retry_interval, POLICY.refused_interval)
        assert decision.status.database == status.database


def test_a_preview_that_waits_too_long_is_stalled_and_tried_again() -> None:
    item, now = observed_preview(status=CREATED).object, NOW
    states = []
    for _ in range(4):
        decision = show_preview_failure(item, UNREACHABLE, now, POLICY)
        states.append(find_condition(decision.status.conditions, STALLED) is not None)
        assert decision.requeue_after == POLICY.retry_interval
        item, now = replace(item, status=decision.status), now + POLICY.preview_patience / 2 + timedelta(seconds=1)
    assert states == [False, False, True, True]
    assert item.status.state is PreviewState.READY


def test_a_deletion_that_fails_is_shown() -> None:
    item = PreviewObject(meta=a_meta("debian", deleting=True), spec=a_preview().spec, status=CREATED)
    decision = show_preview_failure(item, UNREACHABLE, NOW, POLICY)
    assert decision.status.state is PreviewState.DELETING


def test_a_preview_names_what_is_wrong_with_its_project() -> None:
    from pgimport.decide.previews import decide_preview

    conditions = [a_condition(READY, "Unknown", Reason.SERVER_UNREACHABLE).model_copy(update={"message": "no answer"})]
    project = a_project(status=ProjectStatus(ready=False, conditions=conditions))
    decision = decide_preview(observed_preview(project=project), NOW, POLICY)
    assert "no answer" in decision.status.conditions[0].message


# --- Projects ---


@pytest.mark.parametrize("refused", [False, True])
def test_law_a_project_shows_why_its_role_bindings_fail(refused: bool) -> None:
    failed_action = FailedAction(EnsureRoleBindings(), REFUSED, refused)
    decision = decide_failed_project(observed_project(), failed_action, NOW, POLICY)
    assert ready_reason(decision.status.conditions) == Reason.SERVER_REFUSED
    assert show_project_failure(observed_project().object, REPEATED, NOW, POLICY).status.conditions


def test_a_sweep_that_fails_does_not_stop_a_project() -> None:
    failed_action = FailedAction(DropOrphanedObjects(), REFUSED, refused=True)
    observed = observed_project(orphaned_objects=("pgimport_1",))
    decision = decide_failed_project(observed, failed_action, NOW, POLICY)
    assert decision.status.ready
    condition = find_condition(decision.status.conditions, CLEANED_UP)
    assert condition is not None
    assert condition.reason == Reason.SERVER_REFUSED
    assert decision.actions == ()
    again = replace(observed, object=replace(observed.object, status=decision.status))
    later = decide_failed_project(again, failed_action, NOW + timedelta(minutes=1), POLICY)
    assert later.status == decision.status, "a status that changes each time would cause reconciles without an end"


def test_every_step_of_an_import_ends_it_when_it_is_refused() -> None:
    from tests.support.samples import a_source

    failed_action = FailedAction(PrepareShadow(POD_UID, a_source()), REFUSED, refused=True)
    assert decide_failed_import(observed_running_import(), failed_action, NOW, POLICY).status.terminal

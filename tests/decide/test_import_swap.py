"""The swap of a verified shadow with its target."""

from datetime import timedelta

import pytest
from tests.decide.import_decisions import POLICY, UNREACHABLE, decide, reason
from tests.support.samples import (
    NOW,
    POD_UID,
    a_finished_pod,
    a_job,
    a_preview,
    a_running_status,
    a_shadow,
    a_swap,
    an_attempt,
    an_import_spec,
    observed_running_import,
)

from pgimport.decide.conditions import READY
from pgimport.decide.decision import OpenTarget, Swap
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.reasons import Reason
from pgimport.model.status import ImportState, ImportStatus, find_condition

VERIFIED = a_running_status(shadow=a_shadow(verified=True), attempt_history=[an_attempt()])
SWAP_BEGUN = a_running_status(shadow=a_shadow(verified=True, oid=200), attempt_history=[an_attempt()])


def verified(status: ImportStatus = VERIFIED, **changes: object) -> ObservedImport:
    spec = changes.pop("spec", None)
    given = {"job": a_job(complete=True), "pods": (a_finished_pod(),), "swap": a_swap(), "target_objects": ()}
    return observed_running_import(spec, status, **(given | changes))  # type: ignore[arg-type]


def test_the_shadows_oid_is_written_before_the_swap_begins() -> None:
    decision = decide(verified())
    assert decision.actions == ()
    assert decision.status.shadow == a_shadow(verified=True, oid=200)
    assert decision.requeue_after == timedelta(0)


def test_a_shadow_whose_oid_is_written_is_swapped_in() -> None:
    decision = decide(verified(SWAP_BEGUN))
    assert decision.actions == (Swap(POD_UID),)
    assert decision.status.state is ImportState.RUNNING


@pytest.mark.parametrize(("verify", "said"), [("counts", True), ("checksums", True), ("none", False)])
def test_only_what_was_compared_is_said_to_be_verified(verify: str, said: bool) -> None:
    swapped = a_swap(target_oid=200, shadow_oid=None)
    decision = decide(verified(SWAP_BEGUN, swap=swapped, spec=an_import_spec(verify=verify)))
    condition = find_condition(decision.status.conditions, READY)
    assert condition is not None
    assert ("imported, verified" in condition.message, "not verified" in condition.message) == (said, not said)


def test_a_target_with_the_shadows_oid_completes_the_import() -> None:
    decision = decide(verified(SWAP_BEGUN, swap=a_swap(target_oid=200, shadow_oid=None)))
    assert (decision.status.state, reason(decision)) == (ImportState.COMPLETED, Reason.COMPLETED)
    assert decision.status.completed_at == NOW
    assert decision.status.progress is not None
    assert decision.status.progress.percent == 100
    assert (decision.status.error, decision.status.retry_classification) == (None, None)
    assert decision.actions == ()


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(verified(SWAP_BEGUN, swap=a_swap(shadow_oid=None)), Reason.RESULT_LOST, id="the shadow is gone"),
        pytest.param(verified(preview=None), Reason.TARGET_GONE, id="the preview is gone"),
        pytest.param(verified(preview=a_preview(deleting=True)), Reason.TARGET_GONE, id="the preview is being deleted"),
        pytest.param(
            verified(target_objects=("table public.late",)),
            Reason.TARGET_NOT_EMPTY,
            id="someone created a table in the target during the copy",
        ),
        pytest.param(
            verified(SWAP_BEGUN, target_objects=("table public.late",)),
            Reason.TARGET_NOT_EMPTY,
            id="someone created a table in the target just before the swap",
        ),
    ],
)
def test_a_swap_that_would_lose_data_fails_the_import(observed: ObservedImport, expected: Reason) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (ImportState.FAILED, expected, ())


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(verified(swap=UNREACHABLE), Reason.SERVER_UNREACHABLE, id="the server does not answer"),
        pytest.param(verified(target_objects=UNREACHABLE), Reason.SERVER_UNREACHABLE, id="the target cannot be read"),
        pytest.param(verified(swap=None, project=None), Reason.PROJECT_NOT_READY, id="the project cannot be read"),
    ],
)
def test_a_verified_shadow_waits_for_its_server_without_a_timeout(observed: ObservedImport, expected: Reason) -> None:
    decision = decide_import(observed, NOW + timedelta(days=7), POLICY)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, expected)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"target_objects": UNREACHABLE}, id="the target cannot be read"),
        pytest.param({"target_objects": None}, id="the target was not read"),
        pytest.param({"swap": a_swap(target_open=False, shadow_oid=None)}, id="the shadow is gone"),
    ],
)
def test_a_target_that_an_interrupted_swap_left_closed_is_opened_first(changes: dict[str, object]) -> None:
    decision = decide(verified(SWAP_BEGUN, **({"swap": a_swap(target_open=False)} | changes)))
    assert (decision.status.state, decision.actions) == (ImportState.RUNNING, (OpenTarget(),))
    assert decision.requeue_after == timedelta(0)


def test_a_cancel_is_obeyed_until_the_swap_begins() -> None:
    decision = decide(verified(spec=an_import_spec(cancel=True)))
    assert (decision.status.state, decision.actions) == (ImportState.CANCELLED, ())


def test_a_cancel_is_too_late_once_the_swap_has_begun() -> None:
    assert decide(verified(SWAP_BEGUN, spec=an_import_spec(cancel=True))).actions == (Swap(POD_UID),)
    swapped = verified(SWAP_BEGUN, spec=an_import_spec(cancel=True), swap=a_swap(target_oid=200, shadow_oid=None))
    assert decide(swapped).status.state is ImportState.COMPLETED


def test_a_suspension_does_not_delay_the_swap_of_a_verified_shadow() -> None:
    assert decide(verified(SWAP_BEGUN, spec=an_import_spec(suspend=True))).actions == (Swap(POD_UID),)


def test_recreate_swaps_whatever_the_target_holds() -> None:
    observed = verified(SWAP_BEGUN, spec=an_import_spec(recreate=True), target_objects=None)
    assert decide(observed).actions == (Swap(POD_UID),)


LONG_AGO = NOW - POLICY.swap_limit - timedelta(minutes=1)
WAITING = a_running_status(shadow=a_shadow(verified=True, verified_at=LONG_AGO), attempt_history=[an_attempt()])
BEGUN = a_running_status(shadow=a_shadow(verified=True, verified_at=LONG_AGO, oid=200), attempt_history=[an_attempt()])


@pytest.mark.isolation
@pytest.mark.parametrize(
    ("status", "changes"),
    [
        pytest.param(WAITING, {"swap": UNREACHABLE}, id="the server does not answer"),
        pytest.param(WAITING, {"swap": None}, id="the Project cannot be read"),
        pytest.param(WAITING, {"target_objects": UNREACHABLE}, id="the connection Secret is missing"),
        pytest.param(BEGUN, {"target_objects": UNREACHABLE}, id="the connection Secret is missing since the first try"),
        pytest.param(BEGUN, {}, id="the swap never succeeds"),
    ],
)
def test_a_verified_copy_that_cannot_be_swapped_in_has_a_limit(
    status: ImportStatus, changes: dict[str, object]
) -> None:
    decision = decide(verified(status, **changes))
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, Reason.TARGET_BUSY)
    assert "not swapped in within 30m" in str(decision.status.error)


@pytest.mark.isolation
def test_a_swap_that_may_be_done_is_not_ended_by_the_clock() -> None:
    decision = decide(verified(BEGUN, swap=UNREACHABLE))
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, Reason.SERVER_UNREACHABLE)
    decision = decide(verified(BEGUN, swap=a_swap(target_oid=200, shadow_oid=None)))
    assert decision.status.state is ImportState.COMPLETED


@pytest.mark.isolation
def test_a_verified_import_is_cancelled_though_its_server_does_not_answer() -> None:
    decision = decide(verified(VERIFIED, spec=an_import_spec(cancel=True), swap=UNREACHABLE))
    assert decision.status.state is ImportState.CANCELLED

"""The swap, and what happens to an import that has ended."""

from datetime import timedelta

import pytest
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    POD_UID,
    a_failed_pod,
    a_finished_pod,
    a_job,
    a_policy,
    a_preview,
    a_project,
    a_ready_status,
    a_running_status,
    a_shadow,
    a_swap,
    an_attempt,
    an_import,
    an_import_spec,
    observed_import,
    observed_running_import,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import (
    Action,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DropAttempt,
    DropReplaced,
    OpenTarget,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
    Swap,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed import ObservedImport
from pgimport.model.names import LABEL_EPHEMERAL
from pgimport.model.observations import ObservedJob, Unreachable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject
from pgimport.model.status import Condition, ConditionStatus, ImportState, ImportStatus

POLICY = a_policy()
AWAY = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached"))
VERIFIED = a_running_status(shadow=a_shadow(verified=True), attempt_history=[an_attempt()])
BEGUN = a_running_status(shadow=a_shadow(verified=True, oid=200), attempt_history=[an_attempt()])
HELD = a_preview(status=a_ready_status(active_import=IMPORT_UID))


def decide(observed: ObservedImport) -> Decision[ImportStatus]:
    return decide_import(observed, NOW, POLICY)


def reason(decision: Decision[ImportStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


def verified(status: ImportStatus = VERIFIED, **changes: object) -> ObservedImport:
    spec = changes.pop("spec", None)
    given = {"job": a_job(complete=True), "pods": (a_finished_pod(),), "swap": a_swap(), "target_objects": ()}
    return observed_running_import(spec, status, **(given | changes))  # type: ignore[arg-type]


def test_the_shadows_oid_is_written_down_before_anything_is_touched() -> None:
    decision = decide(verified())
    assert decision.actions == ()
    assert decision.status.shadow == a_shadow(verified=True, oid=200)
    assert decision.requeue_after == timedelta(0)


def test_then_it_is_swapped_in() -> None:
    decision = decide(verified(BEGUN))
    assert decision.actions == (Swap(POD_UID),)
    assert decision.status.state is ImportState.RUNNING


def test_a_target_with_the_shadows_oid_is_completed() -> None:
    decision = decide(verified(BEGUN, swap=a_swap(target_oid=200, shadow_oid=None, replaced_exists=True)))
    assert (decision.status.state, reason(decision)) == (ImportState.COMPLETED, Reason.COMPLETED)
    assert decision.status.completed_at == NOW
    assert decision.status.progress is not None
    assert decision.status.progress.percent == 100
    assert (decision.status.error, decision.status.retry_classification) == (None, None)
    assert decision.actions == ()


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param(verified(BEGUN, swap=a_swap(shadow_oid=None)), Reason.RESULT_LOST, id="the shadow is gone"),
        pytest.param(verified(preview=None), Reason.TARGET_GONE, id="the preview is gone"),
        pytest.param(verified(preview=a_preview(deleting=True)), Reason.TARGET_GONE, id="the preview is going"),
        pytest.param(
            verified(target_objects=("table public.late",)),
            Reason.TARGET_NOT_EMPTY,
            id="somebody made a table in the target during the copy",
        ),
        pytest.param(
            verified(BEGUN, target_objects=("table public.late",)),
            Reason.TARGET_NOT_EMPTY,
            id="somebody made a table in the target just before the swap",
        ),
    ],
)
def test_a_swap_that_must_not_be_fails(observed: ObservedImport, why: Reason) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (ImportState.FAILED, why, ())


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param(verified(swap=AWAY), Reason.SERVER_UNREACHABLE, id="the server is away"),
        pytest.param(verified(target_objects=AWAY), Reason.SERVER_UNREACHABLE, id="nobody can look into the target"),
        pytest.param(verified(swap=None, project=None), Reason.PROJECT_NOT_READY, id="the project cannot be read"),
    ],
)
def test_a_verified_shadow_waits_for_its_server_whatever_the_clock_says(observed: ObservedImport, why: Reason) -> None:
    decision = decide_import(observed, NOW + timedelta(days=7), POLICY)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, why)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"target_objects": AWAY}, id="nobody can look into it"),
        pytest.param({"target_objects": None}, id="nobody wants to look into it"),
        pytest.param({"swap": a_swap(target_open=False, shadow_oid=None)}, id="the shadow is gone"),
    ],
)
def test_a_target_that_an_interrupted_swap_left_shut_is_opened_first(changes: dict[str, object]) -> None:
    decision = decide(verified(BEGUN, **({"swap": a_swap(target_open=False)} | changes)))
    assert (decision.status.state, decision.actions) == (ImportState.RUNNING, (OpenTarget(),))
    assert decision.requeue_after == timedelta(0)


def test_a_cancel_is_obeyed_until_the_swap_begins() -> None:
    decision = decide(verified(spec=an_import_spec(cancel=True)))
    assert (decision.status.state, decision.actions) == (ImportState.CANCELLED, ())


def test_a_cancel_is_too_late_once_the_swap_has_begun() -> None:
    assert decide(verified(BEGUN, spec=an_import_spec(cancel=True))).actions == (Swap(POD_UID),)
    done = verified(BEGUN, spec=an_import_spec(cancel=True), swap=a_swap(target_oid=200, shadow_oid=None))
    assert decide(done).status.state is ImportState.COMPLETED


def test_a_suspension_does_not_hold_up_a_verified_shadow() -> None:
    assert decide(verified(BEGUN, spec=an_import_spec(suspend=True))).actions == (Swap(POD_UID),)


def test_recreate_swaps_whatever_the_target_holds() -> None:
    observed = verified(BEGUN, spec=an_import_spec(recreate=True), target_objects=None)
    assert decide(observed).actions == (Swap(POD_UID),)


# --- afterwards ---


def ended(state: ImportState, **changes: object) -> ImportStatus:
    given = {"state": state, "completed_at": BORN, "attempt_history": [an_attempt("one"), an_attempt(number=2)]}
    return a_running_status(**(given | changes))


CLEAN_UPS = [
    pytest.param(
        observed_import(
            status=ended(ImportState.COMPLETED, shadow=a_shadow(verified=True, oid=200)),
            job=a_job(complete=True),
            preview=HELD,
        ),
        (DropAttempt("one"), DropReplaced(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="completed: what was replaced goes, what took its place stays",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, shadow=a_shadow()), job=a_job(), preview=HELD),
        (
            StopJob(),
            DropAttempt("one"),
            DropAttempt(POD_UID),
            DeleteJobSecret(),
            SetJobTTL(86_400),
            ReleaseTarget(),
        ),
        id="failed while its pod runs: the pod is stopped, every shadow goes",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.CANCELLED, attempt_history=[]), job=a_job(), preview=HELD),
        (StopJob(), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="cancelled before its first pod",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED), job=a_job(failed_reason="BackoffLimitExceeded"), preview=HELD
        ),
        (DropAttempt("one"), DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed with its Job: nothing is left to stop",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.COMPLETED, attempt_history=[], shadow=a_shadow(verified=True, oid=200)),
            job=a_job(),
            pods=(a_finished_pod(),),
            preview=HELD,
        ),
        (DropReplaced(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="completed before its Job says so: stopped now, the pod would go with its logs",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(),
            pods=(a_failed_pod(reason=Reason.SOURCE_AUTH_FAILED),),
            preview=HELD,
        ),
        (DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed for good before its Job says so: it ends by itself",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(),
            pods=(a_failed_pod(),),
            preview=HELD,
        ),
        (StopJob(), DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed between two attempts: the Job must not begin the next one",
    ),
    pytest.param(
        observed_import(
            an_import_spec(ttlSecondsAfterFinished=0),
            ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(complete=True),
            preview=HELD,
        ),
        (DeleteJobSecret(), SetJobTTL(0), ReleaseTarget()),
        id="the Job's life is the user's to choose",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.CANCELLED, attempt_history=[]), job=a_job(suspended=True), preview=HELD
        ),
        (DeleteJob(), DeleteJobSecret(), ReleaseTarget()),
        id="cancelled while a queue held its Job",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, attempt_history=[]), job=None, preview=HELD),
        (DeleteJobSecret(), ReleaseTarget()),
        id="its Job is gone",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(ours=False),
            preview=a_preview(status=a_ready_status(active_import="somebody")),
        ),
        (DeleteJobSecret(),),
        id="what is somebody else's stays",
    ),
    pytest.param(
        observed_import(status=ImportStatus(state=ImportState.FAILED, completed_at=BORN)),
        (),
        id="it never started",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, attempt_history=[], job=None), preview=HELD),
        (DeleteJobSecret(), ReleaseTarget()),
        id="it failed before its Job was made",
    ),
]


@pytest.mark.parametrize(("observed", "actions"), CLEAN_UPS)
def test_an_import_that_has_ended_is_cleaned_up_once(observed: ObservedImport, actions: tuple[Action, ...]) -> None:
    decision = decide(observed)
    assert decision.actions == actions
    assert decision.status.cleaned_up is True
    assert decision.status.locked_resource is None
    assert all(found.cleaned_up for found in decision.status.attempt_history)
    again = decide(observed_import(observed.object.spec, decision.status, job=observed.job, preview=HELD))
    assert (again.actions, again.status, again.requeue_after) == ((), decision.status, None)


def test_a_generation_that_moves_on_is_seen_on_a_terminal_import_too() -> None:
    ready = Condition(
        type="Ready", status=ConditionStatus.TRUE, reason="Completed", observed_generation=1, last_transition_time=NOW
    )
    done = ended(ImportState.COMPLETED, cleaned_up=True, observed_generation=1, conditions=[ready])
    decision = decide(observed_import(an_import_spec(cancel=True), done, meta={"generation": 2}))
    told = {"observed_generation": 2}
    assert decision.status == done.model_copy(update={**told, "conditions": [ready.model_copy(update=told)]})
    assert decision.actions == ()


def ephemeral(ended_before: timedelta, label: str = "true") -> ImportObject:
    status = ended(ImportState.COMPLETED, cleaned_up=True, completed_at=NOW - ended_before, observed_generation=1)
    return an_import(an_import_spec(dryRun=True), status, labels={LABEL_EPHEMERAL: label})


def test_an_ephemeral_import_goes_five_minutes_after_its_end() -> None:
    early = decide(observed_import(object=ephemeral(timedelta(minutes=4))))
    assert (early.actions, early.requeue_after) == ((), timedelta(minutes=1))
    assert decide(observed_import(object=ephemeral(timedelta(minutes=5)))).actions == (DeleteObject(),)


def test_no_other_import_is_ever_deleted() -> None:
    assert decide(observed_import(object=ephemeral(timedelta(days=9), label="false"))).actions == ()


def test_a_job_that_has_its_ttl_is_left_alone() -> None:
    job: ObservedJob = a_job(complete=True, ttl_set=True)
    observed = observed_import(status=ended(ImportState.FAILED), job=job, preview=a_preview(), project=a_project())
    assert not any(isinstance(action, SetJobTTL | StopJob) for action in decide(observed).actions)

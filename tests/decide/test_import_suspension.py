"""Suspended and resumed imports."""

from tests.decide.import_decisions import decide, reason
from tests.support.samples import (
    BORN,
    NOW,
    a_job,
    a_running_status,
    a_shadow,
    an_attempt,
    an_import_spec,
    observed_import,
    observed_running_import,
)

from pgimport.decide.decision import (
    ClaimTarget,
    DeleteJob,
    DeleteJobSecret,
    DropAttempt,
    ReleaseTarget,
)
from pgimport.model.reasons import Reason
from pgimport.model.status import ImportState


def test_a_suspended_import_releases_everything() -> None:
    ended = an_attempt("gone", reason="SourceUnreachable", ended_at=BORN)
    status = a_running_status(
        state=ImportState.PENDING,
        attempts=2,
        attempt_history=[ended, an_attempt(number=2)],
        shadow=a_shadow(),
        claimed_by="pod-pod-uid-1",
        claimed_at=BORN,
    )
    decision = decide(observed_running_import(an_import_spec(suspend=True), status))
    assert decision.actions == (
        DeleteJob(),
        DropAttempt("gone"),
        DropAttempt("pod-uid-1"),
        DeleteJobSecret(),
        ReleaseTarget(),
    )
    shown = decision.status
    assert (shown.state, reason(decision)) == (ImportState.PENDING, Reason.SUSPENDED)
    assert (shown.job, shown.shadow, shown.progress, shown.started_at, shown.locked_resource) == (None,) * 5
    assert (shown.claimed_by, shown.claimed_at) == (None, None)


def test_a_suspension_does_not_count_as_an_attempt() -> None:
    ended = an_attempt("gone", reason="SourceUnreachable", ended_at=BORN)
    status = a_running_status(state=ImportState.PENDING, attempts=2, attempt_history=[ended, an_attempt(number=2)])
    shown = decide(observed_running_import(an_import_spec(suspend=True), status)).status
    assert [(attempt.pod_uid, attempt.cleaned_up) for attempt in shown.attempt_history] == [("gone", True)]
    assert shown.attempts == 1


def test_a_suspension_does_not_delete_a_job_of_another_owner() -> None:
    observed = observed_running_import(
        an_import_spec(suspend=True), a_running_status(state=ImportState.PENDING), job=a_job(ours=False)
    )
    assert DeleteJob() not in decide(observed).actions


def test_an_import_that_is_resumed_before_its_job_was_deleted_waits_without_it() -> None:
    status = a_running_status(state=ImportState.PENDING, attempts=1, attempt_history=[an_attempt()], shadow=a_shadow())
    missing = (Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")
    decision = decide(observed_running_import(status=status, missing_mount=missing))
    assert decision.actions == (DeleteJob(), DropAttempt("pod-uid-1"), DeleteJobSecret(), ReleaseTarget())
    shown = decision.status
    assert (shown.state, reason(decision)) == (ImportState.PENDING, Reason.SOURCE_SECRET_MISSING)
    assert (shown.job, shown.shadow, shown.started_at, shown.attempts) == (None, None, None, 0)


def test_a_resumed_import_starts_with_a_new_timeout() -> None:
    suspended = decide(
        observed_running_import(an_import_spec(suspend=True), a_running_status(state=ImportState.PENDING))
    ).status
    decision = decide(observed_import(status=suspended))
    assert (decision.status.state, decision.status.started_at) == (ImportState.RUNNING, NOW)
    assert decision.actions == (ClaimTarget(),)

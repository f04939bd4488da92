"""The clean-up of an import that has ended, and the deletion of an ephemeral one."""

from datetime import timedelta

import pytest
from tests.decide.import_decisions import decide
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    POD_UID,
    a_failed_pod,
    a_finished_pod,
    a_job,
    a_pod,
    a_preview,
    a_project,
    a_ready_status,
    a_running_status,
    a_shadow,
    an_attempt,
    an_import,
    an_import_spec,
    observed_import,
)

from pgimport.decide.decision import (
    Action,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DeleteScratchClaims,
    DropAttempt,
    DropReplaced,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
)
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.names import LABEL_EPHEMERAL
from pgimport.model.observations import ObservedJob
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject
from pgimport.model.status import Condition, ConditionStatus, ImportState, ImportStatus

CLAIMED = a_preview(status=a_ready_status(active_import=IMPORT_UID))


def ended(state: ImportState, **changes: object) -> ImportStatus:
    given = {"state": state, "completed_at": BORN, "attempt_history": [an_attempt("one"), an_attempt(number=2)]}
    return a_running_status(**(given | changes))


CLEAN_UPS = [
    pytest.param(
        observed_import(
            status=ended(ImportState.COMPLETED, shadow=a_shadow(verified=True, oid=200)),
            job=a_job(complete=True),
            preview=CLAIMED,
        ),
        (DropAttempt("one"), DropReplaced(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="completed: the replaced database is dropped, the swapped shadow stays",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, shadow=a_shadow()), job=a_job(), preview=CLAIMED),
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
        observed_import(status=ended(ImportState.CANCELLED, attempt_history=[]), job=a_job(), preview=CLAIMED),
        (StopJob(), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="cancelled before its first pod",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED), job=a_job(failed_reason="BackoffLimitExceeded"), preview=CLAIMED
        ),
        (DropAttempt("one"), DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed with its Job: there is no pod to stop",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.COMPLETED, attempt_history=[], shadow=a_shadow(verified=True, oid=200)),
            job=a_job(),
            pods=(a_finished_pod(),),
            preview=CLAIMED,
        ),
        (DropReplaced(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="completed before its Job: stopping the Job would delete the pod's logs",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(),
            pods=(a_failed_pod(reason=Reason.SOURCE_AUTH_FAILED),),
            preview=CLAIMED,
        ),
        (DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed for good before its Job: the Job ends by itself",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(),
            pods=(a_failed_pod(),),
            preview=CLAIMED,
        ),
        (StopJob(), DropAttempt(POD_UID), DeleteJobSecret(), SetJobTTL(86_400), ReleaseTarget()),
        id="failed between two attempts: the Job must not begin the next one",
    ),
    pytest.param(
        observed_import(
            an_import_spec(ttlSecondsAfterFinished=0),
            ended(ImportState.FAILED, attempt_history=[]),
            job=a_job(complete=True),
            preview=CLAIMED,
        ),
        (DeleteJobSecret(), SetJobTTL(0), ReleaseTarget()),
        id="the user chooses how long the Job is kept",
    ),
    pytest.param(
        observed_import(
            status=ended(ImportState.CANCELLED, attempt_history=[]), job=a_job(suspended=True), preview=CLAIMED
        ),
        (DeleteJob(), DeleteJobSecret(), ReleaseTarget()),
        id="cancelled while a queue held its Job",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, attempt_history=[]), job=None, preview=CLAIMED),
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
        id="Job and claim of another import stay",
    ),
    pytest.param(
        observed_import(status=ImportStatus(state=ImportState.FAILED, completed_at=BORN)),
        (),
        id="it never started",
    ),
    pytest.param(
        observed_import(status=ended(ImportState.FAILED, attempt_history=[], job=None), preview=CLAIMED),
        (DeleteJobSecret(), ReleaseTarget()),
        id="it failed before its Job was created",
    ),
]


@pytest.mark.parametrize(("observed", "actions"), CLEAN_UPS)
def test_a_terminal_import_is_cleaned_up_once(observed: ObservedImport, actions: tuple[Action, ...]) -> None:
    decision = decide(observed)
    assert decision.actions == actions
    assert decision.status.cleaned_up is True
    assert decision.status.locked_resource is None
    assert all(attempt.cleaned_up for attempt in decision.status.attempt_history)
    again = decide(observed_import(observed.object.spec, decision.status, job=observed.job, preview=CLAIMED))
    assert (again.actions, again.status, again.requeue_after) == ((), decision.status, None)


@pytest.mark.isolation
@pytest.mark.parametrize("state", [ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED])
def test_the_claims_of_scratch_volumes_are_deleted_first(state: ImportState) -> None:
    """Seen before: the unmasked dump of a masked import stayed in its volume for a day, until the Job's TTL ended."""
    status, pods = ended(state, attempt_history=[]), (a_pod(), a_pod("uid-2", name="second"))
    spec = an_import_spec(scratch={"size": "1Gi", "storageClassName": "fast"})
    actions = decide(observed_import(spec, status, job=a_job(complete=True), pods=pods, preview=CLAIMED)).actions
    assert actions[0] == DeleteScratchClaims((a_pod().name, "second"))
    assert not any(
        isinstance(action, DeleteScratchClaims) for action in decide(observed_import(status=status, pods=pods)).actions
    )


def test_a_terminal_import_shows_a_new_generation() -> None:
    ready = Condition(
        type="Ready", status=ConditionStatus.TRUE, reason="Completed", observed_generation=1, last_transition_time=NOW
    )
    completed = ended(ImportState.COMPLETED, cleaned_up=True, observed_generation=1, conditions=[ready])
    decision = decide(observed_import(an_import_spec(cancel=True), completed, meta={"generation": 2}))
    generation = {"observed_generation": 2}
    assert decision.status == completed.model_copy(
        update={**generation, "conditions": [ready.model_copy(update=generation)]}
    )
    assert decision.actions == ()


def ephemeral(ended_before: timedelta, label: str = "true") -> ImportObject:
    status = ended(ImportState.COMPLETED, cleaned_up=True, completed_at=NOW - ended_before, observed_generation=1)
    return an_import(an_import_spec(dryRun=True), status, labels={LABEL_EPHEMERAL: label})


def test_an_ephemeral_import_is_deleted_five_minutes_after_its_end() -> None:
    early = decide(observed_import(object=ephemeral(timedelta(minutes=4))))
    assert (early.actions, early.requeue_after) == ((), timedelta(minutes=1))
    assert decide(observed_import(object=ephemeral(timedelta(minutes=5)))).actions == (DeleteObject(),)


def test_an_import_that_is_not_ephemeral_is_never_deleted() -> None:
    assert decide(observed_import(object=ephemeral(timedelta(days=9), label="false"))).actions == ()


def test_a_job_that_has_a_ttl_is_not_changed() -> None:
    job: ObservedJob = a_job(complete=True, ttl_set=True)
    observed = observed_import(status=ended(ImportState.FAILED), job=job, preview=a_preview(), project=a_project())
    assert not any(isinstance(action, SetJobTTL | StopJob) for action in decide(observed).actions)


@pytest.mark.parametrize("state", [ImportState.COMPLETED, ImportState.FAILED])
def test_a_pod_that_a_container_of_others_keeps_is_stopped(state: ImportState) -> None:
    """Such as a sidecar that a webhook has added. The Job would not end before its deadline."""
    for kept_by, stopped in ((), False), (("istio-proxy",), True):
        pod = a_finished_pod(phase="Running", kept_by=kept_by)
        status = ended(state, shadow=a_shadow(verified=True, oid=200), max_attempts=2)
        observed = observed_import(status=status, job=a_job(), pods=(pod,), preview=CLAIMED)
        assert (StopJob() in decide(observed).actions) == stopped

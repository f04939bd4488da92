"""Imports whose Job a queue such as Kueue holds, admits or preempts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import POLICY, decide, reason, starting
from tests.support.samples import (
    BORN,
    IMPORT,
    IMPORT_UID,
    NOW,
    PREVIEW,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_finished_pod,
    a_job,
    a_meta,
    a_pod,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    a_shadow,
    a_workload,
    an_attempt,
    an_import,
    an_import_spec,
    observed_import,
    observed_running_import,
)

from pgimport.decide.conditions import in_progress
from pgimport.decide.decision import (
    ClaimTarget,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DropAttempt,
    ReleaseTarget,
    SignUpload,
)
from pgimport.decide.failures import show_import_failure
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.wake_targets import FirstSlotWaiter, PendingImports
from pgimport.model.names import LABEL_QUEUE, job_name
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject
from pgimport.model.status import Condition, ImportState, ImportStatus
from pgimport.model.uploads import build_object_key

JOB = job_name(IMPORT, IMPORT_UID)
QUEUED = a_running_status(state=ImportState.PENDING, started_at=None, progress=None)
HELD = a_job(queue="imports", suspended=True)
ADMITTED = a_job(queue="imports", started_at=NOW)
LATER = NOW + timedelta(days=30)


def queued(status: ImportStatus = QUEUED, **changes: Any) -> ObservedImport:
    given = {"job": HELD, "pods": (), "project": a_project(a_project_spec(queueName="imports"))}
    return observed_running_import(changes.pop("spec", None), status, **(given | changes))


def message(decision: Decision[ImportStatus]) -> str:
    return decision.status.conditions[0].message


def another(status: ImportStatus, target: str = "pr-1", **labels: str) -> ImportObject:
    spec = an_import_spec(target={"previewDatabase": target})
    return an_import(spec, status, name="other", uid="other", created_at=BORN + timedelta(minutes=1), labels=labels)


# --- the Job is created and waits ---


def test_an_import_with_a_queue_needs_no_free_slot_to_create_its_job() -> None:
    full = a_project(a_project_spec(queueName="imports", limits={"maxConcurrentImports": 1}))
    others = (another(a_running_status()),)
    claiming = decide(observed_import(project=full, preview=a_preview(), other_imports=others))
    assert (claiming.status.state, claiming.actions) == (ImportState.RUNNING, (ClaimTarget(),))
    created = decide(starting(project=full, other_imports=others))
    assert created.actions == (CreateJob(3),)
    assert (created.status.state, reason(created)) == (ImportState.PENDING, Reason.QUEUED)
    assert (created.status.job, created.status.started_at, created.status.progress) == (JOB, None, None)
    assert created.status.locked_resource == f"preview/shop/{PREVIEW}"


def test_the_queue_of_the_import_itself_counts_too() -> None:
    observed = starting()
    labelled = replace(observed.object, meta=a_meta(labels={LABEL_QUEUE: "own"}))
    decision = decide(replace(observed, object=labelled))
    assert (decision.status.state, message(decision)) == (ImportState.PENDING, "The import waits in queue own.")


def test_a_queued_import_shows_the_message_of_its_workload() -> None:
    decision = decide(queued(workload=a_workload(message="insufficient unused quota for cpu")))
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, Reason.QUEUED)
    assert message(decision) == "The import waits in queue imports: insufficient unused quota for cpu"
    assert decision.actions == ()


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(HELD, "Kueue is running, and that the priority classes of the import", id="no Workload"),
        pytest.param(a_job(suspended=True), f"Job {JOB} is suspended, but not by the operator", id="no queue"),
    ],
)
def test_a_queued_import_says_what_it_waits_for_without_a_workload(job: Any, expected: str) -> None:
    decision = decide(queued(job=job))
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, Reason.QUEUED)
    assert expected in message(decision)


def test_time_in_a_queue_does_not_count() -> None:
    """Neither timeout nor pendingTimeout ends it, and an error that is shown meanwhile does not either."""
    observed = queued(spec=an_import_spec(timeout="1h", pendingTimeout="1h"))
    waiting = decide_import(observed, LATER, POLICY).status
    assert (waiting.state, waiting.pending_since) == (ImportState.PENDING, None)
    item = replace(observed.object, status=waiting)
    failure = Failure(Reason.REPEATED_ERROR, "The operator failed 5 times in a row: timeout")
    shown = show_import_failure(item, failure, LATER, POLICY).status
    assert (shown.state, shown.job, shown.pending_since) == (ImportState.PENDING, JOB, None)
    assert reason(decide_import(replace(observed, object=replace(item, status=shown)), LATER, POLICY)) == Reason.QUEUED


def test_a_queued_import_holds_its_target_but_no_slot() -> None:
    spec = a_project_spec(limits={"maxConcurrentImports": 1})
    other = another(QUEUED)
    free = observed_import(project=a_project(spec), preview=a_preview(), other_imports=(other,))
    assert decide(free).actions == (ClaimTarget(),)
    same = another(QUEUED, target=PREVIEW)
    taken = observed_import(
        project=a_project(spec),
        preview=a_preview(status=a_ready_status(active_import="other")),
        other_imports=(same,),
    )
    assert reason(decide(taken)) == Reason.WAITING_FOR_TARGET
    assert "waits for import other, which uses" in message(decide(taken))


def test_an_import_that_creates_its_job_for_a_queue_holds_no_slot() -> None:
    spec = a_project_spec(limits={"maxConcurrentImports": 1})
    creating = a_running_status(job=None)
    for labels, started in (({LABEL_QUEUE: "own"}, True), ({}, False)):
        other = another(creating, **labels)
        observed = observed_import(project=a_project(spec), preview=a_preview(), other_imports=(other,))
        assert (decide(observed).status.state is ImportState.RUNNING) == started


# --- the queue admits it ---


def test_slot_and_timeout_begin_with_the_admission() -> None:
    decision = decide_import(queued(job=replace(ADMITTED, started_at=LATER)), LATER, POLICY)
    assert (decision.status.state, decision.status.started_at) == (ImportState.RUNNING, LATER)
    assert decision.actions == ()


def test_an_admitted_import_without_a_free_slot_waits_at_the_gate() -> None:
    project = a_project(a_project_spec(queueName="imports", limits={"maxConcurrentImports": 1}))
    others = (another(a_running_status()),)
    observed = queued(job=ADMITTED, pods=(a_copying_pod(),), project=project, other_imports=others)
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, Reason.WAITING_FOR_SLOT)
    assert (decision.status.job, decision.status.shadow, decision.actions) == (JOB, None, ())
    assert decide(replace(observed, other_imports=())).status.state is ImportState.RUNNING


@pytest.mark.parametrize("reason", ["PodFailurePolicy", "DeadlineExceeded"])
def test_a_job_that_failed_before_a_slot_was_free_fails_the_import_at_once(reason: str) -> None:
    failed = replace(ADMITTED, failed_reason=reason)
    full = a_project(a_project_spec(queueName="imports", limits={"maxConcurrentImports": 1}))
    given: dict[str, Any] = {"job": failed, "project": full, "other_imports": (another(a_running_status()),)}
    admitted = decide(queued(**given)).status
    assert decide(queued(status=admitted, **given)).status.state is ImportState.FAILED


# --- the queue preempts it ---

COPYING = a_running_status(
    attempts=2,
    attempt_history=[
        an_attempt("earlier", reason="SourceUnreachable", ended_at=BORN, cleaned_up=True),
        an_attempt(number=2),
    ],
    shadow=a_shadow(),
    claimed_by="pod-pod-uid-1",
    claimed_at=BORN,
)


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param((a_copying_pod(),), id="the pod is not deleted yet"),
        pytest.param((a_copying_pod(deleting=True),), id="the pod is being deleted"),
        pytest.param((), id="the pod is gone"),
        pytest.param(
            (a_copying_pod(deleting=True, phase="Failed", import_=a_container("import", exit_code=143)),),
            id="the pod was stopped",
        ),
    ],
)
def test_a_preempted_import_waits_again_without_a_lost_attempt(pods: Any) -> None:
    workload = a_workload(message="Preempted to accommodate a workload")
    decision = decide(queued(COPYING, pods=pods, workload=workload))
    shown = decision.status
    assert decision.actions == ()
    assert decision.wake == (PendingImports("shop", "pr-42"), FirstSlotWaiter("shop"))
    assert (shown.state, reason(decision), shown.job) == (ImportState.PENDING, Reason.QUEUED, JOB)
    assert message(decision) == "The import waits in queue imports: Preempted to accommodate a workload"
    assert (shown.started_at, shown.progress, shown.claimed_by, shown.claimed_at) == (None,) * 4
    assert shown.locked_resource == f"preview/shop/{PREVIEW}"
    history = [(attempt.pod_uid, attempt.number, attempt.reason) for attempt in shown.attempt_history]
    assert history == [("earlier", 1, "SourceUnreachable"), ("pod-uid-1", 0, "Preempted")]
    assert shown.attempts == 1
    dropping = decide(queued(shown, workload=workload))
    assert dropping.actions == (DropAttempt("pod-uid-1"),)
    assert (dropping.status.shadow, dropping.status.attempt_history[-1].cleaned_up) == (None, True)
    assert decide(queued(dropping.status, workload=workload)).actions == ()


def test_a_preempted_import_gives_back_its_slot_although_the_server_does_not_answer() -> None:
    preempted = decide(queued(COPYING, pods=())).status
    item = queued(preempted).object
    failure = Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached")
    shown = show_import_failure(item, failure, LATER, POLICY).status
    assert (shown.state, shown.queued) == (ImportState.PENDING, True)
    assert decide(queued(shown)).actions == (DropAttempt("pod-uid-1"),)
    admitted = decide(queued(shown, job=ADMITTED))
    assert (admitted.status.state, admitted.actions) == (ImportState.RUNNING, (DropAttempt("pod-uid-1"),))


def test_an_admission_after_a_preemption_begins_a_new_attempt_with_the_whole_timeout() -> None:
    stopped = a_copying_pod(deleting=True, phase="Failed", import_=a_container("import", exit_code=143))
    preempted = decide(queued(COPYING, pods=(stopped,))).status
    resumed = replace(ADMITTED, started_at=LATER)
    again = decide_import(queued(preempted, job=resumed), LATER, POLICY).status
    new = a_pod("second", created_at=LATER)
    decision = decide_import(queued(again, job=resumed, pods=(stopped, new)), LATER, POLICY)
    assert (decision.status.state, decision.status.started_at) == (ImportState.RUNNING, LATER)
    assert [(attempt.pod_uid, attempt.number) for attempt in decision.status.attempt_history] == [
        ("earlier", 1),
        ("pod-uid-1", 0),
        ("second", 2),
    ]


def test_a_preemption_that_the_operator_did_not_see_does_not_count() -> None:
    """The Job runs again before the operator looks: it started after its pod was deleted."""
    stopped = a_copying_pod(deleting=True, phase="Failed", import_=a_container("import", exit_code=143))
    resumed = replace(ADMITTED, started_at=NOW)
    spec = an_import_spec(maxAttempts=1)
    for pods in ((stopped,), ()):
        decision = decide(queued(a_running_status(attempt_history=[an_attempt()]), spec=spec, job=resumed, pods=pods))
        shown = decision.status
        assert (shown.state, shown.attempts, shown.started_at) == (ImportState.RUNNING, 0, NOW)
        assert decision.actions == (DropAttempt("pod-uid-1"),)


def test_a_pod_that_somebody_deletes_still_counts() -> None:
    started = a_job(started_at=BORN - timedelta(seconds=1))
    decision = decide(queued(COPYING, job=started, pods=()))
    assert decision.status.attempt_history[-1].reason == Reason.POD_GONE
    assert decision.status.attempts == 2


@pytest.mark.parametrize(
    ("pod", "state"),
    [
        pytest.param(a_finished_pod(deleting=True), ImportState.RUNNING, id="it completed"),
        pytest.param(a_failed_pod(reason=Reason.RESTORE_FAILED), ImportState.FAILED, id="it failed for good"),
    ],
)
def test_what_a_pod_did_before_its_job_was_suspended_counts(pod: Any, state: ImportState) -> None:
    status = decide(queued(COPYING, pods=(pod,))).status
    assert status.state is state
    assert state is ImportState.FAILED or (status.shadow is not None and status.shadow.verified)


def test_an_import_may_be_preempted_any_number_of_times() -> None:
    status = COPYING
    for number in range(30):
        pod = a_copying_pod(f"pod-{number}")
        status = decide(queued(status, job=ADMITTED, pods=(pod,))).status
        status = decide(queued(status, pods=(replace(pod, deleting=True),))).status
        status = decide(queued(status, job=ADMITTED)).status
    assert (status.state, status.attempts, len(status.attempt_history)) == (ImportState.RUNNING, 1, 6)


# --- it imports an upload ---

UPLOAD = {"source": {"uploadKey": build_object_key("shop", bytes(16))}}


def test_the_url_of_an_upload_is_signed_with_the_job() -> None:
    observed = starting(spec=an_import_spec(**UPLOAD), project=a_project(a_project_spec(queueName="imports")))
    decision = decide_import(observed, NOW, replace(POLICY, uploads=True))
    assert (decision.actions, decision.status.upload_signed_at) == ((CreateJob(3),), NOW)


@pytest.mark.parametrize(
    ("spec", "age", "job", "signed"),
    [
        pytest.param(UPLOAD, timedelta(minutes=14), HELD, False, id="it is new"),
        pytest.param(UPLOAD, timedelta(minutes=15), HELD, True, id="it gets old"),
        pytest.param(UPLOAD, timedelta(days=-1), HELD, True, id="another operator's clock was ahead"),
        pytest.param(UPLOAD, timedelta(minutes=1), ADMITTED, True, id="the queue admits the Job"),
        pytest.param({}, timedelta(days=1), HELD, False, id="no upload"),
    ],
)
def test_the_url_of_an_upload_stays_valid_in_the_queue(spec: Any, age: timedelta, job: Any, signed: bool) -> None:
    status = QUEUED.model_copy(update={"upload_signed_at": NOW - age})
    decision = decide(queued(status, spec=an_import_spec(**spec), job=job))
    assert decision.actions == ((SignUpload(),) if signed else ())
    assert decision.status.upload_signed_at == (NOW if signed else NOW - age)


def test_a_preempted_import_gets_a_new_url_before_its_next_pod() -> None:
    status = COPYING.model_copy(update={"upload_signed_at": BORN - timedelta(hours=5)})
    spec = an_import_spec(**UPLOAD)
    preempted = decide(queued(status, spec=spec, pods=())).status
    assert decide(queued(preempted, spec=spec)).actions == (SignUpload(), DropAttempt("pod-uid-1"))


# --- it ends, or somebody changes it ---


def test_a_cancelled_import_leaves_its_queue() -> None:
    cancelled = decide(queued(spec=an_import_spec(cancel=True))).status
    assert cancelled.state is ImportState.CANCELLED
    cleanup = decide(queued(cancelled, spec=an_import_spec(cancel=True)))
    assert DeleteJob() in cleanup.actions
    assert DeleteJobSecret() in cleanup.actions


def test_a_user_may_suspend_a_queued_import() -> None:
    decision = decide(queued(spec=an_import_spec(suspend=True)))
    assert decision.actions[:2] == (DeleteJob(), DeleteJobSecret())
    assert (decision.status.state, reason(decision), decision.status.job) == (
        ImportState.PENDING,
        Reason.SUSPENDED,
        None,
    )


def test_a_queued_import_fails_if_its_target_is_deleted() -> None:
    decision = decide(queued(preview=a_preview(deleting=True)))
    assert decision.status.state is ImportState.FAILED
    assert f"PreviewDatabase {PREVIEW} was deleted while the import was queued" in (decision.status.error or "")


@pytest.mark.parametrize(
    ("preview", "obstacle"),
    [
        pytest.param(
            a_preview(status=a_ready_status(active_import=IMPORT_UID, expires_at=NOW)), "about to expire", id="expiry"
        ),
        pytest.param(
            a_preview(a_preview_spec(resetAt=NOW.isoformat()), a_ready_status(active_import=IMPORT_UID)),
            "about to be reset",
            id="reset",
        ),
    ],
)
def test_reset_and_expiry_do_not_wait_for_a_queue(preview: PreviewObject, obstacle: str) -> None:
    decision = decide(queued(preview=preview))
    assert decision.actions == (DeleteJob(), DeleteJobSecret(), ReleaseTarget())
    assert (decision.status.state, decision.status.job) == (ImportState.PENDING, None)
    assert message(decision) == f"The import waits for PreviewDatabase {PREVIEW}, which is {obstacle}."
    released = replace(preview, status=preview.status.model_copy(update={"active_import": None}))
    waiting = decide(observed_import(status=decision.status, preview=released))
    assert (waiting.status.state, waiting.actions) == (ImportState.PENDING, ())


@pytest.mark.parametrize("job", [None, replace(HELD, deleting=True)], ids=["gone", "being deleted"])
def test_a_queued_import_whose_job_was_deleted_starts_anew(job: Any) -> None:
    decision = decide(queued(job=job))
    assert (decision.status.state, decision.status.job) == (ImportState.RUNNING, None)
    assert decision.actions == (ClaimTarget(),)


def test_older_imports_at_the_gate_take_a_slot_first() -> None:
    waiting = QUEUED.model_copy(
        update={
            "conditions": [
                Condition(type=kind, status=value, reason="WaitingForSlot", last_transition_time=BORN)
                for kind, value in in_progress(Reason.WAITING_FOR_SLOT, "").statuses.items()
            ]
        }
    )
    older = replace(another(waiting), meta=a_meta("older", "older", created_at=BORN - timedelta(minutes=1)))
    project = a_project(a_project_spec(limits={"maxConcurrentImports": 1}))
    assert reason(decide(queued(job=ADMITTED, project=project, other_imports=(older,)))) == Reason.WAITING_FOR_SLOT

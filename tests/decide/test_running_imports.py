"""Running imports: start, gate, retries, and every way in which one ends before its swap."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.samples import (
    BORN,
    JOB_UID,
    NOW,
    POD_UID,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_failed_result,
    a_finished_pod,
    a_job,
    a_pod,
    a_policy,
    a_preflight,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_result,
    a_running_status,
    a_server,
    a_shadow,
    a_source,
    an_attempt,
    an_import,
    an_import_spec,
    observed_running_import,
    passed_preflight,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import (
    CreateJob,
    Decision,
    DeleteJobSecret,
    DropAttempt,
    PrepareShadow,
    ReleaseTarget,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed import ObservedImport
from pgimport.decide.timeouts import awaited_stage
from pgimport.model.names import attempt_names, job_name
from pgimport.model.observations import ObservedJob, ObservedPod, Unreachable
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.result import CheckStatus, PreflightCheck
from pgimport.model.status import ImportPhase, ImportState, ImportStatus, Progress

POLICY = a_policy()
UNCLAIMED = a_preview()
AWAY = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached"))
RECENT = NOW - timedelta(seconds=30)


def decide(observed: ObservedImport, now: datetime = NOW) -> Decision[ImportStatus]:
    return decide_import(observed, now, POLICY)


def reason(decision: Decision[ImportStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


def starting(**changes: object) -> ObservedImport:
    """Running, and its Job is not made yet."""
    spec = changes.pop("spec", None)
    given = {"job": None, "pods": (), "server": a_server(), "target_objects": ()}
    status = a_running_status(job=None, progress=None)
    return observed_running_import(spec, status, **(given | changes))  # type: ignore[arg-type]


# --- the start ---


def test_a_running_import_without_a_job_gets_one() -> None:
    decision = decide(starting())
    assert decision.actions == (CreateJob(3),)
    assert decision.status.job == job_name("debian", "import-uid")
    assert decision.status.progress == Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=NOW)


def test_a_resumed_import_has_only_the_attempts_that_are_left() -> None:
    history = [an_attempt("one", reason="SourceUnreachable", ended_at=BORN)]
    status = a_running_status(job=None, attempt_history=history)
    observed = observed_running_import(None, status, job=None, pods=(), server=a_server(), target_objects=())
    assert decide(observed).actions == (CreateJob(2),)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param(starting(server=AWAY), Reason.SERVER_UNREACHABLE, id="the server is away"),
        pytest.param(starting(target_objects=AWAY), Reason.SERVER_UNREACHABLE, id="nobody can look into the target"),
    ],
)
def test_a_start_waits_for_the_target_server(observed: ObservedImport, why: Reason) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, why)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


@pytest.mark.parametrize(
    ("observed", "why", "words"),
    [
        pytest.param(
            starting(target_objects=("table public.users",)),
            Reason.TARGET_NOT_EMPTY,
            "PreviewDatabase pr-42 holds table public.users",
            id="the target holds something and recreate is false",
        ),
        pytest.param(
            starting(server=a_server(version="14.3", version_num=140003)),
            Reason.NOT_SUPPORTED,
            "PostgreSQL 14.3; this installation has worker images for 17",
            id="no worker image for the server's major",
        ),
        pytest.param(starting(preview=None), Reason.TARGET_GONE, "was deleted", id="the preview is gone"),
        pytest.param(
            starting(preview=a_preview(deleting=True)), Reason.TARGET_GONE, "was deleted", id="the preview is going"
        ),
        pytest.param(
            starting(preview=a_preview(status=a_ready_status(active_import="somebody"))),
            Reason.TARGET_GONE,
            "held by another import",
            id="somebody else has the preview",
        ),
    ],
)
def test_a_start_that_cannot_go_well_fails_and_makes_no_job(observed: ObservedImport, why: Reason, words: str) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (ImportState.FAILED, why, ())
    assert words in (decision.status.error or "")


def test_recreate_starts_into_a_target_that_holds_something() -> None:
    # With recreate nobody looks: None.
    observed = starting(spec=an_import_spec(recreate=True), target_objects=None)
    assert decide(observed).actions == (CreateJob(3),)


def test_one_that_took_the_last_slot_together_with_another_steps_back() -> None:
    """Two operators saw one free slot; both imports say that they run, and neither has a Job yet."""
    small = a_project(a_project_spec(limits={"maxConcurrentImports": 1}))
    rival = an_import(status=a_running_status(job=None), name="rival", uid="rival-uid")
    decision = decide(starting(project=small, other_imports=(rival,)))
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, Reason.WAITING_FOR_SLOT)
    assert decision.actions == (DeleteJobSecret(), ReleaseTarget())
    shown = decision.status
    assert (shown.started_at, shown.locked_resource, shown.job) == (None, None, None)
    alone = decide(starting(project=small))
    assert alone.actions == (CreateJob(3),)
    two = a_project(a_project_spec(limits={"maxConcurrentImports": 2}))
    assert decide(starting(project=two, other_imports=(rival,))).actions == (CreateJob(3),)


# --- the gate ---


def test_a_preflight_that_passed_opens_the_gate_once() -> None:
    decision = decide(observed_running_import(pods=(a_copying_pod(),)))
    assert decision.actions == (PrepareShadow(POD_UID, a_source()),)
    assert decision.status.shadow == a_shadow()
    assert decision.status.progress == Progress(phase=ImportPhase.SCHEMA, percent=1, at=NOW)
    assert decision.status.preflight == a_preflight()
    again = decide(observed_running_import(status=decision.status, pods=(a_copying_pod(),)))
    assert again.actions == ()


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_pod(), id="its preflight still runs"),
        pytest.param(a_pod(deleting=True, preflight=passed_preflight()), id="it is being deleted"),
        pytest.param(
            a_pod(preflight=a_container("preflight", exit_code=0, ended_at=BORN)), id="its preflight left no report"
        ),
    ],
)
def test_the_gate_stays_shut(pod: ObservedPod) -> None:
    decision = decide(observed_running_import(pods=(pod,)), BORN + timedelta(minutes=1))
    assert decision.actions == ()
    assert decision.status.shadow is None


def test_a_second_attempt_gets_a_shadow_of_its_own_and_the_first_one_loses_its() -> None:
    status = a_running_status(shadow=a_shadow("one"))
    decision = decide(observed_running_import(status=status, pods=(a_failed_pod("one"), a_copying_pod("two"))))
    assert decision.actions == (DropAttempt("one"), PrepareShadow("two", a_source()))
    assert decision.status.shadow == a_shadow("two")
    assert [found.number for found in decision.status.attempt_history] == [1, 2]
    assert decision.status.attempts == 2
    assert decision.status.attempt_history[0].cleaned_up


def test_the_current_pod_is_named() -> None:
    decision = decide(observed_running_import(pods=(a_pod(),)))
    assert (decision.status.claimed_by, decision.status.claimed_at) == (f"pod-{POD_UID}", NOW)


# --- retries ---

TRIED_AGAIN = [
    pytest.param(
        a_failed_pod(), Reason.SOURCE_UNREACHABLE, RetryClassification.TRANSIENT, id="the source does not answer"
    ),
    pytest.param(
        a_failed_pod(reason=Reason.SCRATCH_FULL), Reason.SCRATCH_FULL, RetryClassification.RESOURCE, id="scratch full"
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="OOMKilled"),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="the kernel killed the worker",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=40, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="an exit code of ours without a result",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=1, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.WORKER_FAILED,
        RetryClassification.TRANSIENT,
        id="a crash",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=143, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="told to end from outside",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            deleting=True,
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="killed while it was being deleted",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            reason="Evicted",
            message='Usage of EmptyDir volume "scratch" exceeds the limit "10Gi".',
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.SCRATCH_FULL,
        RetryClassification.RESOURCE,
        id="evicted for its scratch",
    ),
    pytest.param(
        a_copying_pod(phase="Failed", reason="NodeLost", message="the node is gone", import_=None, preflight=None),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="ended without a container status",
    ),
    pytest.param(
        a_pod(
            phase="Failed",
            import_=a_container("import"),
            preflight=a_container(
                "preflight",
                exit_code=10,
                ended_at=RECENT,
                ended_reason="Error",
                result=a_failed_result(Reason.SOURCE_UNREACHABLE, step="preflight"),
            ),
        ),
        Reason.SOURCE_UNREACHABLE,
        RetryClassification.TRANSIENT,
        id="its preflight did not reach the source",
    ),
    pytest.param(
        a_copying_pod(phase="Failed", reason="Evicted", message="evicted", import_=a_container("import")),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="ended from outside between its two containers",
    ),
    pytest.param(
        a_finished_pod(import_=a_container("import", exit_code=0, ended_at=RECENT)),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="it ended well and left no result",
    ),
]


@pytest.mark.parametrize(("pod", "why", "kind"), TRIED_AGAIN)
def test_an_attempt_that_may_go_better_next_time_is_tried_again(
    pod: ObservedPod, why: Reason, kind: RetryClassification
) -> None:
    decision = decide(observed_running_import(status=a_running_status(shadow=a_shadow()), pods=(pod,)))
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, Reason.RETRYING)
    assert decision.message.startswith("Attempt 1 of 3 failed and is repeated: ")
    assert decision.actions == (DropAttempt(POD_UID),)
    attempt = decision.status.attempt_history[0]
    assert (attempt.reason, attempt.retry_classification, attempt.number) == (why, kind, 1)
    assert attempt.ended_at is not None
    assert decision.status.retry_classification is kind


def test_a_disrupted_pod_does_not_count() -> None:
    pod = a_copying_pod(phase="Failed", disrupted=True, message="node drain")
    decision = decide(observed_running_import(pods=(pod, a_pod("two"))))
    assert decision.status.state is ImportState.RUNNING
    assert [(found.number, found.reason) for found in decision.status.attempt_history] == [(0, "Disrupted"), (1, None)]
    assert decision.status.attempts == 1


def test_a_pod_that_was_done_before_it_was_disrupted_is_done() -> None:
    decision = decide(observed_running_import(pods=(a_finished_pod(disrupted=True),)))
    assert decision.status.shadow == a_shadow(verified=True)


def test_a_pod_that_vanished_reads_pod_gone_and_is_waited_for_anew() -> None:
    status = a_running_status(attempt_history=[an_attempt()], shadow=a_shadow())
    decision = decide(observed_running_import(status=status, pods=()), BORN + timedelta(hours=1))
    attempt = decision.status.attempt_history[0]
    assert decision.status.state is ImportState.RUNNING
    assert (attempt.reason, attempt.ended_at) == ("PodGone", BORN + timedelta(hours=1))
    assert decision.actions == (DropAttempt(POD_UID),)


def test_a_pod_that_is_being_deleted_late_in_an_import_is_no_start_that_never_came() -> None:
    status = a_running_status(attempt_history=[an_attempt()], shadow=a_shadow(), progress=None)
    decision = decide(
        observed_running_import(status=status, pods=(a_copying_pod(deleting=True),)), BORN + timedelta(hours=1)
    )
    assert decision.status.state is ImportState.RUNNING


def test_the_words_of_the_last_container_are_kept() -> None:
    ended = a_container(
        "import", exit_code=76, ended_at=NOW, result=a_result(ok=False, stdout_tail="out", stderr_tail="err")
    )
    shown = decide(observed_running_import(pods=(a_copying_pod(phase="Failed", import_=ended),))).status
    assert (shown.last_stdout, shown.last_stderr, shown.last_exit_code) == ("out", "err", 76)


def test_an_attempt_tells_all_that_a_person_needs_after_the_next_one_has_begun() -> None:
    failed = a_container(
        "import",
        exit_code=13,
        ended_at=RECENT,
        result=a_failed_result(Reason.WORKER_FAILED, "KeyError: 'users' (SQLSTATE 42P01)").model_copy(
            update={"stdout_tail": "o" * 900 + " the end", "stderr_tail": "pg_dump: the last"}
        ),
    )
    pods = (a_copying_pod("one", phase="Failed", import_=failed), a_pod("two"))
    first, second = decide(observed_running_import(pods=pods)).status.attempt_history
    assert (first.number, first.pod, first.exit_code, first.reason) == (1, "pod-one", 13, Reason.WORKER_FAILED)
    assert (first.started_at, first.ended_at) == (BORN, RECENT)
    assert (first.error, first.hint) == ("KeyError: 'users' (SQLSTATE 42P01)", Failure(Reason.WORKER_FAILED, "").hint)
    assert (first.last_stderr, (first.last_stdout or "")[-8:]) == ("pg_dump: the last", " the end")
    assert len(first.last_stdout or "") == 400
    assert (second.number, second.reason, second.hint, second.last_stdout) == (2, None, None, None)


# --- ends ---

DONE_FOR = [
    pytest.param(
        observed_running_import(pods=(a_failed_pod(reason=Reason.SOURCE_AUTH_FAILED),)),
        Reason.SOURCE_AUTH_FAILED,
        RetryClassification.PERMANENT,
        id="the password is wrong",
    ),
    pytest.param(
        observed_running_import(
            pods=(
                a_pod(
                    phase="Failed",
                    preflight=a_container(
                        "preflight",
                        exit_code=73,
                        ended_at=NOW,
                        result=a_failed_result(Reason.EXTENSION_NOT_ALLOWED, step="preflight"),
                    ),
                ),
            )
        ),
        Reason.EXTENSION_NOT_ALLOWED,
        RetryClassification.PERMANENT,
        id="the preflight says no",
    ),
    pytest.param(
        observed_running_import(
            pods=(a_copying_pod(phase="Failed", import_=a_container("import", exit_code=77, ended_at=NOW)),)
        ),
        Reason.VERIFICATION_FAILED,
        RetryClassification.PERMANENT,
        id="a final exit code without a result",
    ),
    pytest.param(
        observed_running_import(an_import_spec(maxAttempts=2), pods=(a_failed_pod("one"), a_failed_pod("two"))),
        Reason.SOURCE_UNREACHABLE,
        RetryClassification.TRANSIENT,
        id="the last attempt failed",
    ),
    pytest.param(
        observed_running_import(
            an_import_spec(maxAttempts=1), a_running_status(attempt_history=[an_attempt()]), pods=()
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="the last attempt's pod vanished",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                attempt_history=[an_attempt(f"n{at}", 0, reason="Disrupted", ended_at=BORN) for at in range(10)]
            )
        ),
        Reason.DISRUPTED,
        RetryClassification.TRANSIENT,
        id="too many disruptions",
    ),
    pytest.param(
        observed_running_import(job=None, pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job was deleted",
    ),
    pytest.param(
        observed_running_import(job=a_job(ours=False), pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job of this name is somebody else's",
    ),
    pytest.param(
        observed_running_import(job=a_job(complete=True), pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job is complete and its pod is gone",
    ),
    pytest.param(
        observed_running_import(
            job=a_job(complete=True), pods=(a_finished_pod(import_=a_container("import", exit_code=0, ended_at=NOW)),)
        ),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job is complete and its pod left no result",
    ),
    pytest.param(
        observed_running_import(job=a_job(failed_reason="DeadlineExceeded"), pods=()),
        Reason.DEADLINE_EXCEEDED,
        RetryClassification.TRANSIENT,
        id="the job's own deadline",
    ),
    pytest.param(
        observed_running_import(job=a_job(failed_reason="BackoffLimitExceeded", failed_message="no more"), pods=()),
        Reason.WORKER_FAILED,
        RetryClassification.TRANSIENT,
        id="the job failed and nobody knows why",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                attempt_history=[an_attempt(reason="WorkerOutOfMemory", error="it ran out of memory", ended_at=BORN)]
            ),
            job=a_job(failed_reason="BackoffLimitExceeded"),
            pods=(),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="the job failed and the history knows why",
    ),
    pytest.param(
        observed_running_import(
            project=a_project(a_project_spec(storageLimitBytes=1000)), shadow_bytes=1001, pods=(a_copying_pod(),)
        ),
        Reason.SOURCE_TOO_LARGE,
        RetryClassification.PERMANENT,
        id="the copy outgrows the plan",
    ),
    pytest.param(
        observed_running_import(preview=None, pods=(a_copying_pod(),)),
        Reason.TARGET_GONE,
        RetryClassification.PERMANENT,
        id="the preview was deleted during the copy",
    ),
    pytest.param(
        observed_running_import(preview=a_preview(deleting=True)),
        Reason.TARGET_GONE,
        RetryClassification.PERMANENT,
        id="the preview is going during the copy",
    ),
]


@pytest.mark.parametrize(("observed", "why", "kind"), DONE_FOR)
def test_an_import_that_is_done_for_fails_with_its_reason(
    observed: ObservedImport, why: Reason, kind: RetryClassification
) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, why)
    assert decision.status.retry_classification is kind
    assert decision.status.completed_at == NOW
    assert decision.actions == ()  # the clean-up is the next look's
    assert decision.requeue_after == timedelta(0)


def test_the_error_is_the_workers_own_words_and_a_hint() -> None:
    failed = a_container(
        "import",
        exit_code=76,
        ended_at=NOW,
        result=a_failed_result(Reason.RESTORE_FAILED, 'relation "users" does not exist (42P01)'),
    )
    shown = decide(observed_running_import(pods=(a_copying_pod(phase="Failed", import_=failed),))).status
    assert shown.error is not None
    assert shown.error.startswith('relation "users" does not exist (42P01) (hint: ')


# --- our own clocks ---

WAITING_POD = a_pod(
    preflight=a_container("preflight", waiting_reason="ImagePullBackOff", waiting_message="no such tag")
)
SAID = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)  # by a node whose clock is nine hours late
GATED = a_running_status(shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN, said_at=SAID))
MOVED = Progress(phase=ImportPhase.DATA, percent=6, at=SAID + timedelta(seconds=2))

CLOCKS = [
    pytest.param(
        observed_running_import(),
        timedelta(hours=6, seconds=1),
        Reason.DEADLINE_EXCEEDED,
        "spec.timeout (6h)",
        id="the timeout",
    ),
    pytest.param(
        observed_running_import(pods=(), waiting_since=BORN),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "Kubernetes gives no reason",
        id="no pod",
    ),
    pytest.param(
        observed_running_import(pods=(), waiting_since=BORN, start_warning="FailedCreate: exceeded quota"),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "exceeded quota",
        id="no pod, and an event says why",
    ),
    pytest.param(
        observed_running_import(pods=(WAITING_POD,), waiting_since=BORN),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "ImagePullBackOff: no such tag",
        id="a container waits",
    ),
    pytest.param(
        observed_running_import(
            status=GATED,
            waiting_since=BORN,
            pods=(a_copying_pod(import_=a_container("import", waiting_reason="CrashLoop")),),
        ),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "CrashLoop",
        id="the second container never starts",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(attempt_history=[an_attempt(reason="SourceUnreachable", cleaned_up=True)]),
            pods=(),
            waiting_since=BORN,
        ),
        timedelta(minutes=12, seconds=1),
        Reason.START_TIMEOUT,
        "no container was running",
        id="no second attempt",
    ),
    pytest.param(
        observed_running_import(pods=(a_pod(),), waiting_since=BORN),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress in phase preflight within spec.stallTimeout (10m)",
        id="a preflight without an end",
    ),
    pytest.param(
        observed_running_import(status=GATED, pods=(a_copying_pod(),)),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress in phase data within spec.stallTimeout (10m)",
        id="no progress",
    ),
    pytest.param(
        observed_running_import(status=GATED, pods=(a_copying_pod(deleting=True),)),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress",
        id="a pod that a dead node never ends",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN + timedelta(hours=1))
            ),
            pods=(a_copying_pod(),),
            observed_since=BORN,
        ),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress",
        id="no progress since an operator whose clock went before ours",
    ),
]


@pytest.mark.parametrize(("observed", "after", "why", "words"), CLOCKS)
def test_what_kubernetes_never_notices_our_own_clock_ends(
    observed: ObservedImport, after: timedelta, why: Reason, words: str
) -> None:
    decision = decide(observed, BORN + after)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, why)
    assert words in (decision.status.error or "")


@pytest.mark.parametrize(("observed", "after", "why", "words"), CLOCKS)
def test_no_clock_strikes_early(observed: ObservedImport, after: timedelta, why: Reason, words: str) -> None:
    assert decide(observed, BORN + after - timedelta(seconds=2)).status.state is ImportState.RUNNING


AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(
            observed_running_import(pods=(a_pod(),), waiting_since=BORN + AN_HOUR - timedelta(minutes=6)),
            id="a preflight that runs",
        ),
        pytest.param(
            observed_running_import(
                status=GATED, pods=(a_copying_pod(),), observed_since=BORN + AN_HOUR - timedelta(minutes=1)
            ),
            id="an operator that has just come back",
        ),
        pytest.param(
            observed_running_import(status=GATED, pods=(a_copying_pod(),), progress=MOVED),
            id="a worker that has just moved",
        ),
        pytest.param(
            observed_running_import(
                status=a_running_status(
                    attempt_history=[an_attempt(reason="SourceUnreachable", ended_at=BORN, cleaned_up=True)]
                ),
                pods=(),
                waiting_since=BORN + AN_HOUR - timedelta(minutes=6),
            ),
            id="the Job controller's own pause between two attempts",
        ),
    ],
)
def test_these_are_no_hang(observed: ObservedImport) -> None:
    assert decide(observed, BORN + AN_HOUR).status.state is ImportState.RUNNING


@pytest.mark.parametrize(
    ("skew", "job", "pods"),
    [
        (skew, job, pods)
        for skew in (-AN_HOUR, AN_HOUR)
        for job, pods in (
            (a_job(created_at=NOW + skew), ()),
            (a_job(), (a_pod(created_at=NOW + skew, started_at=NOW + skew),)),
            (a_job(), (a_copying_pod(preflight=passed_preflight(NOW + skew)),)),
            (a_job(), (a_failed_pod(import_=a_container("import", exit_code=10, ended_at=NOW + skew)),)),
        )
    ],
)
def test_clocks_of_the_cluster_may_be_an_hour_off(
    skew: timedelta, job: ObservedJob, pods: tuple[ObservedPod, ...]
) -> None:
    observed = observed_running_import(status=GATED, job=job, pods=pods, waiting_since=NOW, observed_since=NOW)
    assert decide(observed, NOW + timedelta(minutes=4)).status.state is ImportState.RUNNING
    told = Progress(phase=ImportPhase.DATA, percent=6, at=NOW + skew)
    moved = observed_running_import(status=GATED, pods=(a_copying_pod(),), progress=told)
    shown = decide(moved).status.progress
    assert shown == told.model_copy(update={"at": NOW, "said_at": NOW + skew})


STAGES_OF_A_START = [
    pytest.param(None, (), None, id="no Job"),
    pytest.param(a_job(suspended=True), (), None, id="a Job that a queue holds"),
    pytest.param(a_job(), (), "a pod", id="no pod yet"),
    pytest.param(a_job(), (a_failed_pod("one"),), "a pod after one", id="no second pod yet"),
    pytest.param(a_job(), (a_pod("one"),), "end of preflight of one", id="its preflight runs"),
    pytest.param(a_job(), (a_pod("one", preflight=None),), "preflight of one", id="nothing of it runs"),
    pytest.param(
        a_job(), (a_pod("one", preflight=passed_preflight()),), "import of one", id="its second container is to come"
    ),
    pytest.param(a_job(), (a_copying_pod("one"),), None, id="it copies"),
    pytest.param(a_job(), (a_pod("one", preflight=None, deleting=True),), "preflight of one", id="it never ran"),
]


@pytest.mark.parametrize(("job", "pods", "stage"), STAGES_OF_A_START)
def test_what_is_waited_for(job: ObservedJob | None, pods: tuple[ObservedPod, ...], stage: str | None) -> None:
    assert awaited_stage(job, pods) == stage


def test_progress_is_written_at_most_once_in_an_interval() -> None:
    early = GATED.model_copy(update={"updated_at": NOW - timedelta(seconds=1)})
    late = GATED.model_copy(update={"updated_at": NOW - timedelta(seconds=5)})
    assert (
        decide(observed_running_import(status=early, pods=(a_copying_pod(),), progress=MOVED)).status.progress
        == GATED.progress
    )
    shown = decide(observed_running_import(status=late, pods=(a_copying_pod(),), progress=MOVED)).status.progress
    assert shown == MOVED.model_copy(update={"at": NOW, "said_at": MOVED.at})


def test_a_new_phase_is_shown_at_once() -> None:
    told = Progress(phase=ImportPhase.INDEXES, percent=60, at=SAID)
    early = GATED.model_copy(update={"updated_at": NOW})
    shown = decide(observed_running_import(status=early, pods=(a_copying_pod(),), progress=told)).status.progress
    assert shown is not None
    assert (shown.phase, shown.at) == (ImportPhase.INDEXES, NOW)


def test_the_same_line_again_is_no_progress() -> None:
    assert GATED.progress is not None
    again = GATED.progress.model_copy(update={"at": SAID, "said_at": None})
    observed = observed_running_import(status=GATED, pods=(a_copying_pod(),), progress=again)
    assert decide(observed, BORN + timedelta(minutes=9)).status.progress == GATED.progress
    assert reason(decide(observed, BORN + timedelta(minutes=11))) == Reason.STALLED


def test_a_worker_that_speaks_again_has_moved_although_its_numbers_stay() -> None:
    assert GATED.progress is not None
    told = GATED.progress.model_copy(update={"at": SAID + timedelta(seconds=1), "said_at": None})
    late = BORN + timedelta(minutes=11)
    shown = decide(observed_running_import(status=GATED, pods=(a_copying_pod(),), progress=told), late).status.progress
    assert shown == GATED.progress.model_copy(update={"at": late, "said_at": told.at})


# --- the user's wishes ---

STAGES = [
    pytest.param(starting(), id="before the Job"),
    pytest.param(observed_running_import(), id="in the preflight"),
    pytest.param(observed_running_import(status=GATED, pods=(a_copying_pod(),)), id="in the copy"),
    pytest.param(observed_running_import(status=GATED, pods=(a_failed_pod(),)), id="between two attempts"),
    pytest.param(observed_running_import(status=GATED, pods=(a_finished_pod(),)), id="when the copy has just ended"),
]


def wishing(observed: ObservedImport, **wish: bool) -> ObservedImport:
    return observed_running_import(
        an_import_spec(**wish),
        observed.object.status,
        **{
            name: getattr(observed, name)
            for name in ("job", "pods", "server", "target_objects", "progress", "preview", "swap")
        },
    )


@pytest.mark.parametrize("observed", STAGES)
def test_a_cancel_is_obeyed_at_every_stage(observed: ObservedImport) -> None:
    decision = decide(wishing(observed, cancel=True))
    assert (decision.status.state, decision.actions) == (ImportState.CANCELLED, ())
    assert decision.status.completed_at == NOW


@pytest.mark.parametrize("observed", STAGES)
def test_a_suspension_is_written_before_the_job_goes(observed: ObservedImport) -> None:
    decision = decide(wishing(observed, suspend=True))
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, Reason.SUSPENDED)
    assert (decision.actions, decision.requeue_after) == ((), timedelta(0))
    assert decision.status.job == observed.object.status.job


# --- dry runs ---


def dry_run(*, ok: bool) -> ObservedImport:
    verdict = CheckStatus.PASS if ok else CheckStatus.FAIL
    report = a_preflight(ok=ok, checks=[PreflightCheck(name="source_size_within_plan", status=verdict, detail="8 MB")])
    ended = a_container("preflight", exit_code=0, ended_at=NOW, result=a_result("preflight", preflight=report))
    return observed_running_import(
        an_import_spec(dryRun=True, target=None), preview=None, pods=(a_pod(preflight=ended, import_=None),)
    )


@pytest.mark.parametrize(
    ("ok", "words"), [pytest.param(True, "is ok", id="ok"), pytest.param(False, "is not ok", id="not ok")]
)
def test_a_dry_run_completes_with_its_report_whatever_it_says(ok: bool, words: str) -> None:
    decision = decide(dry_run(ok=ok))
    assert (decision.status.state, decision.actions) == (ImportState.COMPLETED, ())
    assert words in decision.message
    assert decision.status.preflight is not None
    assert decision.status.preflight.ok is ok
    assert decision.status.shadow is None


def test_a_dry_run_that_did_not_reach_its_source_is_tried_again() -> None:
    pod = a_pod(
        phase="Failed",
        import_=None,
        preflight=a_container(
            "preflight",
            exit_code=10,
            ended_at=RECENT,
            result=a_failed_result(Reason.SOURCE_UNREACHABLE, step="preflight"),
        ),
    )
    decision = decide(observed_running_import(an_import_spec(dryRun=True, target=None), preview=None, pods=(pod,)))
    assert reason(decision) == Reason.RETRYING


# --- success ---


def test_a_pod_that_ended_well_leads_to_the_swap_whatever_the_clock_says() -> None:
    decision = decide(observed_running_import(status=GATED, pods=(a_finished_pod(),)), BORN + timedelta(days=3))
    assert decision.status.state is ImportState.RUNNING
    assert decision.status.shadow == a_shadow(verified=True)
    assert decision.status.verification is not None
    assert (decision.actions, decision.requeue_after) == ((), timedelta(0))


def test_a_preflights_own_good_end_is_never_taken_for_a_verified_copy() -> None:
    pod = a_pod(phase="Succeeded", preflight=passed_preflight(), import_=None)
    decision = decide(observed_running_import(pods=(pod,)))
    assert decision.status.shadow is None or not decision.status.shadow.verified


def test_a_success_is_seen_although_the_job_is_gone() -> None:
    decision = decide(observed_running_import(status=GATED, job=None, pods=(a_finished_pod(job_uid=JOB_UID),)))
    assert decision.status.shadow == a_shadow(verified=True)


def test_derived_names_of_a_shadow_are_the_workers_own() -> None:
    assert a_shadow().database == attempt_names(POD_UID).database

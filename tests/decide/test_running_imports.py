"""Running imports: the start, the gate, cancel and suspend, dry runs, and success."""

from datetime import timedelta

import pytest
from tests.decide.import_decisions import COPYING, POLICY, RECENT, UNREACHABLE, decide, reason, starting
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
    a_pod,
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

from pgimport.decide.decision import (
    CreateJob,
    DeleteJobSecret,
    DropAttempt,
    PrepareShadow,
    ReleaseTarget,
)
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.names import attempt_names, job_name
from pgimport.model.observations import ObservedPod
from pgimport.model.reasons import Reason
from pgimport.model.result import CheckStatus, PreflightCheck
from pgimport.model.status import ImportPhase, ImportState, Progress

# --- the start ---


def test_a_running_import_without_a_job_gets_one() -> None:
    decision = decide(starting())
    assert decision.actions == (CreateJob(3),)
    assert decision.status.job == job_name("debian", "import-uid")
    assert decision.status.progress == Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=NOW)


def test_a_resumed_import_has_only_its_remaining_attempts() -> None:
    history = [an_attempt("one", reason="SourceUnreachable", ended_at=BORN)]
    status = a_running_status(job=None, attempt_history=history)
    observed = observed_running_import(None, status, job=None, pods=(), server=a_server(), target_objects=())
    assert decide(observed).actions == (CreateJob(2),)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(starting(server=UNREACHABLE), Reason.SERVER_UNREACHABLE, id="the server does not answer"),
        pytest.param(starting(target_objects=UNREACHABLE), Reason.SERVER_UNREACHABLE, id="the target cannot be read"),
    ],
)
def test_a_start_waits_for_the_target_server(observed: ObservedImport, expected: Reason) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, expected)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


@pytest.mark.parametrize(
    ("observed", "expected", "text"),
    [
        pytest.param(
            starting(target_objects=("table public.users",)),
            Reason.TARGET_NOT_EMPTY,
            "PreviewDatabase pr-42 holds table public.users",
            id="the target has objects and recreate is false",
        ),
        pytest.param(
            starting(server=a_server(version="14.3", version_num=140003)),
            Reason.NOT_SUPPORTED,
            "PostgreSQL 14.3; this installation has worker images for 17",
            id="no worker image for the server's major",
        ),
        pytest.param(starting(preview=None), Reason.TARGET_GONE, "was deleted", id="the preview is gone"),
        pytest.param(
            starting(preview=a_preview(deleting=True)),
            Reason.TARGET_GONE,
            "was deleted",
            id="the preview is being deleted",
        ),
        pytest.param(
            starting(preview=a_preview(status=a_ready_status(active_import="somebody"))),
            Reason.TARGET_GONE,
            "claimed by another import",
            id="another import has the preview",
        ),
    ],
)
def test_a_start_that_cannot_succeed_fails_and_creates_no_job(
    observed: ObservedImport, expected: Reason, text: str
) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision), decision.actions) == (ImportState.FAILED, expected, ())
    assert text in (decision.status.error or "")


def test_recreate_starts_although_the_target_has_objects() -> None:
    # With recreate the target is not observed.
    observed = starting(spec=an_import_spec(recreate=True), target_objects=None)
    assert decide(observed).actions == (CreateJob(3),)


def test_an_import_that_took_the_last_slot_together_with_another_becomes_pending_again() -> None:
    """Two operators observed one free slot. Both imports are running, and neither has a Job."""
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
def test_the_gate_stays_closed_without_a_passed_preflight(pod: ObservedPod) -> None:
    decision = decide(observed_running_import(pods=(pod,)), BORN + timedelta(minutes=1))
    assert decision.actions == ()
    assert decision.status.shadow is None


def test_a_second_attempt_gets_a_new_shadow_and_the_first_shadow_is_dropped() -> None:
    status = a_running_status(shadow=a_shadow("one"))
    decision = decide(observed_running_import(status=status, pods=(a_failed_pod("one"), a_copying_pod("two"))))
    assert decision.actions == (DropAttempt("one"), PrepareShadow("two", a_source()))
    assert decision.status.shadow == a_shadow("two")
    assert [attempt.number for attempt in decision.status.attempt_history] == [1, 2]
    assert decision.status.attempts == 2
    assert decision.status.attempt_history[0].cleaned_up


def test_the_current_pod_is_shown_as_claimed_by() -> None:
    decision = decide(observed_running_import(pods=(a_pod(),)))
    assert (decision.status.claimed_by, decision.status.claimed_at) == (f"pod-{POD_UID}", NOW)


# --- cancel and suspend ---

STAGES = [
    pytest.param(starting(), id="before the Job"),
    pytest.param(observed_running_import(), id="in the preflight"),
    pytest.param(observed_running_import(status=COPYING, pods=(a_copying_pod(),)), id="in the copy"),
    pytest.param(observed_running_import(status=COPYING, pods=(a_failed_pod(),)), id="between two attempts"),
    pytest.param(observed_running_import(status=COPYING, pods=(a_finished_pod(),)), id="when the copy has just ended"),
]


def with_options(observed: ObservedImport, **options: bool) -> ObservedImport:
    return observed_running_import(
        an_import_spec(**options),
        observed.object.status,
        **{
            name: getattr(observed, name)
            for name in ("job", "pods", "server", "target_objects", "progress", "preview", "swap")
        },
    )


@pytest.mark.parametrize("observed", STAGES)
def test_a_cancel_is_obeyed_at_every_stage(observed: ObservedImport) -> None:
    decision = decide(with_options(observed, cancel=True))
    assert (decision.status.state, decision.actions) == (ImportState.CANCELLED, ())
    assert decision.status.completed_at == NOW


def test_an_attempt_that_is_cancelled_ends_with_its_import() -> None:
    """Seen before: the history of a cancelled import had an attempt without an end for ever."""
    copying = STAGES[2].values[0]
    assert isinstance(copying, ObservedImport)
    (attempt,) = decide(with_options(copying, cancel=True)).status.attempt_history
    assert (attempt.reason, attempt.ended_at, attempt.number) == (Reason.CANCELLED, NOW, 1)
    assert attempt.error == "the import was cancelled while this attempt was running"


def test_an_attempt_that_a_limit_ends_has_the_reason_of_the_import() -> None:
    late = decide(observed_running_import(status=COPYING, pods=(a_copying_pod(),)), NOW + timedelta(days=7))
    (attempt,) = late.status.attempt_history
    assert (late.status.state, attempt.reason) == (ImportState.FAILED, Reason.DEADLINE_EXCEEDED)


@pytest.mark.parametrize("observed", STAGES)
def test_a_suspension_is_written_before_the_job_is_deleted(observed: ObservedImport) -> None:
    decision = decide(with_options(observed, suspend=True))
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
    ("ok", "text"), [pytest.param(True, "is ok", id="ok"), pytest.param(False, "is not ok", id="not ok")]
)
def test_a_dry_run_completes_with_its_report_whether_it_is_ok_or_not(ok: bool, text: str) -> None:
    decision = decide(dry_run(ok=ok))
    assert (decision.status.state, decision.actions) == (ImportState.COMPLETED, ())
    assert text in decision.message
    assert decision.status.preflight is not None
    assert decision.status.preflight.ok is ok
    assert decision.status.shadow is None


def test_between_two_attempts_nothing_has_a_rate() -> None:
    copied = Progress(
        phase=ImportPhase.DATA, percent=40, bytes_per_second=35_000_000, eta_seconds=51, waiting_for="a lock", at=RECENT
    )
    failed = a_finished_pod(import_=a_container("import", exit_code=13, ended_at=RECENT))
    decision = decide(
        observed_running_import(status=a_running_status(shadow=a_shadow(), progress=copied), pods=(failed,))
    )
    assert reason(decision) == Reason.RETRYING
    assert decision.status.progress == Progress(phase=ImportPhase.DATA, percent=40, at=RECENT)


def test_a_dry_run_that_did_not_reach_its_source_is_repeated() -> None:
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


def test_a_pod_that_completed_leads_to_the_swap_even_after_the_timeout() -> None:
    decision = decide(observed_running_import(status=COPYING, pods=(a_finished_pod(),)), BORN + timedelta(days=3))
    assert decision.status.state is ImportState.RUNNING
    assert decision.status.shadow == a_shadow(verified=True, verified_at=BORN + timedelta(days=3))
    assert decision.status.verification is not None
    assert (decision.actions, decision.requeue_after) == ((), timedelta(0))


def test_a_verified_copy_has_the_time_of_its_sources_snapshot() -> None:
    ended = a_container("import", exit_code=0, ended_at=NOW, result=a_result(data_as_of=BORN))
    decision = decide(observed_running_import(status=COPYING, pods=(a_finished_pod(import_=ended),)))
    assert decision.status.data_as_of == BORN
    assert decide(observed_running_import(status=COPYING, pods=(a_finished_pod(),))).status.data_as_of is None


def test_a_verified_copy_keeps_what_was_copied_and_how_long_the_source_was_held() -> None:
    """The last line of progress may have been written after the operator read the log."""
    progress = Progress(
        phase=ImportPhase.VERIFY,
        percent=90,
        tables_done=7,
        tables_total=8,
        bytes_done=90,
        bytes_total=100,
        bytes_per_second=5,
        eta_seconds=2,
        source_held_seconds=30,
        waiting_for="a lock",
        at=BORN,
    )
    status = COPYING.model_copy(update={"progress": progress})
    shown = decide(observed_running_import(status=status, pods=(a_finished_pod(),))).status.progress
    assert shown == Progress(
        phase=ImportPhase.SWAP,
        percent=99,
        tables_done=8,
        tables_total=8,
        bytes_done=100,
        bytes_total=100,
        source_held_seconds=30,
        at=NOW,
    )


def test_a_preflight_that_passed_is_no_verified_copy() -> None:
    pod = a_pod(phase="Succeeded", preflight=passed_preflight(), import_=None)
    decision = decide(observed_running_import(pods=(pod,)))
    assert decision.status.shadow is None or not decision.status.shadow.verified


def test_a_pod_that_completed_is_a_success_although_its_job_is_gone() -> None:
    decision = decide(observed_running_import(status=COPYING, job=None, pods=(a_finished_pod(job_uid=JOB_UID),)))
    assert decision.status.shadow == a_shadow(verified=True, verified_at=NOW)


def test_the_shadows_name_is_the_one_that_the_worker_derives() -> None:
    assert a_shadow().database == attempt_names(POD_UID).database

"""What a running import needs next: its Job, its shadow, its swap, or its end."""

from datetime import datetime, timedelta

from pgimport.decide import timeouts
from pgimport.decide.attempts import (
    PodOutcome,
    counted,
    current_pod,
    disruptions,
    judge_pod,
    merge_attempts,
    pod_at_work,
)
from pgimport.decide.decision import IMMEDIATELY, Action, CreateJob, Decision, DropAttempt, PrepareShadow
from pgimport.decide.import_swap import decide_swap
from pgimport.decide.import_transitions import cancelled, completed, failed, pending, running
from pgimport.decide.observed import ObservedImport
from pgimport.decide.pending_imports import let_go, wait_for_slot, without_job
from pgimport.model.names import attempt_names, job_name
from pgimport.model.observations import ObservedPod, ObservedServer, Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.resources import PreviewObject
from pgimport.model.result import SourceInfo, WorkerResult
from pgimport.model.spec import ImportSpec
from pgimport.model.status import ImportPhase, ImportStatus, Progress, Shadow


def decide_running(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """In this order: a verified shadow is swapped whatever else is wished; then the user's wishes; then the world."""
    if status.job is not None:
        status = _with_evidence(observed, status, now)
    if status.shadow is not None and status.shadow.verified:
        return decide_swap(observed, status, spec, now, policy)
    if spec.cancel:
        return cancelled(observed, status, now)
    if spec.suspend:
        return pending(observed, status, Reason.SUSPENDED, "held by spec.suspend", now, IMMEDIATELY)
    if not spec.dry_run and (lost := _find_lost_target(observed, spec)) is not None:
        return failed(observed, status, lost, now)
    if status.job is None:
        return _decide_start(observed, status, spec, now, policy)
    return _decide_progress(observed, status, spec, now, policy)


def _find_lost_target(observed: ObservedImport, spec: ImportSpec) -> Failure | None:
    preview: PreviewObject | None = observed.preview
    name = spec.target.preview_database if spec.target else ""
    if preview is None or preview.meta.deleting:
        return Failure(Reason.TARGET_GONE, f"PreviewDatabase {name} was deleted while the import was running")
    if preview.status.active_import not in (None, observed.object.meta.uid):
        return Failure(Reason.TARGET_GONE, f"PreviewDatabase {name} is held by another import")
    return None


def _decide_start(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    if (late := timeouts.find_deadline(status, spec, now)) is not None:
        return failed(observed, status, late, now)
    if (full := wait_for_slot(observed, spec)) is not None:
        return pending(observed, without_job(status), *full, now, policy.waiting_interval, let_go(observed))
    for answer in (observed.server, observed.target_objects):
        if isinstance(answer, Unreachable):
            return running(observed, status, answer.failure.reason, answer.failure.message, now, policy.retry_interval)
    if isinstance(observed.target_objects, tuple) and observed.target_objects:
        return failed(observed, status, describe_not_empty(spec, observed.target_objects), now)
    if isinstance(observed.server, ObservedServer) and (failure := _find_no_image(observed.server, policy)) is not None:
        return failed(observed, status, failure, now)
    meta = observed.object.meta
    first = Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=now)
    made = status.model_copy(update={"progress": first, "job": job_name(meta.name, meta.uid)})
    left = spec.max_attempts - counted(status.attempt_history)
    return running(
        observed, made, Reason.RUNNING, "its Job is at work", now, policy.progress_interval, (CreateJob(max(left, 1)),)
    )


def _find_no_image(server: ObservedServer, policy: Policy) -> Failure | None:
    major = str(server.version_num // 10000)
    if major in policy.worker_images:
        return None
    known = ", ".join(sorted(policy.worker_images)) or "none"
    return Failure(
        Reason.NOT_SUPPORTED,
        f"the target server is PostgreSQL {server.version}; this installation has worker images for {known}",
    )


def describe_not_empty(spec: ImportSpec, objects: tuple[str, ...]) -> Failure:
    """The first few things that would be lost."""
    name = spec.target.preview_database if spec.target else ""
    return Failure(
        Reason.TARGET_NOT_EMPTY, f"PreviewDatabase {name} holds {', '.join(objects)}; recreate is false, so it stays"
    )


def _with_evidence(observed: ObservedImport, status: ImportStatus, now: datetime) -> ImportStatus:
    """Attempts, the current pod, and what the last container that ended said."""
    attempts = merge_attempts(status.attempt_history, observed.pods, now)
    changes: dict[str, object] = {"attempt_history": attempts, "attempts": counted(attempts)}
    if attempts and attempts[-1].pod != status.claimed_by:
        changes |= {"claimed_by": attempts[-1].pod, "claimed_at": now}
    for pod in observed.pods:
        for container in (pod.preflight, pod.import_):
            if container is not None and container.result is not None:
                changes |= _words(container.result)
    if (last := _last_ended(observed)) is not None:
        changes["last_exit_code"] = judge_pod(last).exit_code
    return status.model_copy(update=changes)


def _words(result: WorkerResult) -> dict[str, object]:
    found = {
        "preflight": result.preflight,
        "verification": result.verification,
        "last_stdout": result.stdout_tail,
        "last_stderr": result.stderr_tail,
    }
    return {name: value for name, value in found.items() if value is not None}


def _last_ended(observed: ObservedImport) -> ObservedPod | None:
    return next((pod for pod in reversed(observed.pods) if pod.over), None)


def _last_step(spec: ImportSpec) -> str:
    """What the container that ends a pod well must have done."""
    return "preflight" if spec.dry_run else "import"


def _decide_progress(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    last, outcome = _last_ended(observed), None
    if last is not None:
        outcome = judge_pod(last)
        if outcome.failure is None and outcome.result is not None and outcome.result.step == _last_step(spec):
            return _decide_success(observed, status, spec, last, outcome.result, now)
    if (final := _find_final(observed, status, spec, outcome, policy)) is not None:
        return failed(observed, status, final, now)
    if (late := _find_late(observed, status, spec, now)) is not None:
        return failed(observed, status, late, now)
    pod = current_pod(observed.pods)
    status, actions = _drop_ended(status, pod)
    if pod is not None and (source := _gate(status, spec, pod)) is not None:
        names = attempt_names(pod.uid)
        shadow = Shadow(pod_uid=pod.uid, database=names.database, role=names.role)
        status = status.model_copy(
            update={"shadow": shadow, "progress": Progress(phase=ImportPhase.SCHEMA, percent=1, at=now)}
        )
        message = f"the preflight of pod {pod.name} passed: its shadow database is prepared"
        return running(
            observed,
            status,
            Reason.RUNNING,
            message,
            now,
            policy.progress_interval,
            (*actions, PrepareShadow(pod.uid, source)),
        )
    status = _with_progress(observed, status, now, policy)
    if pod is None and outcome is not None and outcome.failure is not None:
        message = (
            f"attempt {status.attempts} of {spec.max_attempts} failed and is tried again: {outcome.failure.message}"
        )
        retried = status.model_copy(update={"retry_classification": outcome.failure.classification})
        return running(observed, retried, Reason.RETRYING, message, now, policy.progress_interval, actions)
    return running(observed, status, Reason.RUNNING, "its Job is at work", now, policy.progress_interval, actions)


def _decide_success(
    observed: ObservedImport,
    status: ImportStatus,
    spec: ImportSpec,
    pod: ObservedPod,
    result: WorkerResult,
    now: datetime,
) -> Decision[ImportStatus]:
    if spec.dry_run:
        verdict = "ok" if result.preflight is not None and result.preflight.ok else "not ok"
        return completed(observed, status, f"dry run: the preflight is {verdict}; nothing was changed", now)
    names = attempt_names(pod.uid)
    shadow = Shadow(pod_uid=pod.uid, database=names.database, role=names.role, verified=True)
    moved = status.model_copy(
        update={"shadow": shadow, "progress": Progress(phase=ImportPhase.SWAP, percent=99, at=now)}
    )
    message = "the copy is verified: the swap begins"
    return running(observed, moved, Reason.RUNNING, message, now, IMMEDIATELY)


def _find_final(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, outcome: PodOutcome | None, policy: Policy
) -> Failure | None:
    """The failure that ends the import: one that cannot heal, the last attempt's, or the Job's own end."""
    failure = outcome.failure if outcome else None
    if failure is not None and failure.classification is RetryClassification.PERMANENT:
        return failure
    if disruptions(status.attempt_history) >= policy.max_disruptions:
        return Failure(Reason.DISRUPTED, f"the import's pod was disrupted {policy.max_disruptions} times")
    ended = sum(found.reason is not None and found.number > 0 for found in status.attempt_history)
    last_words = next(
        (
            Failure(Reason(found.reason), found.error)
            for found in reversed(status.attempt_history)
            if found.reason is not None and found.reason in Reason.__members__.values() and found.error
        ),
        None,
    )
    if ended >= spec.max_attempts and current_pod(observed.pods) is None:
        return failure or last_words or Failure(Reason.POD_GONE, "the last attempt's pod ended unseen")
    job = observed.job
    if job is None or not job.ours:
        return Failure(Reason.RESULT_LOST, f"Job {status.job} was deleted before its result was read")
    if job.failed_reason == "DeadlineExceeded":
        return Failure(Reason.DEADLINE_EXCEEDED, "the import did not end within spec.timeout")
    if job.failed_reason is not None:
        return failure or last_words or Failure(Reason.WORKER_FAILED, f"Job {job.name} failed: {job.failed_message}")
    if job.complete and current_pod(observed.pods) is None:
        gone = Failure(Reason.RESULT_LOST, f"Job {job.name} is complete, but its pod was deleted before it was read")
        return failure or gone
    return None


def _find_late(observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    pod = pod_at_work(observed.pods)
    at_gate = pod is None or status.shadow is None or status.shadow.pod_uid != pod.uid
    return (
        timeouts.find_deadline(status, spec, now)
        or timeouts.find_no_start(observed, status, spec, pod, now)
        or timeouts.find_hung_preflight(observed, spec, pod, now)
        or (None if at_gate else timeouts.find_stall(observed, status, spec, now))
        or _find_too_large(observed)
    )


def _find_too_large(observed: ObservedImport) -> Failure | None:
    limit = observed.project.spec.storage_limit_bytes if observed.project and observed.project.spec else None
    if limit is None or observed.shadow_bytes is None or observed.shadow_bytes <= limit:
        return None
    return Failure(
        Reason.SOURCE_TOO_LARGE,
        f"the copy holds {observed.shadow_bytes} bytes already, the Project's storageLimitBytes is {limit}",
    )


def _drop_ended(status: ImportStatus, current: ObservedPod | None) -> tuple[ImportStatus, tuple[Action, ...]]:
    """Failed attempts' shadows go as soon as they are observed: they cost the target's disk."""
    actions: list[Action] = []
    history = []
    for found in status.attempt_history:
        over = found.reason is not None and not found.cleaned_up
        if over and (current is None or current.uid != found.pod_uid):
            actions.append(DropAttempt(found.pod_uid))
            history.append(found.model_copy(update={"cleaned_up": True}))
        else:
            history.append(found)
    return status.model_copy(update={"attempt_history": history}), tuple(actions)


def _gate(status: ImportStatus, spec: ImportSpec, pod: ObservedPod) -> SourceInfo | None:
    """What the shadow must be like, once this pod's preflight has passed and nothing was prepared for it."""
    prepared = status.shadow is not None and status.shadow.pod_uid == pod.uid
    if spec.dry_run or prepared or pod.preflight is None or not pod.preflight.ended or pod.preflight.result is None:
        return None
    report = pod.preflight.result.preflight
    return report.source if report is not None else None


def _with_progress(observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy) -> ImportStatus:
    """At most one write an interval. The worker speaks only when something moved: the stall clock reads `at`."""
    told, shown = observed.progress, status.progress
    if told is None or not timeouts.has_moved(shown, told):
        return status
    updated = status.updated_at
    slack = timedelta(milliseconds=300)
    if (
        shown is not None
        and shown.phase == told.phase
        and updated is not None
        and timedelta(0) <= now - updated < policy.progress_interval - slack
    ):
        return status
    return status.model_copy(update={"progress": timeouts.take_progress(told, now)})

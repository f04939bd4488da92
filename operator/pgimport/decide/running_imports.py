"""Decides the next step of a running import: its Job, its shadow, its swap, or its end."""

from dataclasses import replace
from datetime import datetime, timedelta

from pgimport.decide import timeouts
from pgimport.decide.attempts import (
    PodOutcome,
    count_attempts,
    count_disruptions,
    current_pod,
    last_ended_pod,
    merge_attempts,
    pod_at_work,
    pod_outcome,
    preempted_pods,
    without_preempted,
)
from pgimport.decide.conditions import ConditionSet, in_progress
from pgimport.decide.decision import IMMEDIATELY, Action, CreateJob, Decision, DropAttempt, PrepareShadow
from pgimport.decide.import_reports import decide_report
from pgimport.decide.import_swap import SWAP_BEGINS, decide_swap
from pgimport.decide.import_transitions import cancelled, completed, failed, pending, running
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.pending_imports import (
    SUSPENDED,
    find_lost_target,
    find_own_queue,
    release_all,
    wait_for_slot,
    without_job,
)
from pgimport.decide.queued_imports import AT_WORK, preempt
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import attempt_names, job_name
from pgimport.model.observations import ObservedPod, ObservedServer, Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.result import SourceInfo, WorkerResult
from pgimport.model.status import Attempt, ImportPhase, ImportStatus, Progress, Shadow

# Progress is also written if it comes this much before its interval is over.
INTERVAL_TOLERANCE = timedelta(milliseconds=300)


def decide_running(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Decides in this order: the swap of a verified shadow, cancel or suspend, and then the Job and its pods."""
    if status.job is not None:
        observed, status = _with_attempts(observed, status, now)
    if status.shadow is not None and status.shadow.verified:
        return decide_swap(observed, status, spec, now, policy)
    if spec.cancel:
        return cancelled(status, now)
    if spec.suspend:
        return pending(status, SUSPENDED, now, IMMEDIATELY)
    if not spec.dry_run and (lost := find_lost_target(observed, spec)) is not None:
        return failed(status, lost, now)
    if status.job is None:
        return _decide_start(observed, status, spec, now, policy)
    return _decide_progress(observed, status, spec, now, policy)


# --- before the Job ---


def _decide_start(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Creates the Job, if the slot is still free, the server answers, and the target may be replaced."""
    if (late := timeouts.find_deadline(status, spec, now)) is not None:
        return failed(status, late, now)
    queue = find_own_queue(observed)
    if queue is None and (no_slot := wait_for_slot(observed, spec)) is not None:
        return pending(without_job(status), no_slot, now, policy.waiting_interval, release_all(observed))
    for answer in (observed.server, observed.target_objects):
        if isinstance(answer, Unreachable):
            conditions = in_progress(answer.failure.reason, answer.failure.message)
            return running(status, conditions, now, policy.retry_interval)
    if observed.swap_refusal is not None:
        return failed(status, observed.swap_refusal, now)
    if isinstance(observed.target_objects, tuple) and observed.target_objects:
        return failed(status, _describe_target_objects(spec, observed.target_objects), now)
    if isinstance(observed.server, ObservedServer) and (failure := _find_no_image(observed.server, policy)) is not None:
        return failed(status, failure, now)
    if spec.source.upload_key is not None:
        status = status.model_copy(update={"upload_signed_at": now})
    create = CreateJob(max(spec.max_attempts - count_attempts(status.attempt_history), 1))
    meta = observed.object.meta
    job = job_name(meta.name, meta.uid)
    if queue is not None:
        queued = status.model_copy(update={"job": job, "started_at": None, "progress": None})
        conditions = in_progress(Reason.QUEUED, f"The import waits in queue {queue}.")
        return pending(queued, conditions, now, policy.waiting_interval, (create,))
    progress = Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=now)
    started = status.model_copy(update={"progress": progress, "job": job})
    return running(started, AT_WORK, now, policy.progress_interval, (create,))


def _find_no_image(server: ObservedServer, policy: Policy) -> Failure | None:
    major = str(server.version_num // 10000)
    if major in policy.worker_images:
        return None
    majors = ", ".join(sorted(policy.worker_images)) or "none"
    return Failure(
        Reason.NOT_SUPPORTED,
        f"the target server is PostgreSQL {server.version}; this installation has worker images for {majors}",
    )


def _describe_target_objects(spec: ImportSpec, objects: tuple[str, ...]) -> Failure:
    name = spec.target.preview_database if spec.target else ""
    return Failure(
        Reason.TARGET_NOT_EMPTY,
        f"PreviewDatabase {name} holds {', '.join(objects)}; recreate is false, so the database is kept",
    )


# --- while the Job works ---


def _with_attempts(
    observed: ObservedImport, status: ImportStatus, now: datetime
) -> tuple[ObservedImport, ImportStatus]:
    """Returns the status with the attempts, the current pod, and the report of the last container that ended.

    Also returns the observation without the pods of attempts that a queue preempted.
    """
    attempts = merge_attempts(status.attempt_history, observed.pods, now, observed.job)
    observed = replace(observed, pods=without_preempted(observed.pods, attempts, observed.job))
    changes: dict[str, object] = {"attempt_history": attempts, "attempts": count_attempts(attempts)}
    if preempted_pods(attempts) - preempted_pods(status.attempt_history):
        changes["started_at"] = now  # if the Job already runs again, the timeout starts anew
    if attempts and attempts[-1].pod != status.claimed_by:
        changes |= {"claimed_by": attempts[-1].pod, "claimed_at": now}
    for pod in observed.pods:
        for container in (pod.preflight, pod.import_):
            if container is not None and container.result is not None:
                changes |= _report_fields(container.result)
    if (last := last_ended_pod(observed.pods)) is not None:
        changes["last_exit_code"] = pod_outcome(last).exit_code
    return observed, status.model_copy(update=changes)


def _report_fields(result: WorkerResult) -> dict[str, object]:
    """Returns the status fields that a container's result fills."""
    fields = {
        "preflight": result.preflight,
        "verification": result.verification,
        "data_as_of": result.data_as_of,
        "skipped": result.skipped_count,
        "refused": result.refused_count,
        "skipped_objects": result.skipped if result.skipped_count is not None else None,
        "last_stdout": result.stdout_tail,
        "last_stderr": result.stderr_tail,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _decide_progress(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    if (stored := decide_report(observed, status, now)) is not None:
        return stored
    last = last_ended_pod(observed.pods)
    outcome = pod_outcome(last) if last is not None else None
    if last is not None and outcome is not None and _is_success(outcome, spec):
        return _decide_success(status, spec, last, outcome, now)
    if (failure := _find_final_failure(observed, status, spec, outcome, policy)) is not None:
        return failed(status, failure, now)
    if observed.job is not None and observed.job.suspended:
        return preempt(observed, status, now)
    if (late := _find_late(observed, status, spec, now)) is not None:
        return failed(status, late, now)
    pod = current_pod(observed.pods)
    status, actions = _drop_ended(status, pod)
    if pod is not None and (source := _find_gate(status, spec, pod)) is not None:
        return _open_gate(status, pod, now, policy, (*actions, PrepareShadow(pod.uid, source)))
    status = _with_progress(observed, status, now, policy)
    conditions = _describe_work(status.progress, pod_at_work(observed.pods))
    obstacle = timeouts.describe_obstacle(observed, pod)
    if obstacle is not None:
        conditions = in_progress(Reason.STARTING, f"No container of the import starts: {obstacle}")
    if pod is None and outcome is not None and outcome.failure is not None:
        conditions = _describe_retry(status, spec, outcome.failure, obstacle)
        status = status.model_copy(update={"retry_classification": outcome.failure.classification})
    if conditions.reason is not Reason.RUNNING:
        status = status.model_copy(update={"progress": _pause_progress(status.progress)})
    interval = timeouts.find_next_look(observed, status, spec, now, policy)
    return running(status, conditions, now, interval, actions)


def _pause_progress(progress: Progress | None) -> Progress | None:
    """Leaves out what is true only while an attempt works. Its rate is no rate any more after it has failed."""
    ended = dict.fromkeys(("bytes_per_second", "eta_seconds", "waiting_for", "source_held_for"))
    return progress.model_copy(update=ended) if progress is not None else None


def _is_success(outcome: PodOutcome, spec: ImportSpec) -> bool:
    """Tells whether the pod did all its work: a preflight alone is a success only in a dry run."""
    step = "preflight" if spec.dry_run else "import"
    return outcome.failure is None and outcome.result is not None and outcome.result.step == step


def _build_swap_progress(copied: Progress | None, now: datetime) -> Progress:
    """Keeps what the copy has reported. A verified copy is complete, and its last line may not have been read."""
    if copied is None:
        return Progress(phase=ImportPhase.SWAP, percent=99, at=now)
    return Progress(
        phase=ImportPhase.SWAP,
        percent=99,
        tables_done=copied.tables_total,
        tables_total=copied.tables_total,
        bytes_done=copied.bytes_total,
        bytes_total=copied.bytes_total,
        source_held_seconds=copied.source_held_seconds,
        at=now,
    )


def _decide_success(
    status: ImportStatus, spec: ImportSpec, pod: ObservedPod, outcome: PodOutcome, now: datetime
) -> Decision[ImportStatus]:
    if spec.dry_run:
        preflight = outcome.result.preflight if outcome.result is not None else None
        verdict = "ok" if preflight is not None and preflight.ok else "not ok"
        return completed(status, f"The preflight is {verdict}. It was a dry run, so nothing was changed.", now)
    names = attempt_names(pod.uid)
    shadow = Shadow(pod_uid=pod.uid, database=names.database, role=names.role, verified=True, verified_at=now)
    verified = status.model_copy(update={"shadow": shadow, "progress": _build_swap_progress(status.progress, now)})
    return running(verified, SWAP_BEGINS, now, IMMEDIATELY)


def _find_final_failure(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, outcome: PodOutcome | None, policy: Policy
) -> Failure | None:
    """Returns the failure that ends the import: a permanent one, the last attempt's, or the Job's own end."""
    failure = outcome.failure if outcome else None
    if failure is not None and failure.classification is RetryClassification.PERMANENT:
        return failure
    if count_disruptions(status.attempt_history) >= policy.max_disruptions:
        return Failure(Reason.DISRUPTED, f"the import's pod was disrupted {policy.max_disruptions} times")
    failure = failure or _last_recorded_failure(status.attempt_history)
    ended = sum(attempt.reason is not None and attempt.number > 0 for attempt in status.attempt_history)
    if ended >= spec.max_attempts and current_pod(observed.pods) is None:
        return failure or Failure(Reason.POD_GONE, "the last attempt's pod ended before the operator observed it")
    return _find_job_failure(observed, status, outcome, failure)


def _last_recorded_failure(history: list[Attempt]) -> Failure | None:
    """Returns the newest failure in the history, except a preemption, after which the import goes on.

    Another version may have written reasons unknown to this one.
    """
    for attempt in reversed(history):
        known = attempt.reason in Reason.__members__.values() and attempt.reason != Reason.PREEMPTED
        if attempt.reason is not None and known and attempt.error:
            return Failure(Reason(attempt.reason), attempt.error)
    return None


def _find_job_failure(
    observed: ObservedImport, status: ImportStatus, outcome: PodOutcome | None, failure: Failure | None
) -> Failure | None:
    """Returns the failure that the Job itself shows. `failure` is the last attempt's, which says more."""
    job = observed.job
    if job is None or not job.ours:
        return Failure(Reason.RESULT_LOST, f"Job {status.job} was deleted before its result was read")
    if job.failed_reason == "DeadlineExceeded":
        return Failure(Reason.DEADLINE_EXCEEDED, "the import did not end within spec.timeout")
    if job.failed_reason is not None:
        return failure or Failure(Reason.WORKER_FAILED, f"Job {job.name} failed: {job.failed_message}")
    if job.complete and current_pod(observed.pods) is None:
        message = f"Job {job.name} is complete, but its pod was deleted before its result was read"
        return (outcome.failure if outcome else None) or Failure(Reason.RESULT_LOST, message)
    return None


def _find_late(observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Returns the failure of an import that exceeds one of its limits."""
    pod = pod_at_work(observed.pods)
    # Without its shadow, the worker waits at the gate and logs no progress.
    at_gate = pod is None or status.shadow is None or status.shadow.pod_uid != pod.uid
    return (
        timeouts.find_deadline(status, spec, now)
        or timeouts.find_no_start(observed, status, spec, pod, now)
        or timeouts.find_hung_preflight(observed, status, spec, pod, now)
        or (None if at_gate else timeouts.find_stall(observed, status, spec, now))
        or _find_too_large(observed)
    )


def _find_too_large(observed: ObservedImport) -> Failure | None:
    limit = observed.project.spec.storage_limit_bytes if observed.project and observed.project.spec else None
    if limit is None or observed.shadow_bytes is None or observed.shadow_bytes <= limit:
        return None
    message = f"the copy holds {observed.shadow_bytes} bytes already; the Project's storageLimitBytes is {limit}"
    return Failure(Reason.SOURCE_TOO_LARGE, message)


def _drop_ended(status: ImportStatus, current: ObservedPod | None) -> tuple[ImportStatus, tuple[Action, ...]]:
    """Drops the shadows of failed attempts at once, because they use the target server's disk."""
    actions: list[Action] = []
    history = []
    for attempt in status.attempt_history:
        ended = attempt.reason is not None and not attempt.cleaned_up
        if ended and (current is None or current.uid != attempt.pod_uid):
            actions.append(DropAttempt(attempt.pod_uid))
            history.append(attempt.model_copy(update={"cleaned_up": True}))
        else:
            history.append(attempt)
    return status.model_copy(update={"attempt_history": history}), tuple(actions)


def _find_gate(status: ImportStatus, spec: ImportSpec, pod: ObservedPod) -> SourceInfo | None:
    """Returns the source's properties for the shadow, if this pod's preflight has passed and it has no shadow yet."""
    prepared = status.shadow is not None and status.shadow.pod_uid == pod.uid
    if spec.dry_run or prepared or pod.preflight is None or not pod.preflight.ended or pod.preflight.result is None:
        return None
    report = pod.preflight.result.preflight
    return report.source if report is not None else None


def _open_gate(
    status: ImportStatus, pod: ObservedPod, now: datetime, policy: Policy, actions: tuple[Action, ...]
) -> Decision[ImportStatus]:
    names = attempt_names(pod.uid)
    shadow = Shadow(pod_uid=pod.uid, database=names.database, role=names.role)
    prepared = status.model_copy(
        update={"shadow": shadow, "progress": Progress(phase=ImportPhase.SCHEMA, percent=1, at=now)}
    )
    message = f"The preflight of pod {pod.name} passed. The operator prepares the shadow database."
    return running(prepared, in_progress(Reason.RUNNING, message), now, policy.progress_interval, actions)


def _describe_work(progress: Progress | None, pod: ObservedPod | None) -> ConditionSet:
    if (lost := timeouts.describe_lost_pod(pod)) is not None:
        return in_progress(Reason.RUNNING, f"{lost[:1].upper()}{lost[1:]}.")
    if progress is None or progress.waiting_for is None:
        return AT_WORK
    return in_progress(Reason.RUNNING, f"{progress.waiting_for[:1].upper()}{progress.waiting_for[1:]}.")


def _describe_retry(status: ImportStatus, spec: ImportSpec, failure: Failure, obstacle: str | None) -> ConditionSet:
    """Says why the last attempt failed, after what keeps the next one from starting: a long failure may be cut."""
    ended = f"Attempt {status.attempts} of {spec.max_attempts} failed"
    if failure.reason is Reason.DISRUPTED:
        ended = "An attempt was disrupted, which does not count,"
    if obstacle is not None:
        message = f"The next attempt does not start: {obstacle}. {ended.rstrip(',')}: {failure.message}"
        return in_progress(Reason.RETRYING, message)
    return in_progress(Reason.RETRYING, f"{ended} and is repeated: {failure.message}")


def _with_progress(observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy) -> ImportStatus:
    """Returns the status with the worker's progress, which is written at most once per interval.

    A new phase and a wait are shown at once. The worker logs a line only if something has progressed.
    """
    logged, shown = observed.progress, status.progress
    if logged is None or not timeouts.has_progressed(shown, logged):
        return status
    updated = status.updated_at
    minimum = policy.progress_interval - INTERVAL_TOLERANCE
    same_phase = shown is not None and (shown.phase, shown.waiting_for) == (logged.phase, logged.waiting_for)
    if same_phase and updated is not None and timedelta(0) <= now - updated < minimum:
        return status
    return status.model_copy(update={"progress": timeouts.show_progress(logged, now)})

"""Decides about an import whose Job a queue such as Kueue holds, and about a Job that a queue preempts.

A queued import is pending. It has its Job and its target, but no slot, and no limit on its time counts. It takes its
slot when the queue admits the Job. If no slot is free then, its pod waits at the gate.
"""

from datetime import datetime, timedelta

from pgimport.decide.conditions import ConditionSet, in_progress
from pgimport.decide.decision import IMMEDIATELY, Action, Decision, DropAttempt, SignUpload
from pgimport.decide.import_transitions import failed, pending, running
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.pending_imports import (
    find_lost_target,
    find_unready_target,
    release_all,
    wait_for_slot,
    without_job,
)
from pgimport.decide.timeouts import find_waiting_interval
from pgimport.model.import_spec import ImportSpec
from pgimport.model.observations import ObservedJob, ObservedWorkload
from pgimport.model.policy import Policy
from pgimport.model.reasons import Reason
from pgimport.model.status import ImportPhase, ImportStatus, Progress

AT_WORK = in_progress(Reason.RUNNING, "The import's Job is running.")


def has_queued_job(status: ImportStatus, job: ObservedJob | None) -> bool:
    """Tells whether the import is queued and its Job still exists. Without its Job, it starts anew."""
    return status.queued and job is not None and job.ours and not job.deleting


def decide_queued(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Keeps the import pending until the queue admits its Job and a slot is free. Then the timeout begins.

    If the target is about to be reset or to expire, the import gives up its Job and its claim.
    """
    if not spec.dry_run and (lost := find_lost_target(observed, spec)) is not None:
        return failed(status, lost, now)
    if (unready := find_unready_target(observed, spec, now)) is not None:
        # A preview must not outlive its ttl because an import of it waits in a queue.
        return pending(without_job(status), unready, now, policy.waiting_interval, release_all(observed))
    obstacle = _find_obstacle(observed, spec)
    status, drops = _drop_attempts(status)
    status, actions = _sign_upload(status, spec, now, policy.upload_url_age if obstacle is not None else timedelta(0))
    actions += drops
    if obstacle is not None:
        # Only an interval follows from this age, so the clock of the API server may differ from ours.
        queued_for = now - observed.job.created_at if observed.job is not None else timedelta(0)
        interval = find_waiting_interval(policy.waiting_interval, queued_for, policy)
        return pending(status, obstacle, now, interval, actions)
    progress = Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=now)
    admitted = status.model_copy(update={"started_at": now, "progress": progress})
    return running(admitted, AT_WORK, now, IMMEDIATELY, actions)


def _find_obstacle(observed: ObservedImport, spec: ImportSpec) -> ConditionSet | None:
    if observed.job is None or observed.job.suspended:
        return _describe_queue(observed.job, observed.workload)
    # A Job that has failed needs no slot, and its import ends at once.
    return wait_for_slot(observed, spec) if observed.job.failed_reason is None else None


def _sign_upload(
    status: ImportStatus, spec: ImportSpec, now: datetime, age: timedelta
) -> tuple[ImportStatus, tuple[Action, ...]]:
    """Signs the URL of the upload anew if it is at least this old.

    The pod of an admitted Job may start before the operator looks, so the URL must always be valid for long enough.
    """
    signed_at = status.upload_signed_at
    if spec.source.upload_key is None or (signed_at is not None and timedelta(0) <= now - signed_at < age):
        return status, ()
    return status.model_copy(update={"upload_signed_at": now}), (SignUpload(),)


def preempt(observed: ObservedImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    """Makes a running import pending because a queue has suspended its Job. It keeps its Job and its target.

    Kubernetes deletes the pods. The next reconcile drops the shadow, so that slot and clock do not wait for the server.
    """
    cleared = dict.fromkeys(("progress", "started_at", "claimed_at", "claimed_by"))
    conditions = _describe_queue(observed.job, observed.workload)
    return pending(status.model_copy(update=cleared), conditions, now, IMMEDIATELY)


def _drop_attempts(status: ImportStatus) -> tuple[ImportStatus, tuple[Action, ...]]:
    """Drops what a preempted attempt has left on the server."""
    left = [attempt.pod_uid for attempt in status.attempt_history if not attempt.cleaned_up]
    left += [status.shadow.pod_uid] if status.shadow is not None else []
    history = [attempt.model_copy(update={"cleaned_up": True}) for attempt in status.attempt_history]
    clean = status.model_copy(update={"shadow": None, "attempt_history": history})
    return clean, tuple(DropAttempt(uid) for uid in dict.fromkeys(left))


def _describe_queue(job: ObservedJob | None, workload: ObservedWorkload | None) -> ConditionSet:
    """Says in the queue's own words why it holds the Job, if Kueue has a Workload for it."""
    queue = job.queue if job is not None else None
    if workload is not None and workload.message is not None:
        place = f"queue {queue}" if queue else "a queue"
        return in_progress(Reason.QUEUED, f"The import waits in {place}: {workload.message}")
    if job is not None and queue is None:
        message = f"Job {job.name} is suspended, but not by the operator. The import continues when the Job is resumed."
        return in_progress(Reason.QUEUED, message)
    message = f"The import waits in queue {queue}. Kueue has not considered it yet: check that Kueue is running"
    classes = "" if workload is not None else ", and that the priority classes of the import and its pods exist"
    return in_progress(Reason.QUEUED, f"{message}{classes}.")

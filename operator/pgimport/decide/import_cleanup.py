"""Decides what remains to be done for a terminal import: the clean-up, its upload, and its own deletion."""

from datetime import datetime, timedelta

from pgimport.decide.attempts import count_attempts, pod_outcome
from pgimport.decide.conditions import CLEANED_UP, remove_condition
from pgimport.decide.decision import (
    Action,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DeleteScratchClaims,
    DeleteUpload,
    DropAttempt,
    DropReplaced,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
)
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.names import LABEL_EPHEMERAL
from pgimport.model.observations import ObservedJob
from pgimport.model.policy import Policy
from pgimport.model.reasons import PERMANENT_EXIT_CODES
from pgimport.model.status import ImportState, ImportStatus

EPHEMERAL_RETENTION = timedelta(minutes=5)


def decide_cleanup(
    observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Cleans up once and sets `status.cleanedUp`. Later reconciles only delete the upload and an ephemeral import."""
    if status.cleaned_up:
        return _decide_upload(observed, status, now, policy) or _decide_ephemeral(observed, status, now)
    history = [attempt.model_copy(update={"cleaned_up": True}) for attempt in status.attempt_history]
    clean = status.model_copy(update={"cleaned_up": True, "attempt_history": history, "locked_resource": None})
    actions = _build_cleanup(observed, status, policy)
    clean = remove_condition(clean, CLEANED_UP)
    return Decision(status=clean, actions=actions, message="The operator cleaned up after the import.")


def _build_cleanup(observed: ObservedImport, status: ImportStatus, policy: Policy) -> tuple[Action, ...]:
    """Builds the actions: stop the Job, drop databases and roles, delete the Secret, release the target."""
    job = observed.job if observed.job is not None and observed.job.ours else None
    end_job = _end_job(observed, status, job)
    actions: list[Action] = [*end_job, *_delete_claims(observed), *_drop_databases(observed, status)]
    if status.started_at is not None or status.job is not None:
        actions.append(DeleteJobSecret())
    if job is not None and DeleteJob() not in end_job and not job.ttl_set:
        seconds = observed.object.spec.ttl_seconds_after_finished if observed.object.spec else None
        actions.append(SetJobTTL(policy.job_ttl_seconds if seconds is None else seconds))
    if observed.preview is not None and observed.preview.status.active_import == observed.object.meta.uid:
        actions.append(ReleaseTarget())
    return tuple(actions)


def _end_job(observed: ObservedImport, status: ImportStatus, job: ObservedJob | None) -> tuple[Action, ...]:
    if job is None or job.complete or job.failed_reason is not None:
        return ()
    if job.suspended:  # by a queue such as Kueue; activeDeadlineSeconds does not apply, so the Job would never end
        return (DeleteJob(),)
    return () if _ends_by_itself(observed, status) else (StopJob(),)


def _delete_claims(observed: ObservedImport) -> tuple[Action, ...]:
    """Deletes the PersistentVolumeClaims of scratch before anything that may have to wait for the target server.

    Kubernetes deletes such a PersistentVolumeClaim with its pod, but the pod of a finished Job stays until the Job's
    TTL ends.
    """
    spec = observed.object.spec
    if spec is None or spec.scratch.storage_class_name is None or not observed.pods:
        return ()
    return (DeleteScratchClaims(tuple(pod.name for pod in observed.pods)),)


def _drop_databases(observed: ObservedImport, status: ImportStatus) -> tuple[Action, ...]:
    """Drops the database that the swap replaced, and every shadow except the one that became the target."""
    swapped = status.shadow.pod_uid if status.shadow and status.state is ImportState.COMPLETED else None
    attempts = {attempt.pod_uid for attempt in status.attempt_history if not attempt.cleaned_up}
    attempts |= {pod.uid for pod in observed.pods} | ({status.shadow.pod_uid} if status.shadow else set())
    actions: list[Action] = []
    if status.job is not None:
        actions += [DropAttempt(uid) for uid in sorted(attempts) if uid != swapped]
    if swapped is not None:
        actions.append(DropReplaced(swapped))
    return tuple(actions)


def _ends_by_itself(observed: ObservedImport, status: ImportStatus) -> bool:
    """Tells whether the Job starts no other pod.

    The Job reports its end about two seconds after its pod. Stopping it in between would delete the pod's logs.
    """
    last = observed.pods[-1] if observed.pods else None
    if last is not None and last.kept_by:
        return False
    if status.state is ImportState.COMPLETED:
        return True
    if last is None or not last.has_ended or last.disrupted:
        return False
    all_used = status.max_attempts is not None and count_attempts(status.attempt_history) >= status.max_attempts
    return all_used or pod_outcome(last).exit_code in PERMANENT_EXIT_CODES


def _decide_upload(
    observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy
) -> Decision[ImportStatus] | None:
    """Deletes the uploaded file when its retention is over. Returns None if there is no file to delete."""
    key = observed.object.spec.source.upload_key if observed.object.spec else None
    if key is None or status.upload_deleted or status.completed_at is None or not policy.uploads:
        return None
    remaining = status.completed_at + policy.upload_retention - now
    if remaining > timedelta(0):
        message = "The upload is kept, so that another import can use it."
        return Decision(status=status, requeue_after=remaining, message=message)
    deleted = status.model_copy(update={"upload_deleted": True})
    return Decision(status=deleted, actions=(DeleteUpload(key),), message="The retention of the upload is over.")


def _decide_ephemeral(observed: ObservedImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    """Deletes an ephemeral import some minutes after its end. Any other import stays."""
    ended = status.completed_at
    if observed.object.meta.labels.get(LABEL_EPHEMERAL) != "true" or ended is None:
        return Decision(status=status, message="The import has ended and is cleaned up.")
    message = "An ephemeral import is deleted five minutes after its end."
    remaining = ended + EPHEMERAL_RETENTION - now
    if remaining > timedelta(0):
        return Decision(status=status, requeue_after=remaining, message=message)
    return Decision(status=status, actions=(DeleteObject(),), message=message)

"""What is left to do for a terminal import: nothing of it stays but its Job's logs, until their time is over."""

from datetime import datetime, timedelta

from pgimport.decide.attempts import counted, judge_pod
from pgimport.decide.decision import (
    Action,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DeleteUpload,
    DropAttempt,
    DropReplaced,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
)
from pgimport.decide.observed import ObservedImport
from pgimport.model.names import LABEL_EPHEMERAL
from pgimport.model.policy import Policy
from pgimport.model.reasons import PERMANENT_EXIT_CODES
from pgimport.model.status import ImportState, ImportStatus

EPHEMERAL_LIFE = timedelta(minutes=5)


def decide_cleanup(
    observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Once: then `cleanedUp` says so, and no look is needed any more."""
    if status.cleaned_up:
        return _decide_upload(observed, status, now, policy) or _decide_ephemeral(observed, status, now)
    history = [found.model_copy(update={"cleaned_up": True}) for found in status.attempt_history]
    clean = status.model_copy(update={"cleaned_up": True, "attempt_history": history, "locked_resource": None})
    return Decision(status=clean, actions=_cleanup(observed, status, policy), message="cleaned up after it ended")


def _cleanup(observed: ObservedImport, status: ImportStatus, policy: Policy) -> tuple[Action, ...]:
    swapped = status.shadow.pod_uid if status.shadow and status.state is ImportState.COMPLETED else None
    actions: list[Action] = []
    job = observed.job
    at_work = job is not None and job.ours and not job.complete and job.failed_reason is None
    held = at_work and job is not None and job.suspended
    if held:  # a queue's: no deadline runs for it, and it would wait for ever
        actions.append(DeleteJob())
    elif at_work and not _ends_by_itself(observed, status):
        actions.append(StopJob())
    begun = {found.pod_uid for found in status.attempt_history if not found.cleaned_up}
    begun |= {pod.uid for pod in observed.pods} | ({status.shadow.pod_uid} if status.shadow else set())
    if status.job is not None:
        actions += [DropAttempt(uid) for uid in sorted(begun) if uid != swapped]
    if swapped is not None:
        actions.append(DropReplaced(swapped))
    if status.started_at is not None:
        actions.append(DeleteJobSecret())
    if job is not None and job.ours and not held and not job.ttl_set:
        asked = observed.object.spec.ttl_seconds_after_finished if observed.object.spec else None
        actions.append(SetJobTTL(policy.job_ttl_seconds if asked is None else asked))
    if observed.preview is not None and observed.preview.status.active_import == observed.object.meta.uid:
        actions.append(ReleaseTarget())
    return tuple(actions)


def _ends_by_itself(observed: ObservedImport, status: ImportStatus) -> bool:
    """Its pod has ended and none follows. The Job says so two seconds later; stopped now, the pod's logs would go."""
    if status.state is ImportState.COMPLETED:
        return True
    last = observed.pods[-1] if observed.pods else None
    if last is None or not last.over or last.disrupted:
        return False
    all_used = status.max_attempts is not None and counted(status.attempt_history) >= status.max_attempts
    return all_used or judge_pod(last).exit_code in PERMANENT_EXIT_CODES


def _decide_upload(
    observed: ObservedImport, status: ImportStatus, now: datetime, policy: Policy
) -> Decision[ImportStatus] | None:
    """The uploaded file goes when its time is over; None where there is none, or it is gone."""
    key = observed.object.spec.source.upload_key if observed.object.spec else None
    if key is None or status.upload_deleted or status.completed_at is None or not policy.uploads:
        return None
    left = status.completed_at + policy.upload_retention - now
    if left > timedelta(0):
        return Decision(status=status, requeue_after=left, message="its upload is kept for another try")
    gone = status.model_copy(update={"upload_deleted": True})
    return Decision(status=gone, actions=(DeleteUpload(key),), message="its upload's time is over")


def _decide_ephemeral(observed: ObservedImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    ended = status.completed_at
    if observed.object.meta.labels.get(LABEL_EPHEMERAL) != "true" or ended is None:
        return Decision(status=status, message="it has ended and nothing of it is left")
    left = ended + EPHEMERAL_LIFE - now
    if left > timedelta(0):
        return Decision(
            status=status, requeue_after=left, message="an ephemeral import goes five minutes after its end"
        )
    return Decision(
        status=status, actions=(DeleteObject(),), message="an ephemeral import goes five minutes after its end"
    )

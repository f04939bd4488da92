"""Builds the decisions that keep an import in a state or move it to another one.

Each function sets the state, the fields that belong to it, and the conditions that say the same.
"""

from datetime import datetime, timedelta

from pgimport.decide.attempts import end_open_attempts
from pgimport.decide.completeness import with_completeness
from pgimport.decide.conditions import ConditionSet, not_succeeded, succeeded
from pgimport.decide.decision import IMMEDIATELY, Action, Decision, build_decision
from pgimport.model.names import JOB_TYPE
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.resources import ImportObject, ProjectObject
from pgimport.model.status import ImportState, ImportStatus

ERROR_LIMIT = 2000  # characters; the failing statement may be long


def refresh_status(item: ImportObject, project: ProjectObject | None, now: datetime) -> ImportStatus:
    """Returns the status with all fields that follow from the import, its Project and the time.

    In a terminal status, only the observed generation changes.
    """
    if item.status.terminal:
        generation = {"observed_generation": item.meta.generation}
        conditions = [condition.model_copy(update=generation) for condition in item.status.conditions]
        return item.status.model_copy(update={**generation, "conditions": conditions})
    spec, project_spec = item.spec, project.spec if project else None
    target = spec.target.preview_database if spec and spec.target else None
    fields = {
        "type": JOB_TYPE,
        "id": f"{spec.project}.{item.meta.name}" if spec else item.status.id,
        "max_attempts": spec.max_attempts if spec else item.status.max_attempts,
        "attempts": item.status.attempts or 0,
        "project_id": spec.project if spec else item.status.project_id,
        "preview_database_id": f"{spec.project}.{target}" if spec and target else item.status.preview_database_id,
        "cluster_id": project_spec.server.cluster_id if project_spec else item.status.cluster_id,
        "organization_id": project_spec.organization_id if project_spec else item.status.organization_id,
        "created_at": item.meta.created_at,
        "pending_since": _find_start_of_wait(item, now),
        "observed_generation": item.meta.generation,
    }
    return item.status.model_copy(update=fields)


def _find_start_of_wait(item: ImportObject, now: datetime) -> datetime | None:
    """Returns when the import began to wait, by our clock. It begins anew after a suspension."""
    suspended = item.spec is not None and item.spec.suspend
    if item.status.state is ImportState.RUNNING or item.status.queued or suspended:
        return None
    # A time in the future was written by an operator whose clock was ahead of ours.
    return min(item.status.pending_since or now, now)


def pending(
    status: ImportStatus,
    conditions: ConditionSet,
    now: datetime,
    requeue_after: timedelta,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    """Keeps the import pending, or makes it pending again."""
    pending_status = status.model_copy(update={"state": ImportState.PENDING})
    return build_decision(pending_status, conditions, now, requeue_after, actions)


def running(
    status: ImportStatus,
    conditions: ConditionSet,
    now: datetime,
    requeue_after: timedelta | None,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    """Keeps the import running, or starts it."""
    running_status = status.model_copy(update={"state": ImportState.RUNNING, "pending_since": None})
    return build_decision(running_status, conditions, now, requeue_after, actions)


def completed(status: ImportStatus, message: str, now: datetime) -> Decision[ImportStatus]:
    """Ends the import with success. The next reconcile cleans up."""
    needless = Failure(Reason.CANCELLED, "another attempt completed the import")
    fields = {
        "state": ImportState.COMPLETED,
        "completed_at": now,
        "error": None,
        "retry_classification": None,
        "attempt_history": end_open_attempts(status.attempt_history, needless, now),
    }
    conditions = with_completeness(succeeded(Reason.COMPLETED, message), status)
    return build_decision(status.model_copy(update=fields), conditions, now, requeue_after=IMMEDIATELY)


def failed(status: ImportStatus, failure: Failure, now: datetime) -> Decision[ImportStatus]:
    """Ends the import with a failure. The next reconcile cleans up."""
    fields = {
        "state": ImportState.FAILED,
        "completed_at": now,
        "error": failure.format_with_hint()[:ERROR_LIMIT],
        "retry_classification": failure.classification,
        "attempt_history": end_open_attempts(status.attempt_history, failure, now),
    }
    conditions = not_succeeded(failure.reason, failure.message)
    return build_decision(status.model_copy(update=fields), conditions, now, requeue_after=IMMEDIATELY)


def cancelled(status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    """Ends the import because its user set spec.cancel. The next reconcile cleans up."""
    ended = Failure(Reason.CANCELLED, "the import was cancelled while this attempt was running")
    fields = {
        "state": ImportState.CANCELLED,
        "completed_at": now,
        "error": None,
        "retry_classification": RetryClassification.CANCELLED,
        "attempt_history": end_open_attempts(status.attempt_history, ended, now),
    }
    conditions = not_succeeded(Reason.CANCELLED, "The user cancelled the import with spec.cancel.")
    return build_decision(status.model_copy(update=fields), conditions, now, requeue_after=IMMEDIATELY)

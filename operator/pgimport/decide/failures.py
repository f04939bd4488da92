"""Decides what an object shows if its server does not answer, an action is refused, or its reconcile keeps failing.

Every failure is visible in the status. No failure keeps cancel or the deadline from ending an import.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgimport.decide.conditions import (
    CLEANED_UP,
    ConditionSet,
    TypedCondition,
    in_progress,
    not_ready_since,
    put_condition,
    stalled,
)
from pgimport.decide.decision import (
    Action,
    CreateJob,
    Decision,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    PrepareShadow,
    StoreReport,
    Swap,
    build_decision,
)
from pgimport.decide.import_reports import decide_unstored_report
from pgimport.decide.import_transitions import cancelled, failed, pending, refresh_status, running
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview, ObservedProject, ObservedSchedule
from pgimport.decide.projects import decide_project
from pgimport.decide.schedules import refresh_schedule_status
from pgimport.decide.timeouts import find_deadline, find_pending_overdue, find_swap_overdue
from pgimport.decide.wake_targets import wake_after_import
from pgimport.model.policy import Policy
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ScheduleObject
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import (
    ConditionStatus,
    ImportState,
    ImportStatus,
    PreviewState,
    PreviewStatus,
)

# An import that the operator cannot observe ends this long after its deadline: its copy may be verified already.
UNOBSERVED_GRACE = timedelta(seconds=60)
# The actions without which an import cannot go on. Any other action is part of a clean-up, which never fails an import.
STEPS = (CreateJob, PrepareShadow, Swap)


@dataclass(frozen=True, slots=True)
class FailedAction:
    """An action that was refused or could not be carried out."""

    action: Action
    failure: Failure
    refused: bool  # a retry would be refused in the same way


# --- imports ---


def decide_failed_import(
    observed: ObservedImport, failed_action: FailedAction, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Ends an import whose step was refused. After any other failure, the operator tries again later."""
    item, failure = observed.object, failed_action.failure
    if isinstance(failed_action.action, StoreReport):
        return decide_unstored_report(observed, refresh_status(item, observed.project, now), failure.message, now)
    if failed_action.refused and isinstance(failed_action.action, STEPS) and not item.status.terminal:
        return _wake_others(item, failed(refresh_status(item, observed.project, now), failure, now))
    return show_import_failure(item, failure, now, policy)


def show_import_failure(item: ImportObject, failure: Failure, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """Shows a failure of an import's observation or clean-up. Cancel and the deadline still end the import."""
    status = refresh_status(item, None, now)
    if item.meta.deleting:
        return Decision(status=item.status, requeue_after=policy.retry_interval, message=failure.message)
    if status.terminal:
        shown = put_condition(status, _not_cleaned_up(failure), now)
        return Decision(status=shown, requeue_after=policy.retry_interval, message=failure.message)
    ended = _find_end(item, status, failure, now, policy)
    if ended is not None:
        return _wake_others(item, ended)
    transition = running if status.state is ImportState.RUNNING else pending
    return transition(status, in_progress(failure.reason, failure.message), now, policy.retry_interval)


def _not_cleaned_up(failure: Failure) -> TypedCondition:
    return TypedCondition(CLEANED_UP, ConditionStatus.FALSE, failure.reason, failure.format_with_hint())


def _find_end(
    item: ImportObject, status: ImportStatus, failure: Failure, now: datetime, policy: Policy
) -> Decision[ImportStatus] | None:
    """Returns the decision that ends a cancelled or late import, or None. Never ends an import whose swap has begun."""
    spec, shadow = item.spec, status.shadow
    if spec is None or (shadow is not None and shadow.oid is not None):
        return None
    if spec.cancel:
        return cancelled(status, now)
    if status.state is not ImportState.RUNNING:
        overdue = find_pending_overdue(status, spec, now, failure.message)
        return failed(status, overdue, now) if overdue is not None else None
    if shadow is not None and shadow.verified:
        late = find_swap_overdue(shadow, now, policy, failure.message)
    else:
        late = find_deadline(status, spec, now - UNOBSERVED_GRACE)
    if late is None:
        return None
    return failed(status, replace(late, message=f"{late.message}. The last obstacle: {failure.message}"), now)


def _wake_others(item: ImportObject, decision: Decision[ImportStatus]) -> Decision[ImportStatus]:
    return replace(decision, wake=wake_after_import(item, decision.status))


# --- previews ---


def decide_failed_preview(
    observed: ObservedPreview, failed_action: FailedAction, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Shows why the preview cannot be created, reset or dropped. The operator tries again later."""
    failure = failed_action.failure
    if not failed_action.refused:
        return show_preview_failure(observed.object, failure, now, policy)
    status = _in_state_of_failure(observed.object, PreviewState.FAILED)
    conditions = stalled(failure.reason, failure.format_with_hint())
    return build_decision(status, conditions, now, policy.refused_interval)


def show_preview_failure(
    item: PreviewObject, failure: Failure, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Shows a failure that may be temporary.

    After `policy.preview_patience`, the preview is shown as stalled, and the operator keeps retrying.
    """
    status = _in_state_of_failure(item, PreviewState.PENDING)
    conditions = _describe_failure(status, failure, now, policy)
    return build_decision(status, conditions, now, policy.retry_interval)


def _in_state_of_failure(item: PreviewObject, without_database: PreviewState) -> PreviewStatus:
    """Returns the status with the state to show. A preview that has a database keeps its state."""
    status = item.status.model_copy(update={"observed_generation": item.meta.generation})
    kept = status.state not in (None, PreviewState.PENDING, PreviewState.FAILED)
    state = PreviewState.DELETING if item.meta.deleting else status.state if kept else without_database
    return status.model_copy(update={"state": state})


def _describe_failure(
    status: PreviewStatus | ProjectStatus | ScheduleStatus, failure: Failure, now: datetime, policy: Policy
) -> ConditionSet:
    since = not_ready_since(status.conditions, now)
    if since is None or now - since > policy.preview_patience:
        return stalled(failure.reason, failure.format_with_hint())
    return in_progress(failure.reason, failure.format_with_hint())


# --- Projects ---


def decide_failed_project(
    observed: ObservedProject, failed_action: FailedAction, now: datetime, policy: Policy
) -> Decision[ProjectStatus]:
    """Shows a failure of a Project's action. A failed sweep only sets the condition CleanedUp, so imports continue."""
    failure = failed_action.failure
    if isinstance(failed_action.action, DropOrphanedObjects | DeleteOrphanedJobs) and not observed.object.meta.deleting:
        decision = decide_project(observed, now, policy)
        # Keeps the time of the last transition: a status that changes each time would cause endless reconciles.
        earlier = [item for item in observed.object.status.conditions if item.type == CLEANED_UP]
        status = decision.status.model_copy(update={"conditions": [*decision.status.conditions, *earlier]})
        return replace(decision, status=put_condition(status, _not_cleaned_up(failure), now), actions=())
    if not failed_action.refused:
        return show_project_failure(observed.object, failure, now, policy)
    status = _of_generation(observed.object).model_copy(update={"ready": False})
    return build_decision(status, stalled(failure.reason, failure.format_with_hint()), now, policy.refused_interval)


def show_project_failure(
    item: ProjectObject, failure: Failure, now: datetime, policy: Policy
) -> Decision[ProjectStatus]:
    """Shows a failure that may be temporary. Keeps `ready`, which only an answer of the server changes."""
    status = _of_generation(item)
    return build_decision(status, _describe_failure(status, failure, now, policy), now, policy.retry_interval)


def _of_generation(item: ProjectObject) -> ProjectStatus:
    return item.status.model_copy(update={"observed_generation": item.meta.generation})


# --- schedules ---


def decide_failed_schedule(
    observed: ObservedSchedule, failed_action: FailedAction, now: datetime, policy: Policy
) -> Decision[ScheduleStatus]:
    """Shows why an import cannot be created, cancelled or deleted. The operator tries again later."""
    failure = failed_action.failure
    if not failed_action.refused:
        return show_schedule_failure(observed.object, failure, now, policy)
    conditions = stalled(failure.reason, failure.format_with_hint())
    return build_decision(refresh_schedule_status(observed, now), conditions, now, policy.refused_interval)


def show_schedule_failure(
    item: ScheduleObject, failure: Failure, now: datetime, policy: Policy
) -> Decision[ScheduleStatus]:
    """Shows a failure that may be temporary."""
    status = item.status.model_copy(update={"observed_generation": item.meta.generation})
    return build_decision(status, _describe_failure(status, failure, now, policy), now, policy.retry_interval)

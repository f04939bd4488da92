"""Builds conditions for kstatus, the library with which Flux and other tools judge objects.

kstatus takes an object without conditions as current, and Ready=False alone as in progress. So a failed object also
has Stalled=True, and one in progress has Reconciling=True.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import MEANINGS, Reason, RetryClassification
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import (
    Condition,
    ConditionStatus,
    ImportStatus,
    PreviewStatus,
    find_condition,
)

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
# Of imports that have ended. `kubectl wait` waits for one value of one condition: Finished is True after any end.
SUCCEEDED, FINISHED = "Succeeded", "Finished"
CLEANED_UP = "CleanedUp"  # False while the clean-up of an import or a Project does not succeed; absent otherwise
MESSAGE_LIMIT = 1024  # characters
# Ends that the user asked for.
_INTENDED_ENDS = {Reason.CANCELLED, Reason.EXPIRED}
# Failures, except those that only name what an object waits for: objects may be created in any order.
_WAITS = {
    Reason.PROJECT_NOT_FOUND,
    Reason.TARGET_NOT_READY,
    Reason.SOURCE_PREVIEW_NOT_READY,
    Reason.WAITING_FOR_REFRESH,
}
_WARNINGS = {*MEANINGS, Reason.RETRYING, Reason.DATABASE_GONE, Reason.CONNECTION_REPLACED} - _INTENDED_ENDS - _WAITS
StatusT = TypeVar("StatusT", ImportStatus, PreviewStatus, ProjectStatus, ScheduleStatus)


@dataclass(frozen=True, slots=True)
class TypedCondition:
    """A condition with a reason and a message of its own."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """The conditions that an object is to have. All conditions in `statuses` share one reason and one message."""

    reason: Reason
    message: str
    statuses: Mapping[str, ConditionStatus] = field(repr=False)  # by condition type
    others: tuple[TypedCondition, ...] = ()

    def add(self, condition: TypedCondition) -> "ConditionSet":
        return replace(self, others=(*self.others, condition))

    def list_all(self) -> list[TypedCondition]:
        shared = [TypedCondition(kind, status, self.reason, self.message) for kind, status in self.statuses.items()]
        return [*shared, *self.others]


def in_progress(reason: Reason, message: str) -> ConditionSet:
    """Describes an object that is not ready yet and that the operator works on."""
    return ConditionSet(reason, message, {READY: ConditionStatus.UNKNOWN, RECONCILING: ConditionStatus.TRUE})


def ready(reason: Reason, message: str) -> ConditionSet:
    """Describes an object that is as its spec says."""
    return ConditionSet(reason, message, {READY: ConditionStatus.TRUE})


def stalled(reason: Reason, message: str) -> ConditionSet:
    """Describes an object that needs a user's action."""
    return ConditionSet(reason, message, {READY: ConditionStatus.FALSE, STALLED: ConditionStatus.TRUE})


def succeeded(reason: Reason, message: str) -> ConditionSet:
    """Describes an import that has ended well."""
    statuses = {READY: ConditionStatus.TRUE, SUCCEEDED: ConditionStatus.TRUE, FINISHED: ConditionStatus.TRUE}
    return ConditionSet(reason, message, statuses)


def not_succeeded(reason: Reason, message: str) -> ConditionSet:
    """Describes an import that has ended without success."""
    statuses = {
        READY: ConditionStatus.FALSE,
        STALLED: ConditionStatus.TRUE,
        SUCCEEDED: ConditionStatus.FALSE,
        FINISHED: ConditionStatus.TRUE,
    }
    return ConditionSet(reason, message, statuses)


def with_conditions(status: StatusT, conditions: ConditionSet, now: datetime) -> StatusT:
    """Returns the status with exactly these conditions.

    lastTransitionTime changes only where a condition's status does (Kubernetes API conventions).
    """
    updated = [_build_condition(status, condition, now) for condition in conditions.list_all()]
    return status.model_copy(update={"conditions": updated})


def _build_condition(status: StatusT, condition: TypedCondition, now: datetime) -> Condition:
    previous = find_condition(status.conditions, condition.type)
    same_status = previous is not None and previous.status == condition.status
    return Condition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason.value,
        message=condition.message[:MESSAGE_LIMIT],
        observed_generation=status.observed_generation,
        last_transition_time=previous.last_transition_time if previous is not None and same_status else now,
    )


def put_condition(status: StatusT, condition: TypedCondition, now: datetime) -> StatusT:
    """Returns the status with this condition, and all others as they are."""
    others: list[Condition] = [item for item in status.conditions if item.type != condition.type]
    return status.model_copy(update={"conditions": [*others, _build_condition(status, condition, now)]})


def remove_condition(status: StatusT, kind: str) -> StatusT:
    """Returns the status without a condition of this type."""
    return status.model_copy(update={"conditions": [item for item in status.conditions if item.type != kind]})


def not_ready_since(conditions: Sequence[Condition], now: datetime) -> datetime | None:
    """Returns since when the object is not ready.

    Returns None if it is already shown as stalled and only being retried.
    """
    stalled_now = find_condition(conditions, STALLED)
    if stalled_now is not None and stalled_now.status is ConditionStatus.TRUE and _is_retried(stalled_now.reason):
        return None
    previous = find_condition(conditions, READY)
    unknown = previous is not None and previous.status is ConditionStatus.UNKNOWN
    return previous.last_transition_time if previous is not None and unknown else now


def _is_retried(reason: str) -> bool:
    meaning = MEANINGS.get(Reason(reason)) if reason in Reason.__members__.values() else None
    return meaning is not None and meaning.classification is RetryClassification.TRANSIENT


def ready_reason(conditions: Sequence[Condition]) -> str | None:
    """Returns the reason of the condition Ready, or None if there is no such condition."""
    condition = find_condition(conditions, READY)
    return condition.reason if condition is not None else None


def is_warning(reason: str | None, stalled: bool) -> bool:
    """Tells whether the event about a change is of type Warning: somebody must act, or may have to soon."""
    return reason in _WARNINGS or (stalled and reason not in _INTENDED_ENDS)

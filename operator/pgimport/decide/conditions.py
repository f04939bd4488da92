"""Builds conditions for kstatus, the library with which Flux and other tools judge objects.

kstatus takes an object without conditions as current, and Ready=False alone as in progress. So a failed object also
has Stalled=True, and one in progress has Reconciling=True.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from pgimport.model.reasons import Reason
from pgimport.model.status import Condition, ConditionStatus, ImportStatus, PreviewStatus, ProjectStatus

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
# Of imports that have ended. `kubectl wait` waits for one value of one condition: Finished is True after any end.
SUCCEEDED, FINISHED = "Succeeded", "Finished"
MESSAGE_LIMIT = 1024  # characters
StatusT = TypeVar("StatusT", ImportStatus, PreviewStatus, ProjectStatus)


@dataclass(frozen=True, slots=True)
class TypedCondition:
    """A condition with a reason and a message of its own."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """The conditions that an object is to have. Those of `statuses` have one reason and one message."""

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
    previous = {condition.type: condition for condition in status.conditions}
    updated = [
        Condition(
            type=condition.type,
            status=condition.status,
            reason=condition.reason.value,
            message=condition.message[:MESSAGE_LIMIT],
            observed_generation=status.observed_generation,
            last_transition_time=previous[condition.type].last_transition_time
            if condition.type in previous and previous[condition.type].status == condition.status
            else now,
        )
        for condition in conditions.list_all()
    ]
    return status.model_copy(update={"conditions": updated})


def ready_reason(conditions: Sequence[Condition]) -> str | None:
    """Returns the reason of the condition Ready, or None if there is no such condition."""
    return next((condition.reason for condition in conditions if condition.type == READY), None)

"""Conditions as kstatus reads them: no conditions at all would count as done, Ready=False alone as working for ever."""

from collections.abc import Sequence
from datetime import datetime

from pgimport.model.reasons import Reason
from pgimport.model.status import Condition, ConditionStatus

DesiredConditions = dict[str, tuple[ConditionStatus, Reason]]
READY, RECONCILING, STALLED, SUCCEEDED = "Ready", "Reconciling", "Stalled", "Succeeded"


def working(reason: Reason) -> DesiredConditions:
    return {READY: (ConditionStatus.UNKNOWN, reason), RECONCILING: (ConditionStatus.TRUE, reason)}


def done(reason: Reason, *, succeeded: bool = False) -> DesiredConditions:
    wanted: DesiredConditions = {READY: (ConditionStatus.TRUE, reason)}
    return wanted | ({SUCCEEDED: (ConditionStatus.TRUE, reason)} if succeeded else {})


def stuck(reason: Reason, *, finished: bool = False) -> DesiredConditions:
    wanted: DesiredConditions = {READY: (ConditionStatus.FALSE, reason), STALLED: (ConditionStatus.TRUE, reason)}
    return wanted | ({SUCCEEDED: (ConditionStatus.FALSE, reason)} if finished else {})


def build_conditions(
    before: Sequence[Condition],
    wanted: DesiredConditions,
    message: str,
    generation: int,
    now: datetime,
) -> list[Condition]:
    """The wanted conditions; lastTransitionTime moves only where status does."""
    known = {condition.type: condition for condition in before}
    return [
        Condition(
            type=kind,
            status=status,
            reason=reason.value,
            message=message[:1024],
            observed_generation=generation,
            last_transition_time=known[kind].last_transition_time
            if kind in known and known[kind].status == status
            else now,
        )
        for kind, (status, reason) in wanted.items()
    ]


def ready_reason(conditions: Sequence[Condition]) -> str | None:
    return next((condition.reason for condition in conditions if condition.type == READY), None)

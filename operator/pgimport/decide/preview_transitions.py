"""Builds what the decisions about all previews share: states, dates in the future, and waiting for an import."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import READY, ConditionSet, in_progress, stalled
from pgimport.decide.decision import Decision, build_decision
from pgimport.model.policy import Policy
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.reasons import Reason
from pgimport.model.scalar_types import format_time
from pgimport.model.status import PreviewState, PreviewStatus, find_condition

LONGEST_INTERVAL = timedelta(hours=1)


def in_state(status: PreviewStatus, state: PreviewState | None) -> PreviewStatus:
    """Returns the status in this state. A preview without a state is pending."""
    return status.model_copy(update={"state": state or PreviewState.PENDING})


def in_waiting_state(status: PreviewStatus) -> PreviewStatus:
    """Returns the status of a preview that waits: a ready or expired one stays so, any other is pending."""
    keeps_state = status.state in (PreviewState.READY, PreviewState.EXPIRED)
    return in_state(status, status.state if keeps_state else PreviewState.PENDING)


def describe_state(status: PreviewStatus) -> str:
    """Returns the state with the cause that the preview's own condition gives, for whoever waits for the preview."""
    condition = find_condition(status.conditions, READY)
    cause = f": {condition.message.rstrip('.')}" if condition is not None and condition.message else ""
    return f"{status.state or PreviewState.PENDING}{cause}"


def refuse_future_dates(spec: PreviewSpec, now: datetime) -> ConditionSet | None:
    """Describes dates that have no effect yet. The database stays usable, so the preview keeps its state."""
    dates = [f"{name} is {format_time(date)}" for name, date in spec.find_future_dates(now).items()]
    if not dates:
        return None
    future = f"{' and '.join(dates)}, which is in the future and has no effect until then"
    return stalled(Reason.INVALID_SPEC, f"{future}. Set it to the current time.")


def find_interval(spec: PreviewSpec, now: datetime) -> timedelta:
    """Returns the time until the first future date has an effect, at most LONGEST_INTERVAL."""
    return min([LONGEST_INTERVAL, *(date - now for date in spec.find_future_dates(now).values())])


def delay_reset(status: PreviewStatus, now: datetime, policy: Policy) -> Decision[PreviewStatus]:
    """Keeps a preview as it is until the import that has claimed it has ended."""
    message = f"spec.resetAt waits for import {status.active_import_name}, which has claimed the preview."
    conditions = in_progress(Reason.PENDING, message)
    return build_decision(in_state(status, status.state), conditions, now, policy.waiting_interval)

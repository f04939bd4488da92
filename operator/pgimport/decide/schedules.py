"""Decides which imports a PostgresImportSchedule creates, cancels and deletes, as CronJob does with its Jobs.

The name of an import holds the minute for which it was created. So a repeated creation is harmless, and a minute never
gets two imports.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgimport.decide.conditions import READY, ConditionSet, in_progress, ready, stalled
from pgimport.decide.decision import (
    Action,
    CancelImport,
    CreateScheduledImport,
    Decision,
    DeleteImport,
    build_decision,
)
from pgimport.decide.observed_objects import ObservedSchedule
from pgimport.decide.schedule_times import ScheduleTimes
from pgimport.model.names import find_scheduled_time, scheduled_import_name
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject
from pgimport.model.scalar_types import format_time
from pgimport.model.schedule_spec import ConcurrencyPolicy, ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import ImportState, find_condition

LONGEST_INTERVAL = timedelta(hours=1)
TARGET_INTERVAL = timedelta(minutes=1)  # between two looks for a target that does not exist
NEVER = datetime.min.replace(tzinfo=UTC)
FURTHEST = timedelta(days=36500)  # of a stored time: users can write a status of the year 9999


def decide_schedule(observed: ObservedSchedule, now: datetime, policy: Policy) -> Decision[ScheduleStatus]:
    """Decides the whole next status of the schedule and what to do. Never raises for a valid observation."""
    item = observed.object
    if item.meta.deleting:  # Kubernetes deletes the imports, which belong to the schedule
        return Decision(status=item.status, message="The schedule is being deleted. It creates no more imports.")
    status = refresh_schedule_status(observed, now)
    try:
        times = _read_times(observed)
    except ValueError as error:
        failure = Failure(Reason.INVALID_SPEC, str(error), "Correct the field.")
        conditions = stalled(failure.reason, failure.format_with_hint())
        return build_decision(_without_next(status), conditions, now, LONGEST_INTERVAL)
    assert item.spec is not None  # noqa: S101 (_read_times has refused a spec that cannot be read)
    if (refusal := _find_refusal(observed, item.spec)) is not None:
        conditions = stalled(refusal.reason, refusal.format_with_hint())
        return build_decision(_without_next(status), conditions, now, LONGEST_INTERVAL)
    if observed.project is not None and observed.project.meta.deleting:
        message = f"Project {observed.project.meta.name} is being deleted, so the schedule creates no imports."
        conditions = in_progress(Reason.PROJECT_NOT_READY, message)
        return build_decision(_without_next(status), conditions, now, policy.waiting_interval)
    if observed.project is None:
        message = f"The schedule waits for Project {item.spec.import_template.project}, which does not exist."
        conditions = in_progress(Reason.PROJECT_NOT_FOUND, message)
        return build_decision(_without_next(status), conditions, now, policy.waiting_interval)
    if item.spec.suspend:
        conditions = ready(Reason.SUSPENDED, "spec.suspend is true, so the schedule creates no imports.")
        surplus = _delete_surplus(observed, item.spec)
        return build_decision(_without_next(status), conditions, now, LONGEST_INTERVAL, surplus)
    return _decide_run(observed, item.spec, status, times, now, policy)


def refresh_schedule_status(observed: ObservedSchedule, now: datetime) -> ScheduleStatus:
    """Returns the status with what the imports show. An operator may have been killed before it wrote the status."""
    item = observed.object
    created = [find_scheduled_time(item.meta.name, import_.meta.name) for import_ in observed.imports]
    times = [time for time in created if time is not None and time <= now]
    if item.status.last_schedule_time is not None:  # also if the operator's clock has gone back since
        times.append(item.status.last_schedule_time)
    successful_at, data_as_of = _find_success(observed)
    return item.status.model_copy(
        update={
            "data_as_of": data_as_of,
            "observed_generation": item.meta.generation,
            "active": [import_.meta.name for import_ in _list_active(observed)],
            "last_schedule_time": max(times, default=None),
            "last_successful_time": successful_at,
        }
    )


def _find_success(observed: ObservedSchedule) -> tuple[datetime | None, datetime | None]:
    """Returns when an import of the schedule last completed, and the time of the snapshot that it copied."""
    earlier = observed.object.status
    completed = [item.status for item in observed.imports if item.status.state is ImportState.COMPLETED]
    successes = [(status.completed_at, status.data_as_of) for status in completed]
    return max(
        [(earlier.last_successful_time, earlier.data_as_of), *successes], key=lambda success: success[0] or NEVER
    )


def _list_active(observed: ObservedSchedule) -> list[ImportObject]:
    return _sort_by_age(item for item in observed.imports if not item.status.terminal)


def _sort_by_age(imports: Iterable[ImportObject]) -> list[ImportObject]:
    """Sorts oldest first. Imports of one second differ in the minute that their names hold."""
    return sorted(imports, key=lambda item: (item.meta.created_at, item.meta.name))


def _without_next(status: ScheduleStatus) -> ScheduleStatus:
    return status.model_copy(update={"next_schedule_time": None})


def _read_times(observed: ObservedSchedule) -> ScheduleTimes:
    """Raises ValueError if the schedule has no times."""
    spec = observed.object.spec
    if spec is None:
        raise ValueError(observed.object.spec_error or "spec: cannot be read")
    return ScheduleTimes(spec.schedule, spec.time_zone)


def _find_refusal(observed: ObservedSchedule, spec: ScheduleSpec) -> Failure | None:
    project, namespace = observed.project, observed.object.meta.namespace
    if project is None or project.spec is None or project.spec.namespace == namespace:
        return None
    name = spec.import_template.project
    message = f"spec.importTemplate.project: Project {name} uses namespace {project.spec.namespace}, not {namespace}"
    return Failure(Reason.PROJECT_MISMATCH, message)


def find_delay(uid: str, jitter: timedelta | None) -> timedelta:
    """Returns how much later than its times a schedule creates its imports: whole seconds, less than the jitter."""
    if jitter is None:
        return timedelta(0)
    number = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
    return timedelta(seconds=number % int(jitter.total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the clock says: the time whose import is due, the last missed one, and when the next import is due."""

    due: datetime | None
    missed: datetime | None
    next_time: datetime
    next_due: datetime


def _find_run(
    observed: ObservedSchedule, spec: ScheduleSpec, last: datetime | None, times: ScheduleTimes, now: datetime
) -> _Run:
    meta, delay = observed.object.meta, find_delay(observed.object.meta.uid, spec.jitter)
    clock = now - delay
    done = last or meta.created_at
    earliest = done
    if spec.starting_deadline_seconds is not None:
        earliest = max(done, clock - timedelta(seconds=spec.starting_deadline_seconds))
    due = times.find_latest(earliest, clock)
    missed = times.find_latest(done, earliest) if due is None else None
    # A time up to `done` never becomes due: it has had its import, or is older than the schedule.
    next_time = times.find_next(max(clock, min(done, now + FURTHEST)))
    return _Run(due=due, missed=missed, next_time=next_time, next_due=next_time + delay)


def _decide_run(
    observed: ObservedSchedule,
    spec: ScheduleSpec,
    status: ScheduleStatus,
    times: ScheduleTimes,
    now: datetime,
    policy: Policy,
) -> Decision[ScheduleStatus]:
    run, active = _find_run(observed, spec, status.last_schedule_time, times, now), _list_active(observed)
    surplus = _delete_surplus(observed, spec)
    status = status.model_copy(update={"next_schedule_time": run.next_time})
    interval = min(run.next_due - now, LONGEST_INTERVAL, *([policy.waiting_interval] if active else []))
    if run.due is None or (active and spec.concurrency_policy is ConcurrencyPolicy.FORBID):
        conditions = _describe(observed, spec, run, active)
        if not active and _find_missing_target(observed, spec):
            interval = min(interval, TARGET_INTERVAL)
        # All but the newest: an operator may have been killed after it had created that one.
        late = _cancel(active[:-1]) if spec.concurrency_policy is ConcurrencyPolicy.REPLACE else ()
        return build_decision(status, conditions, now, interval, (*surplus, *late))
    name = scheduled_import_name(observed.object.meta.name, run.due)
    started = status.model_copy(update={"last_schedule_time": run.due, "active": [*status.active, name]})
    conditions = ready(Reason.RUNNING, f"Import {name} was created. {_describe_next(run)}")
    # In this order, because Kubernetes may refuse the new import: a quota may count those that are not needed any more.
    # The new import waits until the target is free.
    actions: tuple[Action, ...] = (*surplus, CreateScheduledImport(name), *_cancel(active))
    return build_decision(started, conditions, now, policy.waiting_interval, actions)


def _cancel(imports: Iterable[ImportObject]) -> tuple[Action, ...]:
    """Cancels those that are not cancelled yet."""
    active = (item for item in imports if item.spec is not None and not item.spec.cancel)
    return tuple(CancelImport(item.meta.name, item.meta.uid) for item in active)


def _describe(observed: ObservedSchedule, spec: ScheduleSpec, run: _Run, active: list[ImportObject]) -> ConditionSet:
    if active and run.due is not None:
        waits = f"The import that was due at {format_time(run.due)} waits for its end (concurrencyPolicy Forbid)."
        return ready(Reason.RUNNING, f"{_describe_active(active[0])} {waits}")
    if active:
        return ready(Reason.RUNNING, f"{_describe_active(active[0])} {_describe_next(run)}")
    missed = ""
    if run.missed is not None:
        missed = f" The import that was due at {format_time(run.missed)} was skipped (startingDeadlineSeconds)."
    return ready(
        Reason.SCHEDULED,
        f"{_describe_next(run)}{_describe_target(observed, spec, run)}{missed}{_describe_failure(observed)}",
    )


def _describe_active(item: ImportObject) -> str:
    """Says what an import waits for: one whose target or Secret does not exist would otherwise wait unnoticed."""
    condition = find_condition(item.status.conditions, READY)
    waits = item.status.state is ImportState.PENDING and condition is not None
    cause = f": {condition.message.rstrip('.')}" if condition is not None and waits else ""
    return f"Import {item.meta.name} has not ended{cause}."


def _describe_next(run: _Run) -> str:
    return f"The next import is due at {format_time(run.next_due)}."


def _find_missing_target(observed: ObservedSchedule, spec: ScheduleSpec) -> str | None:
    """Returns the name of the target if no such preview exists."""
    target, preview = spec.import_template.target, observed.target
    if target is None or spec.import_template.dry_run:
        return None
    return target.preview_database if preview is None or preview.meta.deleting else None


def _describe_target(observed: ObservedSchedule, spec: ScheduleSpec, run: _Run) -> str:
    """Warns of a target into which the next import cannot import. The import itself says so only when it is due."""
    if (name := _find_missing_target(observed, spec)) is not None:
        return f" It will wait, because PreviewDatabase {name} does not exist. Create it."
    preview = observed.target
    expires_at = preview.status.expires_at if preview is not None and not preview.golden else None
    if preview is None or spec.import_template.dry_run or expires_at is None or expires_at > run.next_due:
        return ""
    expiry = f"PreviewDatabase {preview.meta.name} expires at {format_time(expires_at)}"
    return f" It will wait, because {expiry}. Import into a golden preview, which never expires."


def _describe_failure(observed: ObservedSchedule) -> str:
    """Names the newest import if it did not complete."""
    newest = _sort_by_age(observed.imports)[-1:]
    failed = [item for item in newest if item.status.terminal and item.status.state is not ImportState.COMPLETED]
    return "".join(f" Import {item.meta.name} {item.status.state}: {item.status.error}" for item in failed)


def _delete_surplus(observed: ObservedSchedule, spec: ScheduleSpec) -> tuple[Action, ...]:
    """Deletes the oldest imports beyond the history limits. Only cleaned-up ones count."""
    over = _sort_by_age(item for item in observed.imports if item.status.cleaned_up and _is_recorded(observed, item))
    completed = [item for item in over if item.status.state is ImportState.COMPLETED]
    others = [item for item in over if item.status.state is not ImportState.COMPLETED]
    surplus = [
        *completed[: max(len(completed) - spec.successful_imports_history_limit, 0)],
        *others[: max(len(others) - spec.failed_imports_history_limit, 0)],
    ]
    return tuple(DeleteImport(item.meta.name, item.meta.uid) for item in surplus)


def _is_recorded(observed: ObservedSchedule, item: ImportObject) -> bool:
    """Tells whether the stored status shows what the import proves: that its minute had an import, and its success.

    Otherwise, only the import shows it: the status is written after the actions, and an operator may be killed between.
    """
    minute, stored = find_scheduled_time(observed.object.meta.name, item.meta.name), observed.object.status
    if minute is not None and minute > (stored.last_schedule_time or NEVER):
        return False
    completed_at = item.status.completed_at if item.status.state is ImportState.COMPLETED else None
    return completed_at is None or completed_at <= (stored.last_successful_time or NEVER)

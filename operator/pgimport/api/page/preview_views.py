"""What the pages of previews and schedules show. Pure."""

from dataclasses import dataclass
from datetime import datetime

from pgimport.api.preview_state import find_state
from pgimport.model.preview_spec import PreviewMode
from pgimport.model.resources import PreviewObject, ProjectObject, ScheduleObject
from pgimport.model.rest_views import find_expiry
from pgimport.model.status import ConditionStatus, PreviewState, find_condition


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """One preview in a list."""

    id: str
    name: str
    project: str
    state: str
    golden: bool
    copied_from: str
    is_copy: bool  # of a golden preview, or of the primary database
    age_seconds: float | None  # of its data; None: no live source was imported
    data_as_of: datetime | None
    expires_at: datetime | None
    message: str
    usable: bool  # not being deleted
    expired: bool
    connectable: bool


def build_preview_row(project: ProjectObject, preview: PreviewObject, now: datetime) -> PreviewRow:
    """Builds the row of a preview."""
    spec, status = preview.spec, preview.status
    state = find_state(preview, now)
    ready = find_condition(status.conditions, "Ready")
    # Also a usable preview can wait for a reset, or have lost its content.
    is_odd = ready is not None and (ready.status is not ConditionStatus.TRUE or status.database_lost_at is not None)
    return PreviewRow(
        id=f"{project.meta.name}.{preview.meta.name}",
        name=preview.meta.name,
        project=project.meta.name,
        state=state.value,
        golden=preview.golden,
        copied_from=spec.copy_from.preview_database if spec and spec.copy_from else "",
        is_copy=spec is not None and spec.mode is PreviewMode.CLONE,
        age_seconds=(now - status.data_as_of).total_seconds() if status.data_as_of else None,
        data_as_of=status.data_as_of,
        expires_at=find_expiry(preview, spec) if spec else None,
        message=ready.message if ready and is_odd else "",
        usable=state is not PreviewState.DELETING,
        expired=state is PreviewState.EXPIRED,
        connectable=state is PreviewState.READY and not preview.golden,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """One schedule in a list."""

    name: str
    project: str
    schedule: str
    time_zone: str
    suspended: bool
    target: str
    active: list[str]
    last_successful_time: datetime | None
    next_time: datetime | None
    message: str


def build_schedule_row(project: ProjectObject, schedule: ScheduleObject) -> ScheduleRow:
    """Builds the row of a schedule. If its spec is not valid, the row says why."""
    spec, status = schedule.spec, schedule.status
    ready = find_condition(status.conditions, "Ready")
    target = spec.import_template.target if spec else None
    return ScheduleRow(
        name=schedule.meta.name,
        project=project.meta.name,
        schedule=spec.schedule if spec else "",
        time_zone=spec.time_zone if spec else "",
        suspended=spec is not None and spec.suspend,
        target=target.preview_database if target else "",
        active=status.active,
        last_successful_time=status.last_successful_time,
        next_time=status.next_schedule_time,
        message=schedule.spec_error or (ready.message if ready else ""),
    )

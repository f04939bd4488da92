"""Defines the `status` of a PostgresImportSchedule. The operator writes it, so it is parsed leniently."""

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.scalar_types import Time
from pgimport.model.status import Condition


class ScheduleStatus(LenientModel):
    """Shows which imports a schedule has created, and when the next one is due."""

    active: list[str] = Field(
        default=[], description="The names of the imports of this schedule that have not ended, oldest first."
    )
    last_schedule_time: Time | None = Field(
        default=None, description="The time of the schedule for which the operator created the last import."
    )
    last_successful_time: Time | None = Field(
        default=None, description="The time at which an import of this schedule was last completed."
    )
    data_as_of: Time | None = Field(
        default=None,
        description="The time of the snapshot of the source that the last completed import of this schedule copied, by"
        " the source's clock. It is absent if a dump file was imported.",
    )
    next_schedule_time: Time | None = Field(
        default=None,
        description="The next time of the schedule. If spec.jitter is set, the import is created later. The field is"
        " absent while the schedule is suspended.",
    )
    updated_at: Time | None = Field(default=None, description="The time at which this status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation for which the operator wrote this status."
    )
    conditions: list[Condition] = Field(
        default=[], description="The conditions of the schedule: Ready, Reconciling and Stalled."
    )

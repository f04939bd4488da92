"""Defines the `spec` of a PostgresImportSchedule, with the fields and semantics of a CronJob.

A rule between fields exists twice: as CEL for the API server (`cel_rules.py`), and as a pydantic validator here if an
older CRD may have accepted an object that breaks it.
"""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field, model_validator

from pgimport.model.base_models import StrictModel
from pgimport.model.cron_text import CronText, ZoneName
from pgimport.model.import_spec import ImportSpec
from pgimport.model.scalar_types import Duration, duration_rule

MAX_JITTER = timedelta(hours=24)
JITTER_RULE = duration_rule("jitter", "24h")
NOT_CANCELLED = (
    "importTemplate.cancel cannot be true: each import would be cancelled at once. To pause the schedule, set suspend"
)
_LONGEST = 2**31 - 1  # of an int32, like CronJob's history limits


class ConcurrencyPolicy(StrEnum):
    """What happens if an import is due while an earlier one of the same schedule has not ended."""

    FORBID = "Forbid"
    REPLACE = "Replace"


class ScheduleSpec(StrictModel):
    """Configures when imports are created, and how. Changes concern only imports that are not created yet."""

    schedule: CronText = Field(
        description="The times at which imports are created, in the syntax of CronJob: minute, hour, day of month,"
        " month and day of week, or a macro such as @daily."
    )
    time_zone: ZoneName = Field(
        default="Etc/UTC",
        description="The time zone of the schedule, as a name of the IANA database such as Europe/Berlin. Default:"
        " Etc/UTC.",
    )
    suspend: bool = Field(
        default=False,
        description="If true, no further imports are created. Imports that exist already continue.",
    )
    concurrency_policy: ConcurrencyPolicy = Field(
        default=ConcurrencyPolicy.FORBID,
        description="What happens if an import is due while an earlier one of this schedule has not ended. The value"
        " Forbid creates none until the earlier one has ended; Replace cancels the earlier one. Default: Forbid.",
    )
    starting_deadline_seconds: int | None = Field(
        default=None,
        ge=0,
        le=_LONGEST,
        description="An import that could not be created at its time is skipped when it is late by more than this"
        " number of seconds. If absent, the last missed one is created as soon as possible.",
    )
    jitter: Duration | None = Field(
        default=None,
        description="Every import is created later by a fixed time, which is shorter than this duration and different"
        " for each schedule. It keeps many schedules from starting at once. At most 24h.",
    )
    successful_imports_history_limit: int = Field(
        default=3,
        ge=0,
        le=_LONGEST,
        description="The number of completed imports to keep. The operator deletes older ones; the data in their"
        " targets stays. Default: 3.",
    )
    failed_imports_history_limit: int = Field(
        default=1,
        ge=0,
        le=_LONGEST,
        description="The number of failed and cancelled imports to keep. The operator deletes older ones. Default: 1.",
    )
    import_template: ImportSpec = Field(
        description="The spec of the imports. To replace the target's data each time, set recreate to true."
    )

    @model_validator(mode="after")
    def _check_jitter(self) -> "ScheduleSpec":
        if self.jitter is not None and not timedelta(0) < self.jitter <= MAX_JITTER:
            raise ValueError(JITTER_RULE)
        return self

    @model_validator(mode="after")
    def _refuse_cancelled_imports(self) -> "ScheduleSpec":
        if self.import_template.cancel:
            raise ValueError(NOT_CANCELLED)
        return self

"""Defines the `spec` of a PreviewDatabase.

A rule between fields exists twice: as CEL for the API server (`cel_rules.py`), and as a pydantic validator here if an
older CRD may have accepted an object that breaks it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field, model_validator

from pgimport.model.base_models import StrictModel
from pgimport.model.request_dates import is_future
from pgimport.model.scalar_types import Duration, SpecTime, duration_rule
from pgimport.model.string_types import Label, ObjectName

MAX_TTL = timedelta(hours=168)
TTL_RULE = duration_rule("ttl", "168h")


class PreviewMode(StrEnum):
    """Content of a new preview database."""

    EMPTY = "empty"
    CLONE = "clone"


class CopySource(StrictModel):
    """Names the preview whose database is copied."""

    preview_database: ObjectName = Field(
        description="The name of a PreviewDatabase of the same Project: a golden one, unless disconnect is true."
    )
    disconnect: bool = Field(
        default=False,
        description="If true, the source may be any preview: its sessions end, and new ones wait until the copy"
        " exists. Default: false.",
    )


class PreviewSpec(StrictModel):
    """Configures a temporary database with its own owner role."""

    project: Label = Field(description="The name of the Project whose spec.namespace is this namespace.")
    mode: PreviewMode = Field(
        default=PreviewMode.EMPTY,
        description="The value empty creates an empty database; clone copies the preview in from, or the Project's"
        " primary database. Default: empty.",
    )
    copy_from: CopySource | None = Field(
        default=None,
        alias="from",
        description="The preview that mode clone copies. The server copies its database, which takes seconds for a"
        " small database and needs no import. If absent, the Project's primary database is copied. Immutable.",
    )
    golden: bool = Field(
        default=False,
        description="If true, the database only holds data to copy from: nobody can log in, it has no ttl and no"
        " connection Secret, and it is ready when an import has filled it. Immutable. Default: false.",
    )
    ttl: Duration = Field(
        default=timedelta(hours=24),
        description="The database expires this long after renewedAt, or after its creation if renewedAt is absent."
        " Default: 24h; at most 168h.",
    )
    renewed_at: SpecTime | None = Field(
        default=None,
        description="The time from which ttl counts. Set it to the current time to extend the preview. A time in the"
        " future has no effect until then.",
    )
    reset_at: SpecTime | None = Field(
        default=None,
        description="If this time is newer than status.resetAt, the operator replaces the database with an empty"
        " one or a new copy. A time in the future has no effect until then.",
    )

    @model_validator(mode="after")
    def _check_ttl(self) -> "PreviewSpec":
        if not timedelta(0) < self.ttl <= MAX_TTL:
            raise ValueError(TTL_RULE)
        return self

    def find_future_dates(self, now: datetime) -> dict[str, datetime]:
        """Returns the dates that are in the future, by field. CEL cannot refuse them: it has no clock."""
        dates = {"spec.renewedAt": self.renewed_at, "spec.resetAt": self.reset_at}
        return {name: date for name, date in dates.items() if date is not None and is_future(date, now)}

    def reset_due(self, done: datetime | None, now: datetime) -> bool:
        """Tells whether resetAt asks for another reset than the one that was done last."""
        date = self.reset_at
        return date is not None and not is_future(date, now) and (done is None or date > done)

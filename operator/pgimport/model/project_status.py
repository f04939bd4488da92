"""Defines the `status` of Projects. The operator writes it, so it is parsed leniently."""

from enum import StrEnum

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.scalar_types import Time
from pgimport.model.status import Condition


class CloneMethod(StrEnum):
    """How a server copies a database."""

    CLONE = "clone"  # FILE_COPY with file_copy_method = clone
    FILE_COPY = "fileCopy"
    WAL_LOG = "walLog"


class ProjectStatus(LenientModel):
    """Shows whether the Project's server can take imports."""

    ready: bool | None = Field(
        default=None,
        description="The value is true if the server can be reached and its admin has the required rights.",
    )
    in_use: bool | None = Field(
        default=None,
        description="The value is true while the server has, or may have, databases or roles of this Project. Then"
        " spec.server.host, port and clusterID cannot change.",
    )
    unused_since: Time | None = Field(
        default=None,
        description="The time at which the operator found nothing of the Project on the server. It looks once more"
        " before inUse becomes false.",
    )
    target_version: str | None = Field(default=None, description="The PostgreSQL version of the Project's server.")
    clone_method: CloneMethod | None = Field(
        default=None,
        description="How the server made the last copy of a preview: by clone (it asked the file system to clone the"
        " files), fileCopy (it copied the files) or walLog (it wrote each page to the WAL, as for small databases).",
    )
    clone_bytes_per_second: int | None = Field(
        default=None,
        description="The size of the last copy, divided by the seconds that CREATE DATABASE took. Some file systems"
        " copy files although cloneMethod is clone. Then this is about the speed of the disk.",
    )
    warnings: list[str] = Field(
        default=[],
        description="A list of what the platform's admin should change at the server, for example a database of"
        " spec.server.templates that does not exist. Imports run nevertheless.",
    )
    updated_at: Time | None = Field(default=None, description="The time at which this status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The metadata.generation for which the operator wrote this status."
    )
    conditions: list[Condition] = Field(
        default=[],
        description="The conditions of the Project: Ready, Reconciling, Stalled, CleanedUp and WebhooksDelivered.",
    )

"""The JSON objects by which the HTTP API and the webhooks show an import and a preview: the job and the preview.

Existing clients of the platform know these names and shapes.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from pgimport.model.names import JOB_TYPE
from pgimport.model.preview_spec import PreviewMode, PreviewSpec
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject
from pgimport.model.scalar_types import Time
from pgimport.model.status import (
    FULLY_IMPORTED,
    ConditionStatus,
    ImportState,
    ImportStatus,
    JobFields,
    PreviewState,
    find_condition,
)

READY = "Ready"  # type of the condition that says why an object is not ready
ID_DESCRIPTION = "The ID has the form <project>.<name>."


class ResponseModel(BaseModel):
    """Part of a response. Most routes leave out fields whose value is null."""

    model_config = ConfigDict(frozen=True)


class Job(ResponseModel, JobFields):
    """An import, which existing clients of the platform know as a job."""

    # Most fields come from JobFields. The fields below have another type there, or are always present here.
    id: str = Field(description=ID_DESCRIPTION)
    type: str = Field(default=JOB_TYPE, description="The type is always project.import.")
    state: ImportState = Field(description="The state is pending, running, completed, failed or cancelled.")
    attempts: int = Field(default=0, description="The number of attempts started so far.")
    max_attempts: int = Field(description="The largest number of attempts that may start.")
    project_id: str = Field(description="The name of the Project that the import belongs to.")
    created_at: Time = Field(description="The time at which the import was created.")
    updated_at: Time = Field(description="The time at which the import's status last changed.")
    reason: str | None = Field(
        default=None,
        description="The reason for the state, for example why the job waits. It is the reason of the condition Ready.",
    )
    message: str | None = Field(default=None, description="A text that explains the reason to a person.")
    fully_imported: bool | None = Field(
        default=None,
        description="The value is false if a completed import skipped an object that the target refused.",
    )
    retry_classification: str | None = Field(  # type: ignore[assignment]  # existing clients expect a string
        default=None, description=JobFields.model_fields["retry_classification"].description
    )


class JobAnswer(ResponseModel):
    """A response with one job."""

    job: Job


def build_job(project: ProjectObject, import_object: ImportObject) -> Job:
    """Builds a job from the resource. Fields that the operator has not set yet are taken from metadata and spec."""
    meta, spec, status = import_object.meta, import_object.spec, import_object.status
    preview = spec.target.preview_database if spec and spec.target else None
    cancelled = spec is not None and spec.cancel and status.state is None
    ready = find_condition(status.conditions, READY)
    return Job.model_validate(
        {name: getattr(status, name) for name in JobFields.model_fields}
        | {
            "id": f"{project.meta.name}.{meta.name}",
            "type": JOB_TYPE,
            "state": ImportState.CANCELLED if cancelled else status.state or ImportState.PENDING,
            "attempts": status.attempts or 0,
            "max_attempts": status.max_attempts or (spec.max_attempts if spec else 1),
            "project_id": project.meta.name,
            "organization_id": status.organization_id or (project.spec.organization_id if project.spec else None),
            "cluster_id": status.cluster_id or (project.spec.server.cluster_id if project.spec else None),
            "preview_database_id": f"{project.meta.name}.{preview}" if preview else None,
            "fully_imported": _is_fully_imported(status),
            "created_at": meta.created_at,
            "updated_at": status.updated_at or meta.created_at,
            "reason": ready.reason if ready else None,
            "message": ready.message if ready else None,
            "retry_classification": status.retry_classification.value if status.retry_classification else None,
        }
    )


def _is_fully_imported(status: ImportStatus) -> bool | None:
    condition = find_condition(status.conditions, FULLY_IMPORTED)
    return None if condition is None else condition.status is ConditionStatus.TRUE


class Preview(ResponseModel):
    """A disposable database with its own owner role."""

    id: str = Field(description=ID_DESCRIPTION)
    name: str = Field(description="The name of the PreviewDatabase resource.")
    project_id: str = Field(description="The name of the Project that the preview database belongs to.")
    mode: PreviewMode = Field(description="The value is empty, or clone for a copy of the Project's primary database.")
    state: PreviewState = Field(description="The state is pending, ready, failed, expired or deleting.")
    reason: str | None = Field(
        default=None,
        description="The reason for the state, for example why the preview database waits. It is the reason of the"
        " condition Ready.",
    )
    message: str | None = Field(default=None, description="A text that explains the reason to a person.")
    golden: bool = Field(description="The value is true if the database only holds data to copy from.")
    ttl_hours: int | None = Field(
        description="The time from creation or extension to expiry, in hours, rounded up. It is null if the database is"
        " golden."
    )
    data_as_of: Time | None = Field(
        default=None,
        description="The time of the source's snapshot that the last completed import copied. A copy of another"
        " preview has the value of that preview. It is absent if nothing was imported, or if a dump file was imported.",
    )
    created_at: Time = Field(description="The time at which the preview database was created.")
    expires_at: Time | None = Field(
        description="The time at which the operator drops the database. It is null if the database is golden."
    )


class PreviewAnswer(ResponseModel):
    """A response with one preview database."""

    preview: Preview


def find_expiry(preview: PreviewObject, spec: PreviewSpec) -> datetime | None:
    """Returns the time of expiry: from the status if the operator has observed this spec, otherwise from the spec."""
    status = preview.status
    if spec.golden:
        return None
    if status.expires_at is not None and status.observed_generation == preview.meta.generation:
        return status.expires_at
    return (spec.renewed_at or preview.meta.created_at) + spec.ttl


def build_preview_body(project: ProjectObject, preview: PreviewObject) -> Preview:
    """Builds a REST preview from the resource's spec and, once the operator has set it, its state."""
    spec = preview.spec or PreviewSpec(project=project.meta.name)
    ready = find_condition(preview.status.conditions, READY)
    return Preview(
        id=f"{project.meta.name}.{preview.meta.name}",
        name=preview.meta.name,
        project_id=project.meta.name,
        mode=spec.mode,
        state=preview.state,
        reason=ready.reason if ready else None,
        message=ready.message if ready else None,
        golden=spec.golden,
        ttl_hours=None if spec.golden else -(-spec.ttl // timedelta(hours=1)),  # rounded up
        data_as_of=preview.status.data_as_of,
        created_at=preview.meta.created_at,
        expires_at=find_expiry(preview, spec),
    )

"""Request and response bodies of imports, jobs and uploads."""

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from pgimport.api.rest_models import ID_DESCRIPTION, MAX_ID, READY, RequestModel, ResponseModel
from pgimport.model.names import JOB_TYPE
from pgimport.model.resources import ImportObject, ProjectObject
from pgimport.model.scalar_types import Time
from pgimport.model.source_url import MAX_URL_LENGTH
from pgimport.model.status import FULLY_IMPORTED, ConditionStatus, ImportState, ImportStatus, JobFields, find_condition

EXAMPLE_SOURCE = "postgresql://reader:secret@db.example.com:5432/shop?sslmode=require"
SourceText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]
SOURCE_DESCRIPTION = "The source is a postgresql:// URL of a live database or an https:// URL of a dump file."


class ImportRequest(RequestModel):
    """Asks for one import. Give exactly one of source_url and upload_key."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"source_url": EXAMPLE_SOURCE, "preview_database_id": "shop.pr-42", "recreate": True}
        }
    )

    source_url: SourceText | None = Field(default=None, description=SOURCE_DESCRIPTION)
    upload_key: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = Field(
        default=None, description="The source is the uploaded file with this object_key."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The dump file must have this SHA-256 checksum, in hexadecimal."
    )
    recreate: bool = Field(
        default=False, strict=True, description="If true, the import replaces a preview database that has objects."
    )
    preview_database_id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)] | None = Field(
        default=None, description="The import writes to this preview database; without it, to a new one."
    )
    dry_run: bool = Field(default=False, strict=True, description="If true, only the preflight runs.")
    confirm: Literal[True] | None = Field(
        default=None, description="The client may acknowledge the import with true; the value changes nothing."
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "ImportRequest":
        if (self.source_url is None) == (self.upload_key is None):
            raise ValueError("exactly one of source_url and upload_key must be given")
        return self

    def to_canonical_json(self) -> str:
        """Returns the same text for the same request, also if a later version has more fields or another order."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


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


class JobsAnswer(ResponseModel):
    """A response with jobs of a project, newest first."""

    jobs: list[Job]


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


class Upload(ResponseModel):
    """A URL to which one dump file can be uploaded once."""

    object_key: str = Field(description="Send this value as upload_key when you create the import.")
    upload_url: str = Field(description="Upload the file to this URL with PUT, without an API key.")
    expires_at: Time = Field(description="The URL is valid until this time.")


class UploadAnswer(ResponseModel):
    """A response with one upload."""

    upload: Upload

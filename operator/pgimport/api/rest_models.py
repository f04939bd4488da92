"""The words of the HTTP API: requests as they come in, answers as they go out, made of the resources' own words.

Names and shapes are those of the original API; the OpenAPI document is made from this file.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from pgimport.model.names import JOB_TYPE
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject
from pgimport.model.result import PreflightReport
from pgimport.model.scalar_types import Time
from pgimport.model.source_url import MAX_URL_LENGTH
from pgimport.model.spec import MAX_TTL, PreviewMode, PreviewSpec
from pgimport.model.status import ImportState, PreviewState
from pgimport.model.string_types import Label

MAX_HOURS = int(MAX_TTL.total_seconds()) // 3600
MAX_ID = 320  # characters of `<project>.<name>`


class RequestModel(BaseModel):
    """What a client sends: an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class ResponseModel(BaseModel):
    """What a client gets; a value that is not known yet is left out."""

    model_config = ConfigDict(frozen=True)


class Problem(ResponseModel):
    """Every error, of every route."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"example": {"error": "no such job"}})

    error: str = Field(description="What is wrong, and what to do.")


# --- imports -------------------------------------------------------------------------------------------------

SourceText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]


def _whole(value: object) -> object:
    """A number of JSON without a fraction, which 24.0 is too; a text or a truth value is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("input should be a valid integer")
    return value


Hours = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_HOURS)]


class ImportRequest(RequestModel):
    """One import: where from (exactly one of source_url and upload_key), and into which preview."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "source_url": "postgresql://reader:secret@db.example.com:5432/shop?sslmode=require",
                "preview_database_id": "shop.pr-42", "recreate": True,
            },
        }
    )  # fmt: skip

    source_url: SourceText | None = Field(
        default=None, description="postgresql:// URL of a live database, or https:// URL of a dump file."
    )
    upload_key: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = Field(
        default=None, description="The object_key of an upload."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the dump file, in hex."
    )
    recreate: bool = Field(default=False, strict=True, description="true: the preview is replaced as a whole.")
    preview_database_id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)] | None = Field(
        default=None, description="Where it goes; without it, into a fresh preview."
    )
    dry_run: bool = Field(default=False, strict=True, description="Only the preflight; nothing is changed.")
    confirm: Literal[True] | None = Field(default=None, description="An acknowledgement; true or absent.")

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "ImportRequest":
        if (self.source_url is None) == (self.upload_key is None):
            raise ValueError("exactly one of source_url and upload_key must be given")
        return self


class PreflightRequest(RequestModel):
    """A source to look at."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"source_url": "postgresql://reader:secret@db.example.com:5432/shop"}}
    )

    source_url: SourceText = Field(description="postgresql:// URL of a live database, or https:// URL of a dump file.")


class Job(ResponseModel):
    """An import, as the original API calls it."""

    id: str = Field(description="<project>.<name>")
    type: str = Field(default=JOB_TYPE, description="Always project.import.")
    state: ImportState = Field(description="pending, running, completed, failed or cancelled.")
    attempts: int = Field(default=0, description="Attempts begun so far.")
    max_attempts: int = Field(description="Attempts in all.")
    project_id: str
    organization_id: str | None = None
    cluster_id: str | None = None
    preview_database_id: str | None = None
    locked_resource: str | None = None
    created_at: Time
    updated_at: Time
    claimed_at: Time | None = None
    claimed_by: str | None = None
    started_at: Time | None = None
    completed_at: Time | None = None
    error: str | None = None
    retry_classification: str | None = None
    last_exit_code: int | None = None
    last_stdout: str | None = None
    last_stderr: str | None = None


class JobAnswer(ResponseModel):
    """One job."""

    job: Job


class JobsAnswer(ResponseModel):
    """Jobs, newest first."""

    jobs: list[Job]


def tell_job(project: ProjectObject, found: ImportObject) -> Job:
    """Before the operator has looked at it, it is pending."""
    status, spec = found.status, found.spec
    target = spec.target.preview_database if spec and spec.target else None
    cancelled = spec is not None and spec.cancel and status.state is None
    return Job(
        id=f"{project.meta.name}.{found.meta.name}",
        state=ImportState.CANCELLED if cancelled else status.state or ImportState.PENDING,
        attempts=status.attempts or 0,
        max_attempts=status.max_attempts or (spec.max_attempts if spec else 1),
        project_id=project.meta.name,
        organization_id=status.organization_id or (project.spec.organization_id if project.spec else None),
        cluster_id=status.cluster_id or (project.spec.server.cluster_id if project.spec else None),
        preview_database_id=f"{project.meta.name}.{target}" if target else None,
        locked_resource=status.locked_resource,
        created_at=found.meta.created_at,
        updated_at=status.updated_at or found.meta.created_at,
        claimed_at=status.claimed_at, claimed_by=status.claimed_by, started_at=status.started_at,
        completed_at=status.completed_at, error=status.error,
        retry_classification=status.retry_classification.value if status.retry_classification else None,
        last_exit_code=status.last_exit_code, last_stdout=status.last_stdout, last_stderr=status.last_stderr,
    )  # fmt: skip


# --- uploads -------------------------------------------------------------------------------------------------


class Upload(ResponseModel):
    """Where a dump file may be put, once."""

    object_key: str = Field(description="For upload_key of an import.")
    upload_url: str = Field(description="PUT the file there, without an API key.")
    expires_at: Time


class UploadAnswer(ResponseModel):
    """One upload."""

    upload: Upload


# --- preflight -----------------------------------------------------------------------------------------------


class CheckTold(ResponseModel):
    """One check."""

    name: str
    status: Literal["pass", "warn", "fail"]
    detail: str


class ExtensionTold(ResponseModel):
    """An extension of the source."""

    name: str
    version: str


class SourceTold(ResponseModel):
    """What the source is."""

    server_version: str
    database_size_bytes: int | None = None
    extensions: list[ExtensionTold] = []


class PreflightTold(ResponseModel):
    """The report."""

    ok: bool = Field(description="No check failed.")
    checks: list[CheckTold]
    source: SourceTold | None = None
    storage_limit_bytes: int | None = None
    target_version: str | None = None


class PreflightAnswer(ResponseModel):
    """One report."""

    preflight: PreflightTold


def tell_preflight(report: PreflightReport, project: ProjectObject) -> PreflightTold:
    """The report in the API's own shape."""
    source = report.source
    return PreflightTold(
        ok=report.ok,
        checks=[CheckTold(name=one.name, status=one.status.value, detail=one.detail) for one in report.checks],
        source=SourceTold(
            server_version=source.server_version,
            database_size_bytes=source.database_size_bytes,
            extensions=[ExtensionTold(name=one.name, version=one.version) for one in source.extensions],
        )
        if source
        else None,
        storage_limit_bytes=project.spec.storage_limit_bytes if project.spec else None,
        target_version=project.status.target_version,
    )


# --- previews ------------------------------------------------------------------------------------------------


class PreviewRequest(RequestModel):
    """A new preview database."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "pr-42", "ttl_hours": 24}})

    mode: PreviewMode = Field(default=PreviewMode.EMPTY, description="empty, or clone: a copy of the primary.")
    name: Label | None = Field(default=None, description="A DNS label; without it, one is made up.")
    ttl_hours: Hours = Field(default=24, description=f"Life of the database, 1 to {MAX_HOURS}.")


class ExtendRequest(RequestModel):
    """More time."""

    model_config = ConfigDict(json_schema_extra={"example": {"ttl_hours": 48}})

    ttl_hours: Hours = Field(description=f"From now on, 1 to {MAX_HOURS}.")


class Preview(ResponseModel):
    """A preview database."""

    id: str = Field(description="<project>.<name>")
    name: str
    project_id: str
    mode: PreviewMode
    state: PreviewState
    ttl_hours: int
    created_at: Time
    expires_at: Time


class PreviewAnswer(ResponseModel):
    """One preview."""

    preview: Preview


class PreviewsAnswer(ResponseModel):
    """All previews of a project, newest first."""

    previews: list[Preview]


class Connections(ResponseModel):
    """How to enter a preview."""

    host: str
    port: int
    database: str
    user: str
    password: str
    url: str


class ConnectionsAnswer(ResponseModel):
    """One preview's connections."""

    connections: Connections


def find_end(spec: PreviewSpec, created_at: datetime) -> datetime:
    """When the database will be dropped, also before the operator has said so."""
    return (spec.renewed_at or created_at) + spec.ttl


def tell_preview(project: ProjectObject, found: PreviewObject) -> Preview:
    """As its spec says, and its status as far as the operator has come."""
    spec = found.spec or PreviewSpec(project=project.meta.name)
    state = found.status.state or PreviewState.PENDING
    return Preview(
        id=f"{project.meta.name}.{found.meta.name}",
        name=found.meta.name,
        project_id=project.meta.name,
        mode=spec.mode,
        state=PreviewState.DELETING if found.meta.deleting else state,
        ttl_hours=-(-spec.ttl // timedelta(hours=1)),
        created_at=found.meta.created_at,
        expires_at=find_end(spec, found.meta.created_at),
    )

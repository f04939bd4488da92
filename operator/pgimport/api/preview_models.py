"""Request and response bodies of preview databases."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from pgimport.api.rest_models import ID_DESCRIPTION, READY, RequestModel, ResponseModel
from pgimport.model.preview_spec import MAX_TTL, PreviewMode, PreviewSpec
from pgimport.model.resources import PreviewObject, ProjectObject
from pgimport.model.scalar_types import Time
from pgimport.model.status import PreviewState, find_condition
from pgimport.model.string_types import Label

MAX_HOURS = int(MAX_TTL.total_seconds()) // 3600


def _parse_whole_number(value: object) -> object:
    """Accepts a JSON number without a fraction, including 24.0. Refuses strings and booleans with ValueError."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("input should be a valid integer")
    return value


Hours = Annotated[int, BeforeValidator(_parse_whole_number), Field(ge=1, le=MAX_HOURS)]


class PreviewRequest(RequestModel):
    """Asks for a new preview database."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "pr-42", "ttl_hours": 24}})

    mode: PreviewMode = Field(
        default=PreviewMode.EMPTY,
        description="The database starts empty, or with mode clone as a copy of the Project's primary database.",
    )
    name: Label | None = Field(
        default=None, description="The name must be a DNS label; without it, the API generates one."
    )
    golden: bool = Field(
        default=False,
        strict=True,
        description="If true, the database only holds data to copy from: nobody can log in, and it never expires.",
    )
    ttl_hours: Hours = Field(
        default=24,
        description=f"The database is dropped after this many hours, 1 to {MAX_HOURS}. Not for a golden one.",
    )

    @model_validator(mode="after")
    def _check_golden(self) -> "PreviewRequest":
        if self.golden and "ttl_hours" in self.model_fields_set:
            raise ValueError("ttl_hours: a golden preview database never expires")
        if self.golden and self.mode is not PreviewMode.EMPTY:
            raise ValueError("mode: a golden preview database starts empty; import into it")
        return self


class ExtendRequest(RequestModel):
    """Asks for a later expiry of a preview database."""

    model_config = ConfigDict(json_schema_extra={"example": {"ttl_hours": 48}})

    ttl_hours: Hours = Field(description=f"The database is dropped this many hours from now, 1 to {MAX_HOURS}.")


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
        description="The time of the source's snapshot that the last completed import copied. It is absent if no"
        " import was completed, or if a dump file was imported.",
    )
    created_at: Time = Field(description="The time at which the preview database was created.")
    expires_at: Time | None = Field(
        description="The time at which the operator drops the database. It is null if the database is golden."
    )


class PreviewAnswer(ResponseModel):
    """A response with one preview database."""

    preview: Preview


class PreviewsAnswer(ResponseModel):
    """A response with all preview databases of a project, newest first."""

    previews: list[Preview]


class Connections(ResponseModel):
    """The connection parameters of a preview database."""

    host: str = Field(description="The host name of the server.")
    port: int = Field(description="The port of the server.")
    database: str = Field(description="The name of the database.")
    user: str = Field(description="The role that owns the database.")
    password: str = Field(description="The password of that role.")
    url: str = Field(description="The postgresql:// URL with all values above.")


class ConnectionsAnswer(ResponseModel):
    """A response with connection parameters."""

    connections: Connections


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
    state = preview.status.state or PreviewState.PENDING
    ready = find_condition(preview.status.conditions, READY)
    return Preview(
        id=f"{project.meta.name}.{preview.meta.name}",
        name=preview.meta.name,
        project_id=project.meta.name,
        mode=spec.mode,
        state=PreviewState.DELETING if preview.meta.deleting else state,
        reason=ready.reason if ready else None,
        message=ready.message if ready else None,
        golden=spec.golden,
        ttl_hours=None if spec.golden else -(-spec.ttl // timedelta(hours=1)),  # rounded up
        data_as_of=preview.status.data_as_of,
        created_at=preview.meta.created_at,
        expires_at=find_expiry(preview, spec),
    )

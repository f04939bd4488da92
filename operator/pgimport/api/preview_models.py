"""Request and response bodies of preview databases."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from pgimport.api.rest_models import RequestModel
from pgimport.model.preview_spec import MAX_TTL, PreviewMode
from pgimport.model.rest_views import Preview, ResponseModel
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

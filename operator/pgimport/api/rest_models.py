"""Base classes of the HTTP API's request and response bodies, and the body of every error.

Existing clients of the platform know these names and shapes. The OpenAPI document is generated from these classes. Its
component names are the classes' titles, so renaming a class does not break a generated client.
"""

from pydantic import BaseModel, ConfigDict, Field

from pgimport.model.rest_views import ResponseModel

MAX_ID = 320  # characters of `<project>.<name>`


class RequestModel(BaseModel):
    """Part of a request. An unknown field is an error that names the field."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Problem(ResponseModel):
    """Every error response of every route has this body."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"example": {"error": "no such job"}})

    error: str = Field(description="The text says what is wrong and, if you can fix it, how.")

"""Path parameters and error responses that several routes declare in the OpenAPI document."""

from typing import Annotated, Any

from fastapi import Path

from pgimport.api.rest_models import MAX_ID, Problem
from pgimport.model.rest_views import ID_DESCRIPTION

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "The request failed; the text says why and, if you can fix it, how."}
}
ProjectID = Annotated[
    str,
    Path(alias="projectID", min_length=1, max_length=63, description="The name of a Project.", examples=["shop"]),
]
JobID = Annotated[
    str, Path(alias="jobID", min_length=1, max_length=MAX_ID, description=ID_DESCRIPTION, examples=["shop.first"])
]
PreviewID = Annotated[
    str, Path(alias="id", min_length=1, max_length=MAX_ID, description=ID_DESCRIPTION, examples=["shop.pr-42"])
]

"""What several routes say of themselves in the OpenAPI document."""

from typing import Annotated, Any

from fastapi import Path

from pgimport.api.rest_models import MAX_ID, Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "An error: what is wrong, and what to do."}
}
ProjectID = Annotated[
    str, Path(alias="projectID", min_length=1, max_length=63, description="Name of a Project.", examples=["shop"])
]
JobID = Annotated[
    str, Path(alias="jobID", min_length=1, max_length=MAX_ID, description="<project>.<name>", examples=["shop.first"])
]
PreviewID = Annotated[
    str, Path(alias="id", min_length=1, max_length=MAX_ID, description="<project>.<name>", examples=["shop.pr-42"])
]

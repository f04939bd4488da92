"""Jobs: ids come in; jobs as the resources tell them go out."""

import base64
import binascii
import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from pgimport.api.api_context import Access, CurrentContext
from pgimport.api.authorization import namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.openapi_parameters import PROBLEMS, JobID, ProjectID
from pgimport.api.resource_writer import change
from pgimport.api.rest_models import JobAnswer, JobsAnswer, tell_job
from pgimport.kubernetes_client.custom_resources import parse_import
from pgimport.kubernetes_client.watch_cache import sort_key
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL
from pgimport.model.status import ImportState

_PLACE = re.compile(r"[0-9T:-]{19}Z [a-z0-9.-]{1,253}")
router = APIRouter(tags=["jobs"])
Limit = Annotated[int, Query(ge=1, le=100, description="Jobs of one answer.")]
Cursor = Annotated[
    str | None,
    Query(max_length=600, description='Where the answer before ended: from its header `Link`, rel="next".'),
]


@router.get(
    "/projects/{projectID}/jobs", operation_id="listJobs", response_model_exclude_none=True, summary="Newest first",
    responses={
        **PROBLEMS,
        200: {"headers": {"Link": {"description": "The next page, where there is one.", "schema": {"type": "string"}}}},
    },
)  # fmt: skip
def list_jobs(
    project_id: ProjectID, entered: Access, request: Request, response: Response, limit: Limit = 25,
    cursor: Cursor = None,
) -> JobsAnswer:  # fmt: skip
    entered.need(ApiScope.JOBS_READ)
    project = entered.find_project(project_id)
    before = _read_cursor(cursor) if cursor else ""
    found = entered.cache.list_newest(IMPORTS, namespace_of(project), limit + 1, before, _is_job)
    if len(found) > limit:
        found = found[:limit]
        place = base64.urlsafe_b64encode(sort_key(found[-1]).encode()).decode().rstrip("=")
        response.headers["Link"] = f'<{request.url.path}?limit={limit}&cursor={place}>; rel="next"'
    return JobsAnswer(jobs=[tell_job(project, parse_import(body)) for body in found])


def _is_job(labels: dict[str, str]) -> bool:
    """The runs behind a preflight are nobody's job."""
    return LABEL_EPHEMERAL not in labels


def _read_cursor(text: str) -> str:
    try:
        place = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        place = ""
    if not _PLACE.fullmatch(place):
        raise ApiError(400, "cursor: take it from the header Link of the answer before")
    return place


@router.get(
    "/jobs/{jobID}", operation_id="getJob", response_model_exclude_none=True, responses=PROBLEMS, summary="One job"
)
def get_job(job_id: JobID, entered: Access) -> JobAnswer:
    entered.need(ApiScope.JOBS_READ)
    return JobAnswer(job=tell_job(*entered.find_import(job_id)))


@router.post(
    "/jobs/{jobID}/cancel", status_code=202, operation_id="cancelJob", response_model_exclude_none=True,
    responses=PROBLEMS, summary="End a job for good",
)  # fmt: skip
def cancel_job(job_id: JobID, entered: Access, context: CurrentContext) -> JobAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    project, found = entered.find_import(job_id)
    if found.status.terminal:
        if found.status.state is ImportState.CANCELLED:
            return JobAnswer(job=tell_job(project, found))
        raise ApiError(409, f"the job has {found.status.state} already")
    made = change(context, IMPORTS, found.meta, {"spec": {"cancel": True}}, "job")
    return JobAnswer(job=tell_job(project, parse_import(made)))

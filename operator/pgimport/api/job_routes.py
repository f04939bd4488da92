"""Routes that list, read and cancel jobs."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from pgimport.api.api_context import CurrentContext, context_of
from pgimport.api.authentication import Access, AuthenticatedRoute
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.import_models import JobsAnswer
from pgimport.api.openapi_parameters import ERROR_RESPONSES, JobID, ProjectID
from pgimport.api.report_models import ReportAnswer, build_report
from pgimport.api.resource_writer import patch_object
from pgimport.kubernetes_client.custom_resources import parse_import
from pgimport.kubernetes_client.json_cache import CachedJson, sort_key
from pgimport.kubernetes_client.secrets_and_config_maps import read_config_map_entry
from pgimport.model.api_caller import ApiScope
from pgimport.model.import_report import parse_report
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL, REPORT_KEY, report_name
from pgimport.model.report_carrier import MAX_CONFIG_MAPS
from pgimport.model.rest_views import JobAnswer, build_job
from pgimport.model.status import ImportState

_POSITION = re.compile(r"[0-9T:-]{19}Z [a-z0-9.-]{1,253}")  # creation time and name, as the cache sorts them
router = APIRouter(tags=["jobs"], route_class=AuthenticatedRoute)
Limit = Annotated[int, Query(ge=1, le=100, description="The response has at most this many jobs.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=600,
        description='The response continues after this position; use the URL with rel="next" in the Link header.',
    ),
]
_LINK_HEADER = {"description": "The URL of the next page, if there is one.", "schema": {"type": "string"}}


@router.get(
    "/projects/{projectID}/jobs",
    operation_id="listJobs",
    response_model_exclude_none=True,
    summary="List the jobs of a project, newest first.",
    responses={**ERROR_RESPONSES, 200: {"headers": {"Link": _LINK_HEADER}}},
)
def list_jobs(
    project_id: ProjectID,
    access: Access,
    request: Request,
    response: Response,
    limit: Limit = 25,
    cursor: Cursor = None,
) -> JobsAnswer:
    access.require_scope(ApiScope.JOBS_READ)
    project = access.find_project(project_id)
    before = _parse_cursor(cursor) if cursor else ""
    bodies = access.cache.list_newest(IMPORTS, namespace_of(project), project_id, limit + 1, before, _is_job)
    if len(bodies) > limit:
        bodies = bodies[:limit]
        next_cursor = _format_cursor(sort_key(bodies[-1]))
        response.headers["Link"] = f'<{request.url.path}?limit={limit}&cursor={next_cursor}>; rel="next"'
    return JobsAnswer(jobs=[build_job(project, parse_import(body)) for body in bodies])


def _is_job(content: CachedJson) -> bool:
    """Returns False for the imports that run on behalf of the preflight route."""
    return LABEL_EPHEMERAL not in content.labels


def _format_cursor(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> str:
    """Returns the position of the last job on the previous page. Raises ApiError 400."""
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        position = ""
    if not _POSITION.fullmatch(position):
        raise ApiError(400, "cursor: use the value from the Link header of the previous response")
    return position


@router.get(
    "/jobs/{jobID}",
    operation_id="getJob",
    response_model_exclude_none=True,
    responses=ERROR_RESPONSES,
    summary="Read one job by its ID.",
)
def get_job(job_id: JobID, access: Access) -> JobAnswer:
    access.require_scope(ApiScope.JOBS_READ)
    return JobAnswer(job=build_job(*access.find_import(job_id)))


async def _hold_report_place(request: Request) -> AsyncIterator[None]:
    """Counts a report until it was sent, because it stays in memory until then. Raises ApiError 429 or 503."""
    access: CallerAccess = request.state.access
    with context_of(request).report_limit.counted(access.caller.organization):
        yield


@router.get(
    "/jobs/{jobID}/report",
    operation_id="getReport",
    response_model_exclude_none=True,
    responses=ERROR_RESPONSES,
    summary="Read everything that a job skipped, compared and could not compare.",
    dependencies=[Depends(_hold_report_place, scope="request")],
)
def get_report(job_id: JobID, access: Access) -> ReportAnswer:
    access.require_scope(ApiScope.JOBS_READ)
    _, import_object = access.find_import(job_id)
    meta, reference = import_object.meta, import_object.status.report_ref
    if reference is None:
        raise ApiError(409, "the job has no report yet; it is written when an attempt has ended")
    # The names are computed: only the number of parts is taken from the status.
    count = min(len(reference.config_maps), MAX_CONFIG_MAPS)
    names = [report_name(meta.name, meta.uid, number) for number in range(1, count + 1)]
    parts = [
        read_config_map_entry(access.cluster, meta.namespace, name, REPORT_KEY, owner_uid=meta.uid) for name in names
    ]
    present = [part for part in parts if part is not None]
    report = build_report(import_object.status, parse_report(present), all_parts=len(present) == count)
    return ReportAnswer(report=report)


@router.post(
    "/jobs/{jobID}/cancel",
    status_code=202,
    operation_id="cancelJob",
    response_model_exclude_none=True,
    responses=ERROR_RESPONSES,
    summary="Cancel a job for good.",
)
def cancel_job(job_id: JobID, access: Access, context: CurrentContext) -> JobAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project, import_object = access.find_import(job_id)
    state = import_object.status.state
    if state is not None and state.terminal:
        if state is ImportState.CANCELLED:
            return JobAnswer(job=build_job(project, import_object))
        raise ApiError(409, f"the job has already {state}")
    body = patch_object(context, IMPORTS, import_object.meta, {"spec": {"cancel": True}}, "job")
    return JobAnswer(job=build_job(project, parse_import(body)))

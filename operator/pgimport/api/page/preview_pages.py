"""Routes of the pages of previews and schedules."""

import secrets

from fastapi import APIRouter, Request
from starlette.responses import Response

from pgimport.api.api_context import CurrentContext
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.object_names import ObjectNamer
from pgimport.api.page.page_access import Form, PageAccess, parse_form
from pgimport.api.page.paths import PREFIX
from pgimport.api.page.plots import scale_ages
from pgimport.api.page.preview_views import build_preview_row, build_schedule_row
from pgimport.api.page.project_objects import (
    choose_projects,
    count_changes,
    list_previews,
    list_projects,
    list_schedules,
)
from pgimport.api.page.rendering import redirect, render
from pgimport.api.preview_models import ExtendRequest, PreviewRequest
from pgimport.api.preview_routes import create_preview, delete_preview, extend_preview, get_connections, reset_preview
from pgimport.api.request_origin import RequestOrigin
from pgimport.api.resource_manifests import build_copy
from pgimport.api.resource_writer import create_object
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import PREVIEWS

router = APIRouter()
MAX_PREVIEWS = 1000
MAX_DIGITS = 9  # of a number of hours; so many are too many anyway
_LIST = f"{PREFIX}/previews"


@router.get("/previews")
def show_previews(access: PageAccess, context: CurrentContext, project: str = "") -> Response:
    return _render_previews(access, context, project)


@router.post("/previews")
def make_preview(request: Request, form: Form, access: PageAccess, context: CurrentContext) -> Response:
    project_id, source = form.get("project", ""), form.get("from", "")
    try:
        body = _read_request(form)
        if source:
            _copy_preview(access, context, request, body, project_id, source)
        else:
            create_preview(project_id, request, access, context, body)
    except ApiError as error:
        return _render_previews(access, context, "", error)
    return redirect(_LIST)


def _read_request(form: dict[str, str]) -> PreviewRequest:
    """Returns the preview that a form asks for. Raises ApiError 400."""
    values: dict[str, object] = {"name": form["name"]} if "name" in form else {}
    if "golden" in form:
        values["golden"] = True
    elif "ttl_hours" in form:
        values["ttl_hours"] = _read_hours(form)
    return parse_form(PreviewRequest, values)


def _read_hours(form: dict[str, str]) -> object:
    text = form.get("ttl_hours", "")
    return int(text[:MAX_DIGITS]) if text.isascii() and text.isdecimal() else text


def _copy_preview(
    access: CallerAccess, context: CurrentContext, request: Request, body: PreviewRequest, project_id: str, source: str
) -> None:
    """Creates a preview that copies the golden preview with the id `source`."""
    access.require_scope(ApiScope.PROJECTS_WRITE)
    owner, golden = access.find_preview(source)
    project = access.find_project_to_change(owner.meta.name)
    if project.meta.name != project_id or not golden.golden:
        raise ApiError(409, "only a golden preview database of the same project can be copied")
    namer = ObjectNamer(project=project_id, namespace=namespace_of(project), random_bytes=secrets.token_bytes(16))
    name = namer.accept(body.name) if body.name else namer.derive("preview")
    origin = RequestOrigin(request_id=request.state.request_id, caller=access.caller.name)
    with context.object_limits.count_preview(project, name.name):
        create_object(context, PREVIEWS, build_copy(name, body, golden.meta.name, origin))


@router.post("/previews/{preview_id}/reset")
def reset(preview_id: str, access: PageAccess, context: CurrentContext) -> Response:
    reset_preview(preview_id, access, context)
    return redirect(_LIST)


@router.post("/previews/{preview_id}/extend")
def extend(preview_id: str, form: Form, access: PageAccess, context: CurrentContext) -> Response:
    extend_preview(preview_id, parse_form(ExtendRequest, {"ttl_hours": _read_hours(form)}), access, context)
    return redirect(_LIST)


@router.post("/previews/{preview_id}/delete")
def delete(preview_id: str, form: Form, access: PageAccess, context: CurrentContext) -> Response:
    if form.get("name") != preview_id.partition(".")[2]:
        raise ApiError(400, "name: enter the name of the preview database to delete it with all its data")
    delete_preview(preview_id, access, context)
    return redirect(_LIST)


@router.post("/previews/{preview_id}/connection")
def show_connection(preview_id: str, access: PageAccess, context: CurrentContext) -> Response:
    """Shows the password in the response to a form, which no history and no other page contains."""
    connections = get_connections(preview_id, access, context).connections
    values = {"title": "Connection", "tab": "previews", "name": preview_id, "connection": connections}
    return render("connection.html", values)


@router.get("/schedules")
def show_schedules(access: PageAccess, context: CurrentContext) -> Response:
    access.require_scope(ApiScope.PROJECTS_READ)
    now, projects = context.now(), list_projects(access)
    seen = count_changes(access, projects)
    previews = [build_preview_row(owner, item, now) for owner, item in list_previews(access, projects) if item.golden]
    rows = [build_schedule_row(owner, item) for owner, item in list_schedules(access, projects)]
    values = {
        "title": "Golden previews and schedules",
        "tab": "schedules",
        "golden": list(zip(previews, scale_ages([row.age_seconds for row in previews]), strict=True)),
        "rows": rows,
        "seen": seen,
    }
    return render("schedules.html", values)


def _render_previews(
    access: CallerAccess, context: CurrentContext, project: str, error: ApiError | None = None
) -> Response:
    access.require_scope(ApiScope.PROJECTS_READ)
    now, projects = context.now(), list_projects(access)
    seen = count_changes(access, projects)
    previews = list_previews(access, choose_projects(projects, project), MAX_PREVIEWS + 1)
    rows = [build_preview_row(owner, preview, now) for owner, preview in previews]
    values = {
        "title": "Previews",
        "tab": "previews",
        "rows": rows[:MAX_PREVIEWS],
        "seen": seen,
        "cut": len(rows) > MAX_PREVIEWS,
        "golden": [row for row in rows if row.golden and row.state == "ready"],
        "projects": [owner.meta.name for owner in projects],
        "project": project,
        "error": error.text if error else "",
        "may_write": access.has_scope(ApiScope.PROJECTS_WRITE),
    }
    return render("previews.html", values, error.status if error else 200)

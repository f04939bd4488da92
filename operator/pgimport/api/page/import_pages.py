"""Routes of the pages of imports."""

import secrets
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from pgimport.api.api_context import ApiContext, CurrentContext
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.import_models import ImportRequest
from pgimport.api.import_plan import ImportPlan
from pgimport.api.import_routes import count_objects, create_import, preflight_import, sign_upload
from pgimport.api.job_routes import cancel_job
from pgimport.api.object_names import ObjectNamer
from pgimport.api.page.import_views import build_import_row, build_import_view, group_targets
from pgimport.api.page.page_access import Form, PageAccess, parse_form
from pgimport.api.page.paths import PREFIX
from pgimport.api.page.plots import plot_durations, plot_progress
from pgimport.api.page.project_objects import (
    MAX_ROWS,
    choose_projects,
    count_changes,
    list_imports,
    list_previews,
    list_projects,
)
from pgimport.api.page.rendering import redirect, render
from pgimport.api.preflight_models import PreflightRequest
from pgimport.api.request_origin import RequestOrigin
from pgimport.api.resource_manifests import build_retry
from pgimport.api.resource_writer import write_import
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import IMPORTS
from pgimport.model.status import ImportState
from pgimport.store.upload_store import UploadStore

router = APIRouter()
PAGE_ROWS = 100


@router.get("/imports")
def show_imports(access: PageAccess, project: str = "", state: str = "", limit: int = PAGE_ROWS) -> Response:
    access.require_scope(ApiScope.JOBS_READ)
    limit, projects = min(max(limit, 1), MAX_ROWS), list_projects(access)
    seen = count_changes(access, projects)
    imports, more = list_imports(access, choose_projects(projects, project), state, limit)
    values = {
        "title": "Imports",
        "tab": "imports",
        "rows": [build_import_row(owner, item) for owner, item in imports],
        "more": min(limit * 2, MAX_ROWS) if more and limit < MAX_ROWS else None,
        "cut": more and limit == MAX_ROWS,
        "projects": [owner.meta.name for owner in projects],
        "states": [state.value for state in ImportState],
        "project": project,
        "state": state,
        "limit": limit,
        "seen": seen,
        "plot": plot_durations([item for _, item in imports]),
        "may_write": access.has_scope(ApiScope.PROJECTS_WRITE),
    }
    return render("imports.html", values)


@router.get("/imports/new")
def show_new_import(access: PageAccess, context: CurrentContext, project: str = "") -> Response:
    return _render_form(access, context, {"project": project})


@router.post("/imports/new")
def start_import(request: Request, form: Form, access: PageAccess, context: CurrentContext) -> Response:
    try:
        body = _read_request(form)
        job = create_import(form.get("project", ""), body, request, access, context).job
    except ApiError as error:
        return _render_form(access, context, form, error=error)
    return redirect(f"{PREFIX}/imports/{job.id}")


@router.post("/imports/new/preflight")
def check_source(request: Request, form: Form, access: PageAccess, context: CurrentContext) -> Response:
    try:
        body = parse_form(PreflightRequest, {"source_url": form.get("source_url", "")})
        report = preflight_import(form.get("project", ""), body, request, access, context).preflight
    except ApiError as error:
        return _render_form(access, context, form, error=error)
    return _render_form(access, context, form, report=report)


@router.post("/imports/new/upload")
def begin_upload(form: Form, access: PageAccess, context: CurrentContext) -> Response:
    """Answers the page's script as JSON: where it sends the file, and the key to import it by.

    If the API is the store, the URL is a path: a page opened over HTTPS sends nothing to the HTTP that the API serves.
    """
    return _json(sign_upload(form.get("project", ""), "", access, context).model_dump_json())


def _json(text: str) -> Response:
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/imports/{job_id}")
def show_import(job_id: str, access: PageAccess, context: CurrentContext) -> Response:
    access.require_scope(ApiScope.JOBS_READ)
    seen = count_changes(access, list_projects(access))
    view = build_import_view(*access.find_import(job_id))
    values = {
        "title": view.row.name,
        "tab": "imports",
        "view": view,
        "seen": seen,
        "may_write": access.has_scope(ApiScope.PROJECTS_WRITE),
        "plot": plot_progress(context.progress_history.list_samples(view.import_object.meta.uid)),
    }
    return render("import.html", values)


@router.post("/imports/{job_id}/cancel")
def cancel_import(job_id: str, access: PageAccess, context: CurrentContext) -> Response:
    cancel_job(job_id, access, context)
    return redirect(f"{PREFIX}/imports/{job_id}")


@router.post("/imports/{job_id}/retry")
def retry_import(job_id: str, request: Request, access: PageAccess, context: CurrentContext) -> Response:
    """Creates a new import with the same spec. It reads the same Secret, which belongs to the first import."""
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project, import_object = access.find_import(job_id)
    access.find_project_to_change(project.meta.name)
    if not build_import_view(project, import_object).can_retry:
        if import_object.spec is not None and import_object.spec.source.upload_key is not None:
            raise ApiError(409, "an uploaded file is imported once; upload it again")
        raise ApiError(409, "only a failed or cancelled import can be started again")
    namer = ObjectNamer(
        project=project.meta.name, namespace=namespace_of(project), random_bytes=secrets.token_bytes(16)
    )
    origin = RequestOrigin(request_id=request.state.request_id, caller=access.caller.name)
    known = access.cache.find(IMPORTS, import_object.meta.namespace, import_object.meta.name)
    if known is None:
        raise ApiError(404, "no such job")
    name = namer.derive("import")
    plan = ImportPlan(import_object=build_retry(name, known["spec"], origin))
    with count_objects(context, project, plan):
        write_import(context, plan)
    return redirect(f"{PREFIX}/imports/{name.project}.{name.name}")


def _read_request(form: dict[str, str]) -> ImportRequest:
    """Returns the import that a form asks for. Raises ApiError 400."""
    values: dict[str, object] = {
        name: form[name] for name in ("source_url", "upload_key", "preview_database_id") if name in form
    }
    owner = form.get("preview_database_id", "").partition(".")[0]
    if owner not in ("", form.get("project")):
        raise ApiError(400, f"the target is in the project {owner}; choose this project, or another target")
    if "source_url" not in form and "upload_key" not in form:
        raise ApiError(400, "enter a source, or choose a dump file and wait for its upload")
    if "source_url" in form and "upload_key" in form:
        raise ApiError(400, "enter a source or choose a dump file, not both")
    return parse_form(ImportRequest, values | {"recreate": "recreate" in form})


def _render_form(
    access: CallerAccess,
    context: ApiContext,
    form: dict[str, str],
    error: ApiError | None = None,
    report: object = None,
) -> Response:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    projects = list_projects(access)
    chosen = form.get("project") or (projects[0].meta.name if projects else "")
    values = {
        "title": "New import",
        "tab": "imports",
        "projects": [owner.meta.name for owner in projects],
        "project": chosen,
        "targets": group_targets(list_previews(access, projects, MAX_ROWS)),
        "form": form,
        "error": error.text if error else "",
        "report": report,
        "uploads": context.store is not None,
    }
    return render("new_import.html", values, error.status if error else 200, _find_upload_origin(context.store))


def _find_upload_origin(store: UploadStore | None) -> str:
    """Returns the origin to which browsers upload files, or an empty text if it is the page's own."""
    url = urlsplit(store.sign_put("origin", "")) if store else None
    return f"{url.scheme}://{url.netloc}" if url and url.netloc else ""

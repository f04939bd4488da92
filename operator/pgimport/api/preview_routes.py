"""Routes that create, list, change and delete preview databases, and show their connection parameters."""

import secrets

from fastapi import APIRouter, Request

from pgimport.api.api_context import ApiContext, CurrentContext
from pgimport.api.authentication import Access, AuthenticatedRoute
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.object_names import ObjectNamer
from pgimport.api.openapi_parameters import ERROR_RESPONSES, PreviewID, ProjectID
from pgimport.api.preview_models import Connections, ConnectionsAnswer, ExtendRequest, PreviewRequest, PreviewsAnswer
from pgimport.api.preview_state import find_state, show_preview
from pgimport.api.request_origin import RequestOrigin
from pgimport.api.resource_manifests import build_extension, build_preview, build_reset
from pgimport.api.resource_writer import create_object, delete_object, patch_object
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import parse_preview
from pgimport.kubernetes_client.secrets_and_config_maps import read_owned_secret
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import PREVIEWS
from pgimport.model.preview_spec import PreviewMode
from pgimport.model.resources import PreviewObject, ProjectObject
from pgimport.model.rest_views import PreviewAnswer
from pgimport.model.status import PreviewState

router = APIRouter(tags=["preview databases"], route_class=AuthenticatedRoute)


@router.get(
    "/projects/{projectID}/preview-databases",
    operation_id="listPreviews",
    responses=ERROR_RESPONSES,
    summary="List the preview databases of a project, newest first.",
)
def list_previews(project_id: ProjectID, access: Access, context: CurrentContext) -> PreviewsAnswer:
    access.require_scope(ApiScope.PROJECTS_READ)
    project = access.find_project(project_id)
    previews = map(parse_preview, access.cache.list_newest(PREVIEWS, namespace_of(project), project_id))
    return PreviewsAnswer(previews=[show_preview(project, preview, context.now()) for preview in previews])


@router.post(
    "/projects/{projectID}/preview-databases",
    status_code=201,
    operation_id="createPreview",
    responses=ERROR_RESPONSES,
    summary="Create a preview database.",
)
def create_preview(
    project_id: ProjectID,
    request: Request,
    access: Access,
    context: CurrentContext,
    body: PreviewRequest | None = None,
) -> PreviewAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project = access.find_project_to_change(project_id)
    body = body or PreviewRequest()
    if body.mode is PreviewMode.CLONE and (project.spec is None or project.spec.primary is None):
        text = "the project has no primary database to clone; create an empty preview database and import into it"
        raise ApiError(400, f"mode: {text}")
    namer = ObjectNamer(project=project_id, namespace=namespace_of(project), random_bytes=secrets.token_bytes(16))
    name = namer.accept(body.name) if body.name else namer.derive("preview")
    origin = RequestOrigin(request_id=request.state.request_id, caller=access.caller.name)
    with context.object_limits.count_preview(project, name.name):
        preview = parse_preview(create_object(context, PREVIEWS, build_preview(name, body, origin)))
    return PreviewAnswer(preview=show_preview(project, preview, context.now()))


@router.get(
    "/preview-databases/{id}",
    operation_id="getPreview",
    responses=ERROR_RESPONSES,
    summary="Read one preview database by its ID.",
)
def get_preview(preview_id: PreviewID, access: Access, context: CurrentContext) -> PreviewAnswer:
    access.require_scope(ApiScope.PROJECTS_READ)
    return PreviewAnswer(preview=show_preview(*access.find_preview(preview_id), context.now()))


@router.delete(
    "/preview-databases/{id}",
    status_code=202,
    operation_id="deletePreview",
    responses=ERROR_RESPONSES,
    summary="Delete a preview database with all its data.",
)
def delete_preview(preview_id: PreviewID, access: Access, context: CurrentContext) -> PreviewAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project, preview = access.find_preview(preview_id)
    body = delete_object(context, PREVIEWS, preview.meta)
    response = show_preview(project, parse_preview(body) if body else preview, context.now())
    return PreviewAnswer(preview=response.model_copy(update={"state": PreviewState.DELETING}))


@router.post(
    "/preview-databases/{id}/reset",
    status_code=202,
    operation_id="resetPreview",
    responses=ERROR_RESPONSES,
    summary="Replace a preview database by an empty one, or by a new copy of its source.",
)
def reset_preview(preview_id: PreviewID, access: Access, context: CurrentContext) -> PreviewAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project, preview = access.find_preview(preview_id)
    _require_database(preview)
    return _patch_preview(project, preview, build_reset(preview, context.now()), access, context)


@router.post(
    "/preview-databases/{id}/extend",
    operation_id="extendPreview",
    responses=ERROR_RESPONSES,
    summary="Set a later expiry for a preview database. An expired one gets a new database: empty, or a new copy.",
)
def extend_preview(
    preview_id: PreviewID, body: ExtendRequest, access: Access, context: CurrentContext
) -> PreviewAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project, preview = access.find_preview(preview_id)
    if preview.golden:
        raise ApiError(409, "the preview database is golden, so it never expires")
    access.find_project_to_change(project.meta.name)
    patch = build_extension(body.ttl_hours, context.now())
    if preview.status.state is not PreviewState.EXPIRED:
        return _patch_preview(project, preview, patch, access, context)
    with context.object_limits.count_preview(project, preview.meta.name):  # an expired one does not count
        return _patch_preview(project, preview, patch, access, context)


def _patch_preview(
    project: ProjectObject, preview: PreviewObject, patch: Json, access: CallerAccess, context: ApiContext
) -> PreviewAnswer:
    access.find_project_to_change(project.meta.name)
    _require_not_deleting(preview)
    body = patch_object(context, PREVIEWS, preview.meta, patch, "preview database")
    return PreviewAnswer(preview=show_preview(project, parse_preview(body), context.now()))


@router.get(
    "/preview-databases/{id}/connections",
    operation_id="getConnections",
    responses=ERROR_RESPONSES,
    summary="Read the connection parameters, with the password; needs the scope projects:write.",
)
def get_connections(preview_id: PreviewID, access: Access, context: CurrentContext) -> ConnectionsAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    _, preview = access.find_preview(preview_id)
    _require_database(preview)
    if preview.golden:
        raise ApiError(409, "the preview database is golden, so nobody can log in; make a copy and connect to that")
    meta = preview.meta
    entries = read_owned_secret(access.cluster, meta.namespace, preview.connection_secret, meta.uid)
    state = find_state(preview, context.now())
    if entries is None or state is not PreviewState.READY:
        raise ApiError(409, f"the preview database is {state.value}; its connections are available when it is ready")
    try:
        return _build_connections({key: entry.decode() for key, entry in entries.items()})
    except (KeyError, ValueError) as error:  # somebody changed the Secret
        message = "the connection Secret of the preview database is incomplete; delete it, and the operator creates it"
        raise ApiError(409, message) from error


def _build_connections(values: dict[str, str]) -> ConnectionsAnswer:
    return ConnectionsAnswer(
        connections=Connections(
            host=values["host"],
            port=int(values["port"]),
            database=values["dbname"],
            user=values["user"],
            password=values["password"],
            url=values["uri"],
        )
    )


def _require_not_deleting(preview: PreviewObject) -> None:
    if preview.meta.deleting or preview.status.state is PreviewState.DELETING:
        raise ApiError(409, "the preview database is being deleted")


def _require_database(preview: PreviewObject) -> None:
    """Raises ApiError 409 if the preview database is being deleted or has expired."""
    _require_not_deleting(preview)
    if preview.status.state is PreviewState.EXPIRED:
        raise ApiError(409, "the preview database has expired; extend it to get a new database")

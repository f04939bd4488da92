"""Preview databases: requests and ids come in; previews, and how to enter one, go out."""

import secrets

from fastapi import APIRouter, Request

from pgimport.api.api_context import Access, ApiContext, CurrentContext
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError
from pgimport.api.openapi_parameters import PROBLEMS, PreviewID, ProjectID
from pgimport.api.resource_manifests import RequestOrigin, build_extension, build_preview, name_of_request
from pgimport.api.resource_writer import change, create_once, delete
from pgimport.api.rest_models import (
    Connections,
    ConnectionsAnswer,
    ExtendRequest,
    PreviewAnswer,
    PreviewRequest,
    PreviewsAnswer,
    tell_preview,
)
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import parse_preview
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import PREVIEWS
from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_time
from pgimport.model.spec import PreviewMode
from pgimport.model.status import PreviewState

router = APIRouter(tags=["preview databases"])


@router.get(
    "/projects/{projectID}/preview-databases", operation_id="listPreviews", responses=PROBLEMS, summary="Newest first"
)
def list_previews(project_id: ProjectID, entered: Access) -> PreviewsAnswer:
    entered.need(ApiScope.PROJECTS_READ)
    project = entered.find_project(project_id)
    found = [parse_preview(body) for body in entered.cache.list_newest(PREVIEWS, namespace_of(project))]
    mine = [one for one in found if one.spec is not None and one.spec.project == project_id]
    return PreviewsAnswer(previews=[tell_preview(project, one) for one in mine])


@router.post(
    "/projects/{projectID}/preview-databases", status_code=201, operation_id="createPreview", responses=PROBLEMS,
    summary="Make one",
)  # fmt: skip
def create_preview(
    project_id: ProjectID,
    request: Request,
    entered: Access,
    context: CurrentContext,
    asked: PreviewRequest | None = None,
) -> PreviewAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    project = entered.find_project(project_id)
    asked = asked or PreviewRequest()
    if asked.mode is PreviewMode.CLONE and (project.spec is None or project.spec.primary is None):
        raise ApiError(400, "mode: the project has no primary database to clone; make an empty one and import into it")
    name = asked.name or name_of_request("preview", project_id, None, secrets.token_bytes(16))
    origin = RequestOrigin(request_id=request.state.request_id, caller=entered.caller.name)
    made = create_once(context, PREVIEWS, build_preview(project_id, namespace_of(project), name, asked, origin))
    return PreviewAnswer(preview=tell_preview(project, parse_preview(made)))


@router.get("/preview-databases/{id}", operation_id="getPreview", responses=PROBLEMS, summary="One preview database")
def get_preview(preview_id: PreviewID, entered: Access) -> PreviewAnswer:
    entered.need(ApiScope.PROJECTS_READ)
    return PreviewAnswer(preview=tell_preview(*entered.find_preview(preview_id)))


@router.delete(
    "/preview-databases/{id}", status_code=202, operation_id="deletePreview", responses=PROBLEMS,
    summary="Drop it, with all that is in it",
)  # fmt: skip
def delete_preview(preview_id: PreviewID, entered: Access, context: CurrentContext) -> PreviewAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    project, found = entered.find_preview(preview_id)
    left = delete(context, PREVIEWS, found.meta)
    told = tell_preview(project, parse_preview(left) if left else found)
    return PreviewAnswer(preview=told.model_copy(update={"state": PreviewState.DELETING}))


@router.post(
    "/preview-databases/{id}/reset", status_code=202, operation_id="resetPreview", responses=PROBLEMS,
    summary="Make it empty anew",
)  # fmt: skip
def reset_preview(preview_id: PreviewID, entered: Access, context: CurrentContext) -> PreviewAnswer:
    return _change(preview_id, {"spec": {"resetAt": format_time(context.now())}}, entered, context)


@router.post(
    "/preview-databases/{id}/extend", operation_id="extendPreview", responses=PROBLEMS, summary="Give it more time"
)
def extend_preview(
    preview_id: PreviewID, asked: ExtendRequest, entered: Access, context: CurrentContext
) -> PreviewAnswer:
    return _change(preview_id, build_extension(asked.ttl_hours, context.now()), entered, context)


def _change(preview_id: str, patch: Json, entered: CallerAccess, context: ApiContext) -> PreviewAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    project, found = entered.find_preview(preview_id)
    _refuse_if_over(found)
    made = change(context, PREVIEWS, found.meta, patch, "preview database")
    return PreviewAnswer(preview=tell_preview(project, parse_preview(made)))


@router.get(
    "/preview-databases/{id}/connections", operation_id="getConnections", responses=PROBLEMS,
    summary="How to enter it: with its password, so the scope projects:write is needed",
)  # fmt: skip
def get_connections(preview_id: PreviewID, entered: Access) -> ConnectionsAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    _, found = entered.find_preview(preview_id)
    _refuse_if_over(found)
    name = found.status.connection_secret
    entries = read_secret(entered.cluster, found.meta.namespace, name) if name else None
    if entries is None or found.status.state is not PreviewState.READY:
        state = (found.status.state or PreviewState.PENDING).value
        raise ApiError(409, f"the preview database is {state}: its connections are there when it is ready")
    value = {key: entry.decode() for key, entry in entries.items()}
    return ConnectionsAnswer(
        connections=Connections(
            host=value["host"], port=int(value["port"]), database=value["dbname"], user=value["user"],
            password=value["password"], url=value["uri"],
        )
    )  # fmt: skip


def _refuse_if_over(found: PreviewObject) -> None:
    if found.meta.deleting or found.status.state is PreviewState.DELETING:
        raise ApiError(409, "the preview database is being deleted")
    if found.status.state is PreviewState.EXPIRED:
        raise ApiError(409, "the preview database has expired; make a new one")

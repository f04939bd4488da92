"""The three import routes: a request comes in, a job, an upload or a report goes out."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request

from pgimport.api.api_context import Access, ApiContext, CurrentContext
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import RETRY_SECONDS, ApiError, not_there
from pgimport.api.openapi_parameters import PROBLEMS, ProjectID
from pgimport.api.resource_manifests import RequestOrigin, build_import, build_preview, name_of_request, sign_body
from pgimport.api.resource_writer import create_once, ensure_source_secret
from pgimport.api.rest_models import (
    ImportRequest,
    JobAnswer,
    PreflightAnswer,
    PreflightRequest,
    PreviewRequest,
    Upload,
    UploadAnswer,
    tell_job,
    tell_preflight,
)
from pgimport.kubernetes_client.custom_resources import parse_import
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, ProjectObject
from pgimport.model.source_url import parse_source, resolve_source
from pgimport.model.uploads import KEY_BYTES, build_object_key, is_object_key_of

router = APIRouter(tags=["imports"])
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[ -~]+$",
        description="The same key with the same body gives the same job, and nothing is made twice.",
    ),
]  # fmt: skip


@router.post(
    "/projects/{projectID}/imports", status_code=202, operation_id="createImport",
    response_model_exclude_none=True, responses=PROBLEMS,
    summary="Start an import",
)  # fmt: skip
def create_import(
    project_id: ProjectID, asked: ImportRequest, request: Request, entered: Access, context: CurrentContext,
    key: IdempotencyKey = None,
) -> JobAnswer:  # fmt: skip
    entered.need(ApiScope.PROJECTS_WRITE)
    project = entered.find_project(project_id)
    if asked.source_url is not None:
        judge_source(context, project, asked.source_url)
    if asked.upload_key is not None:
        _judge_upload(context, project_id, asked.upload_key)
    origin = _origin(request, entered, context, asked.model_dump_json(), key)
    chance = secrets.token_bytes(16)
    name = name_of_request("import", project_id, key, chance)
    target = _find_target(entered, project, asked, name_of_request("preview", project_id, key, chance))
    namespace = namespace_of(project)
    made = create_once(context, IMPORTS, build_import(project_id, namespace, name, asked, target.name, origin))
    if target.fresh and target.name is not None:
        create_once(context, PREVIEWS, build_preview(project_id, namespace, target.name, PreviewRequest(), origin))
    if asked.source_url is not None:
        ensure_source_secret(context, made, asked.source_url)
    return JobAnswer(job=tell_job(project, parse_import(made)))


def _judge_upload(context: ApiContext, project: str, key: str) -> None:
    """Raises 400 where there is no store, 404 where nothing of this Project is there."""
    if context.store is None:
        raise _no_store()
    if not is_object_key_of(key, project) or context.store.find_size(key) is None:
        raise not_there("upload")


def _no_store() -> ApiError:
    return ApiError(400, "this installation has no store for uploads: give a source_url")


@router.post(
    "/projects/{projectID}/imports/uploads", status_code=201, operation_id="createUpload", responses=PROBLEMS,
    summary="Where a dump file may be put",
)  # fmt: skip
def create_upload(project_id: ProjectID, request: Request, entered: Access, context: CurrentContext) -> UploadAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    entered.find_project(project_id)
    if context.store is None:
        raise _no_store()
    key = build_object_key(project_id, secrets.token_bytes(KEY_BYTES))
    expires_at = context.now() + context.store.settings.expiry
    url = context.store.sign_put(key, str(request.base_url).rstrip("/"))
    return UploadAnswer(upload=Upload(object_key=key, upload_url=url, expires_at=expires_at))


@dataclass(frozen=True, slots=True)
class _Target:
    name: str | None  # of a preview; none for a dry run
    fresh: bool = False


def _find_target(entered: CallerAccess, project: ProjectObject, asked: ImportRequest, fresh: str) -> _Target:
    if asked.preview_database_id is None:
        return _Target(None) if asked.dry_run else _Target(fresh, fresh=True)
    owner, preview = entered.find_preview(asked.preview_database_id)
    if owner.meta.name != project.meta.name:
        raise not_there("preview database")
    return _Target(preview.meta.name)


def judge_source(context: ApiContext, project: ProjectObject, text: str) -> None:
    """As the worker will, so that what can never work is refused at once. Raises 400."""
    assert project.spec is not None  # noqa: S101 (find_project has seen to it)
    url = parse_source(text)
    judged = url if isinstance(url, Failure) else resolve_source(url, context.resolve, project.spec.sources)
    if isinstance(judged, Failure) and judged.reason is not Reason.SOURCE_UNREACHABLE:
        raise ApiError(400, f"source_url: {judged.for_a_person()}")


def _origin(request: Request, entered: CallerAccess, context: ApiContext, body: str, key: str | None) -> RequestOrigin:
    """Without an Idempotency-Key nothing of the body is kept."""
    signed = sign_body(context.secret, body) if key is not None else ""
    return RequestOrigin(request_id=request.state.request_id, caller=entered.caller.name, body_hmac=signed)


@router.post(
    "/projects/{projectID}/imports/preflight", operation_id="preflightImport",
    response_model_exclude_none=True, responses=PROBLEMS,
    summary="Look at a source, and change nothing",
)  # fmt: skip
def preflight(
    project_id: ProjectID, asked: PreflightRequest, request: Request, entered: Access, context: CurrentContext
) -> PreflightAnswer:
    entered.need(ApiScope.PROJECTS_WRITE)
    project = entered.find_project(project_id)
    judge_source(context, project, asked.source_url)
    if not context.preflights.acquire(blocking=False):
        raise ApiError(503, "too many preflights at once", RETRY_SECONDS)
    try:
        found = _look(context, project, asked.source_url, _origin(request, entered, context, "", None))
    finally:
        context.preflights.release()
    if found is None:
        raise ApiError(504, "the preflight has not ended in time; a dry_run import may take as long as it needs")
    if found.status.preflight is None:
        raise ApiError(502, f"the preflight has no report: {found.status.error or 'it was stopped'}")
    return PreflightAnswer(preflight=tell_preflight(found.status.preflight, project))


def _look(context: ApiContext, project: ProjectObject, url: str, origin: RequestOrigin) -> ImportObject | None:
    """A dry run of its own, which the operator takes away afterwards. None when time is over."""
    namespace, name = namespace_of(project), name_of_request("preflight", "", None, secrets.token_bytes(16))
    asked = ImportRequest(source_url=url, dry_run=True)
    body = build_import(project.meta.name, namespace, name, asked, None, origin, ephemeral=True)
    made = create_once(context, IMPORTS, body)
    ensure_source_secret(context, made, url)

    def read() -> ImportObject | None:
        found: dict[str, Any] | None = context.cache.find(IMPORTS, namespace, name)
        return parse_import(found) if found else None

    def over() -> bool:
        found = read()
        return found is None or found.status.terminal

    return read() if context.cache.wait_for(over, context.preflight_seconds) else None

"""Routes that create imports, uploads and preflight reports."""

import secrets
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Request

from pgimport.api.api_context import ApiContext, CurrentContext
from pgimport.api.authentication import Access, AuthenticatedRoute
from pgimport.api.authorization import CallerAccess, namespace_of
from pgimport.api.error_responses import ApiError, not_found
from pgimport.api.import_models import ImportRequest, Upload, UploadAnswer
from pgimport.api.import_plan import ImportPlan, plan_import, plan_preflight
from pgimport.api.object_names import ObjectNamer
from pgimport.api.openapi_parameters import ERROR_RESPONSES, ProjectID
from pgimport.api.preflight_models import PreflightAnswer, PreflightRequest, build_rest_preflight
from pgimport.api.request_origin import RequestOrigin, sign_body
from pgimport.api.resource_writer import write_import
from pgimport.kubernetes_client.custom_resources import parse_import
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import IMPORTS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, ObjectMeta, ProjectObject
from pgimport.model.rest_views import JobAnswer, build_job
from pgimport.model.source_url import parse_source, resolve_source
from pgimport.model.uploads import KEY_BYTES, build_object_key, is_object_key_of

router = APIRouter(tags=["imports"], route_class=AuthenticatedRoute)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="A repeated request with the same key and the same body returns the first request's job.",
    ),
]


@router.post(
    "/projects/{projectID}/imports",
    status_code=202,
    operation_id="createImport",
    response_model_exclude_none=True,
    responses=ERROR_RESPONSES,
    summary="Start an import into a preview database.",
)
def create_import(
    project_id: ProjectID,
    body: ImportRequest,
    request: Request,
    access: Access,
    context: CurrentContext,
    key: IdempotencyKey = None,
) -> JobAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project = access.find_project_to_change(project_id)
    if body.source_url is not None:
        _check_source(context, project, body.source_url, access.caller.organization)
    if body.upload_key is not None:
        _check_upload(context, project_id, body.upload_key)
    preview = _find_target(access, project, body.preview_database_id)
    body_hmac = sign_body(context.secret, body.to_canonical_json()) if key is not None else ""
    origin = RequestOrigin(request_id=request.state.request_id, caller=access.caller.name, body_hmac=body_hmac)
    plan = plan_import(body, preview, _build_namer(project, key), origin)
    with count_objects(context, project, plan):
        return JobAnswer(job=build_job(project, write_import(context, plan)))


def count_objects(context: ApiContext, project: ProjectObject, plan: ImportPlan) -> ExitStack:
    """Counts the objects of the plan while they are created. Raises ApiError 409 or 429 at a limit of the Project."""
    name = plan.import_object["metadata"]["name"]
    with ExitStack() as counted:
        if context.cache.find_content(IMPORTS, namespace_of(project), name) is not None:
            return counted.pop_all()  # a repeated request creates nothing
        if plan.import_object["spec"].get("dryRun"):
            counted.enter_context(context.object_limits.count_dry_run(project, name, context.max_dry_runs))
        if plan.preview is not None:
            counted.enter_context(context.object_limits.count_preview(project, plan.preview["metadata"]["name"]))
        return counted.pop_all()


def _build_namer(project: ProjectObject, key: str | None) -> ObjectNamer:
    return ObjectNamer(
        project=project.meta.name,
        namespace=namespace_of(project),
        idempotency_key=key,
        random_bytes=secrets.token_bytes(16),
    )


def _check_source(context: ApiContext, project: ProjectObject, source_url: str, organization: str) -> None:
    """Applies the worker's rules to the URL, so that a source that can never work is refused now. Raises ApiError 400.

    A host name that does not resolve is accepted, because the worker may retry later.
    """
    assert project.spec is not None  # noqa: S101 (find_project returns no Project without a spec)
    parsed = parse_source(source_url)
    resolve = context.resolver.for_key(organization)
    source = parsed if isinstance(parsed, Failure) else resolve_source(parsed, resolve, project.spec.sources)
    if isinstance(source, Failure) and source.reason is not Reason.SOURCE_UNREACHABLE:
        raise ApiError(400, f"source_url: {source.format_with_hint()}")


def _check_upload(context: ApiContext, project: str, key: str) -> None:
    """Raises ApiError 400 if there is no store, and 404 if the Project has no upload with this key."""
    if context.store is None:
        raise _no_store()
    if not is_object_key_of(key, project) or context.store.find_size(key) is None:
        raise not_found("upload")


def _no_store() -> ApiError:
    return ApiError(400, "this installation has no store for uploads; use source_url instead")


def _find_target(access: CallerAccess, project: ProjectObject, preview_id: str | None) -> str | None:
    """Returns the name of the PreviewDatabase with this id. Raises ApiError 404."""
    if preview_id is None:
        return None
    owner, preview = access.find_preview(preview_id)
    if owner.meta.name != project.meta.name:
        raise not_found("preview database")
    return preview.meta.name


@router.post(
    "/projects/{projectID}/imports/uploads",
    status_code=201,
    operation_id="createUpload",
    responses=ERROR_RESPONSES,
    summary="Create a URL to which you can upload a dump file.",
)
def create_upload(project_id: ProjectID, request: Request, access: Access, context: CurrentContext) -> UploadAnswer:
    return UploadAnswer(upload=sign_upload(project_id, _find_api_url(request), access, context))


def sign_upload(project_id: str, api_url: str, access: CallerAccess, context: ApiContext) -> Upload:
    """Creates a place for one file. `api_url` is put in front of the path if the API itself is the store.

    Raises ApiError 403, 404 and 409.
    """
    access.require_scope(ApiScope.PROJECTS_WRITE)
    access.find_project_to_change(project_id)
    if context.store is None:
        raise _no_store()
    key = build_object_key(project_id, secrets.token_bytes(KEY_BYTES))
    expires_at = context.now() + context.store.settings.expiry
    return Upload(object_key=key, upload_url=context.store.sign_put(key, api_url), expires_at=expires_at)


def _find_api_url(request: Request) -> str:
    """Returns the scheme and host by which the client reached the API.

    A proxy that ends TLS says so in a header. It need not be trusted: only the sender of the header gets this URL.
    """
    client_scheme = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    url = request.base_url.replace(scheme="https") if client_scheme == "https" else request.base_url
    return str(url).rstrip("/")


@router.post(
    "/projects/{projectID}/imports/preflight",
    operation_id="preflightImport",
    responses=ERROR_RESPONSES,
    summary="Check a source without changing anything.",
)
def preflight_import(
    project_id: ProjectID, body: PreflightRequest, request: Request, access: Access, context: CurrentContext
) -> PreflightAnswer:
    access.require_scope(ApiScope.PROJECTS_WRITE)
    project = access.find_project_to_change(project_id)
    _check_source(context, project, body.source_url, access.caller.organization)
    origin = RequestOrigin(request_id=request.state.request_id, caller=access.caller.name)
    plan = plan_preflight(body.source_url, _build_namer(project, None), origin)
    with context.preflight_limit.counted(access.caller.organization):
        with count_objects(context, project, plan):
            created = write_import(context, plan)
        import_object = _wait_for_preflight(context, created.meta)
    if import_object is None:
        raise ApiError(504, "the preflight did not finish in time; start an import with dry_run, which has no limit")
    status = import_object.status
    if status.preflight is None:
        raise ApiError(502, f"the preflight wrote no report: {status.error or 'it was stopped'}")
    return PreflightAnswer(preflight=build_rest_preflight(status.preflight, project))


def _wait_for_preflight(context: ApiContext, meta: ObjectMeta) -> ImportObject | None:
    """Waits for the end of the dry run. Returns None after `context.preflight_seconds`."""

    def has_ended() -> bool:  # runs after each change of any object, so it does not parse the import
        content = context.cache.find_content(IMPORTS, meta.namespace, meta.name)
        return content is None or not content.counts

    if not context.cache.wait_for(has_ended, context.preflight_seconds):
        return None
    body = context.cache.find(IMPORTS, meta.namespace, meta.name)
    return parse_import(body) if body else None

"""Carries out the actions that are decided for a PostgresImport. Every action can be repeated."""

import logging

from pgimport.decide.decision import (
    Action,
    ClaimTarget,
    CreateJob,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DeleteScratchClaims,
    DeleteUpload,
    DropAttempt,
    DropReplaced,
    OpenTarget,
    PrepareShadow,
    ReleaseTarget,
    SetJobTTL,
    SignUpload,
    StopJob,
    StoreReport,
    Swap,
)
from pgimport.decide.observed_objects import ObservedImport
from pgimport.kubernetes_client.api_paths import of_key
from pgimport.kubernetes_client.custom_resources import read_preview, write_status
from pgimport.kubernetes_client.jobs import delete_job, set_job_ttl, stop_job
from pgimport.kubernetes_client.pods import delete_scratch_claim
from pgimport.kubernetes_client.resource_lists import list_imports_of_upload
from pgimport.kubernetes_client.secrets_and_config_maps import delete_owned_secret, read_owned_secret
from pgimport.model.errors import Conflict, NotFound, Refused
from pgimport.model.names import (
    IMPORTS,
    PREVIEWS,
    SECRET_KEY_SEED,
    attempt_names,
    attempt_password,
    job_name,
    job_secret_name,
    replaced_names,
)
from pgimport.model.owner_comment import ImportedContent, OwnerComment
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ObjectMeta, PreviewObject, ResourceKey
from pgimport.model.status import ImportState
from pgimport.reconcile.import_reports import read_whole_source, store_report
from pgimport.reconcile.job_creation import create_import_job, require_specs, sign_upload
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import read_admin_access, read_owner_access
from pgimport.server.marked_objects import is_own_attempt
from pgimport.server.server_access import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, end_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, open_target, swap

logger = logging.getLogger(__name__)


def act_on_import(context: ReconcileContext, observed: ObservedImport, action: Action) -> Failure | None:
    """Carries out one action. Returns a failure that ends the import, or None.

    Raises Refused, Conflict or Unavailable. If a swap fails, the target accepts connections again before the
    exception is raised.
    """
    match action:
        case CreateJob(remaining_attempts):
            return create_import_job(context, observed, remaining_attempts)
        case StoreReport():
            return store_report(context, observed.object.meta, action)
        case Swap(pod_uid):
            return _swap(context, observed, pod_uid)
        case ClaimTarget() | ReleaseTarget():
            _write_claim(context, observed, observed.object.meta if isinstance(action, ClaimTarget) else None)
        case SignUpload():
            sign_upload(context, observed)
        case PrepareShadow():
            _prepare_shadow(context, observed, action)
        case DropAttempt() | DropReplaced() | OpenTarget():
            _act_on_server(context, observed, action)
        case StopJob() | DeleteJob() | SetJobTTL() | DeleteJobSecret():
            _act_on_job(context, observed, action)
        case DeleteScratchClaims(pods):
            for pod in pods:
                delete_scratch_claim(context.cluster, observed.object.meta.namespace, pod)
        case DeleteUpload(key):
            _delete_upload(context, observed, key)
        case DeleteObject():
            meta = observed.object.meta
            context.cluster.delete(of_key(ResourceKey(IMPORTS, meta.namespace, meta.name)), uid=meta.uid)
        case _:
            raise TypeError(f"not an action on an import: {action!r}")
    return None


def _act_on_server(
    context: ReconcileContext,
    observed: ObservedImport,
    action: DropAttempt | DropReplaced | OpenTarget,
) -> None:
    access = _read_admin_access(context, observed)
    if access is None:
        return
    match action:
        case DropAttempt(pod_uid) | DropReplaced(pod_uid) if not is_own_attempt(
            access, attempt_names(pod_uid), observed.object.meta.uid
        ):
            logger.warning("the status of import %s names a pod of another import", observed.object.meta.name)
        case DropAttempt(pod_uid):
            names = attempt_names(pod_uid)
            end_attempt(access, names)
            context.drops.run_or_leave(
                access.address, f"database {names.database}", lambda: drop_attempt(access, names)
            )
        case DropReplaced(pod_uid):
            names = attempt_names(pod_uid)
            replaced = replaced_names(names.database)
            context.drops.run_or_leave(
                access.address, f"database {replaced.database}", lambda: drop_replaced(access, names)
            )
        case OpenTarget():
            if observed.preview is not None and observed.preview.status.database is not None:
                open_target(access, observed.preview.database)


def _act_on_job(
    context: ReconcileContext,
    observed: ObservedImport,
    action: StopJob | DeleteJob | SetJobTTL | DeleteJobSecret,
) -> None:
    meta = observed.object.meta
    namespace, name = meta.namespace, job_name(meta.name, meta.uid)
    match action:
        case StopJob():
            stop_job(context.cluster, namespace, name)
        case DeleteJob():
            if observed.job is not None:  # the uid protects a newer Job of the same name
                delete_job(context.cluster, namespace, name, observed.job.uid)
        case SetJobTTL(seconds):
            set_job_ttl(context.cluster, namespace, name, seconds)
        case DeleteJobSecret():
            delete_owned_secret(context.cluster, namespace, name, meta.uid)


def _delete_upload(context: ReconcileContext, observed: ObservedImport, key: str) -> None:
    """Deletes an uploaded file unless another import still names it. Raises StoreUnavailable."""
    meta = observed.object.meta
    users = list_imports_of_upload(context.cluster, meta.namespace, key)
    shared = any(item.meta.uid != meta.uid and not item.status.upload_deleted for item in users)
    if context.store is not None and not shared:
        context.store.delete(key)


def _read_admin_access(context: ReconcileContext, observed: ObservedImport) -> Access | None:
    """Reads the admin's credentials. Returns None if the Project is gone.

    Then nothing is left to drop, because the finalizer keeps a Project that has databases.
    """
    project = observed.project
    return read_admin_access(context, project.spec) if project is not None and project.spec is not None else None


def _write_claim(context: ReconcileContext, observed: ObservedImport, claimant: ObjectMeta | None) -> None:
    """Writes or removes the claim in the target's status.activeImport. A preview that is gone needs no release.

    A completed import also writes dataAsOf and removes databaseLostAt, in the same write.
    """
    preview = observed.preview
    if preview is None:
        return
    if claimant is None:
        # A late clean-up must not remove the claim of another import.
        preview = read_preview(context.cluster, preview.meta.namespace, preview.meta.name)
        if preview is None or preview.status.active_import != observed.object.meta.uid:
            return
    claim: dict[str, object] = {
        "active_import": claimant and claimant.uid,
        "active_import_name": claimant and claimant.name,
    }
    if observed.object.status.state is ImportState.COMPLETED:
        claim |= {"data_as_of": observed.object.status.data_as_of, "database_lost_at": None}
    status = preview.status.model_copy(update=claim)
    key = ResourceKey(PREVIEWS, preview.meta.namespace, preview.meta.name)
    try:
        body = write_status(context.cluster, key, preview.meta, status)
    except NotFound:
        return
    context.lists.remember(PREVIEWS, body)


def _prepare_shadow(context: ReconcileContext, observed: ObservedImport, action: PrepareShadow) -> None:
    """Raises Refused if the target server cannot hold a copy of this source."""
    spec, project = require_specs(observed)
    meta = observed.object.meta
    entries = read_owned_secret(context.cluster, meta.namespace, job_secret_name(meta.name, meta.uid), meta.uid) or {}
    if SECRET_KEY_SEED not in entries:
        message = f"Secret {job_secret_name(meta.name, meta.uid)} was deleted while the import was running"
        advice = "Create a new import. Do not delete the Secret of its Job before the import has ended."
        raise Refused(Failure(Reason.RESULT_LOST, message, advice))
    source, notes = read_whole_source(context, observed, action)
    plan = ShadowPlan(
        names=attempt_names(action.pod_uid),
        password=attempt_password(entries[SECRET_KEY_SEED], action.pod_uid),
        source=source,
        notes=notes,
        mark=OwnerComment(
            project_uid=observed.project.meta.uid if observed.project else "",
            import_uid=meta.uid,
            pod_uid=action.pod_uid,
            owner_name=meta.name,
        ),
        allowed_extensions=project.allowed_extensions,
        templates=project.server.templates,
        locale=spec.target.locale if spec.target else None,
    )
    prepare_shadow(read_admin_access(context, project), plan)


def _swap(context: ReconcileContext, observed: ObservedImport, pod_uid: str) -> Failure | None:
    """Replaces the target by the shadow. The preview's user keeps its role name and password."""
    _, project = require_specs(observed)
    preview: PreviewObject | None = observed.preview
    if preview is None or preview.spec is None or preview.status.database is None:  # its names follow from its spec
        raise Conflict("the target preview changed before the swap")
    password = None if preview.golden else read_owner_access(context, project, preview).password
    access = read_admin_access(context, project)
    if not is_own_attempt(access, attempt_names(pod_uid), observed.object.meta.uid):
        message = f"status.shadow names the attempt of pod {pod_uid}, which is not an attempt of this import"
        return Failure(Reason.NAME_TAKEN, message)
    plan = SwapPlan(
        target=preview.database,
        owner=preview.role,
        owner_password=password,
        names=attempt_names(pod_uid),
        busy_timeout_seconds=context.policy.swap_patience.total_seconds(),
        may_log_in=not preview.golden,
        content=ImportedContent(data_as_of=observed.object.status.data_as_of),
    )
    return swap(access, plan)

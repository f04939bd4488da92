"""Act on an import's decision: every action may be repeated, and the status is written last, if it changed."""

import secrets
from datetime import timedelta

from pgimport.decide.decision import (
    Action,
    ClaimTarget,
    CreateJob,
    DeleteJob,
    DeleteJobSecret,
    DeleteObject,
    DeleteUpload,
    DropAttempt,
    DropReplaced,
    OpenTarget,
    PrepareShadow,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
    Swap,
)
from pgimport.decide.observed import ObservedImport
from pgimport.kubernetes_client.api_paths import of_key
from pgimport.kubernetes_client.custom_resources import list_imports, read_preview, write_status
from pgimport.kubernetes_client.jobs import create_job, delete_job, set_job_ttl, stop_job
from pgimport.kubernetes_client.secrets_and_config_maps import create_secret, delete_secret, read_secret
from pgimport.manifest.job import JobPlan, build_import_job
from pgimport.manifest.secrets import build_job_secret
from pgimport.model.errors import Conflict, Invalid, NotFound
from pgimport.model.names import (
    IMPORTS,
    PREVIEWS,
    SECRET_KEY_SEED,
    SECRET_KEY_URL,
    attempt_names,
    attempt_password,
    job_name,
    job_secret_name,
)
from pgimport.model.observations import ObservedServer
from pgimport.model.order import Order, OrderTarget
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ObjectMeta, PreviewObject, ResourceKey
from pgimport.model.source_url import parse_origin
from pgimport.model.spec import ImportSpec, ProjectSpec, SecretKey
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.server_credentials import admin_access, owner_access
from pgimport.server.connection import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, open_target, swap

SEED_BYTES = 32
SIGNED_BEYOND = timedelta(hours=1)  # a late attempt reads on


def act_on_import(context: ReconcileContext, observed: ObservedImport, action: Action) -> Failure | None:
    """Returns a final failure that the action met, else None.

    Raises Conflict, ServerUnavailable, KubernetesUnavailable: observe again.
    """
    meta = observed.object.meta
    namespace, name = meta.namespace, job_name(meta.name, meta.uid)
    match action:
        case ClaimTarget():
            _hold_target(context, observed, meta)
        case ReleaseTarget():
            _hold_target(context, observed, None)
        case CreateJob(attempts_left):
            return _create_job(context, observed, attempts_left)
        case PrepareShadow():
            _prepare(context, observed, action)
        case DropAttempt(pod_uid):
            if (access := _admin(context, observed)) is not None:
                drop_attempt(access, attempt_names(pod_uid))
        case DropReplaced(pod_uid):
            if (access := _admin(context, observed)) is not None:
                drop_replaced(access, attempt_names(pod_uid))
        case Swap(pod_uid):
            return _swap(context, observed, pod_uid)
        case OpenTarget():
            access, target = _admin(context, observed), observed.preview.status.database if observed.preview else None
            if access is not None and target is not None:
                open_target(access, target)
        case StopJob():
            stop_job(context.cluster, namespace, name)
        case DeleteJob():
            if observed.job is not None:  # a later one has the same name
                delete_job(context.cluster, namespace, name, observed.job.uid)
        case SetJobTTL(seconds):
            set_job_ttl(context.cluster, namespace, name, seconds)
        case DeleteJobSecret():
            delete_secret(context.cluster, namespace, job_secret_name(meta.name, meta.uid))
        case DeleteUpload(key):
            _delete_upload(context, observed, key)
        case DeleteObject():
            context.cluster.delete(of_key(ResourceKey(IMPORTS, namespace, meta.name)), uid=meta.uid)
        case _:
            raise TypeError(f"not an action on an import: {action!r}")
    return None


def _delete_upload(context: ReconcileContext, observed: ObservedImport, key: str) -> None:
    """The last import that names it takes it along. Raises StoreUnavailable."""
    others = [
        one for one in list_imports(context.cluster, observed.object.meta.namespace) if one.meta != observed.object.meta
    ]
    named = any(one.spec and one.spec.source.upload_key == key and not one.status.upload_deleted for one in others)
    if context.store is not None and not named:
        context.store.delete(key)


def _admin(context: ReconcileContext, observed: ObservedImport) -> Access | None:
    """None where the Project is gone, which its finalizer forbids while anything of it is left."""
    return (
        admin_access(context, observed.project.spec) if observed.project is not None and observed.project.spec else None
    )


def _hold_target(context: ReconcileContext, observed: ObservedImport, holder: ObjectMeta | None) -> None:
    """Writes the claim against the preview as it was observed; gone is as good as given back."""
    preview = observed.preview
    if preview is None:
        return
    if holder is None:
        # Our own clean-up may be late: what somebody else holds by now is not ours to give back.
        preview = read_preview(context.cluster, preview.meta.namespace, preview.meta.name)
        if preview is None or preview.status.active_import != observed.object.meta.uid:
            return
    claim = {"active_import": holder and holder.uid, "active_import_name": holder and holder.name}
    status = preview.status.model_copy(update=claim)
    try:
        write_status(
            context.cluster, ResourceKey(PREVIEWS, preview.meta.namespace, preview.meta.name), preview.meta, status
        )
    except NotFound:
        return


def _known(observed: ObservedImport) -> tuple[ImportSpec, ProjectSpec]:
    spec, project = observed.object.spec, observed.project.spec if observed.project else None
    if spec is None or project is None:
        raise Conflict(f"import {observed.object.meta.name}: its Project is gone")
    return spec, project


def _create_job(context: ReconcileContext, observed: ObservedImport, attempts_left: int) -> Failure | None:
    spec, project = _known(observed)
    meta, server = observed.object.meta, observed.server
    if not isinstance(server, ObservedServer):
        raise TypeError("a Job is made only when its server answers")
    upload = _sign_upload(context, spec)
    if isinstance(upload, Failure):
        return upload
    entries = {} if spec.dry_run else {SECRET_KEY_SEED: secrets.token_bytes(SEED_BYTES)}
    entries |= {SECRET_KEY_URL: upload.encode()} if upload is not None else {}
    if entries:
        create_secret(context.cluster, meta.namespace, build_job_secret(meta), entries)
    own = SecretKey(name=job_secret_name(meta.name, meta.uid), key=SECRET_KEY_URL)
    order = Order(
        import_uid=meta.uid,
        import_name=meta.name,
        namespace=meta.namespace,
        target=OrderTarget(
            host=project.server.host,
            port=project.server.port,
            sslmode=project.server.sslmode,
            server_version=server.version,
            server_version_num=server.version_num,
            creatable_extensions=sorted(server.creatable_extensions),
        ),
        sources=project.sources,
        storage_limit_bytes=project.storage_limit_bytes,
        allowed_extensions=project.allowed_extensions,
        engine=spec.engine,
        verify=spec.verify,
        jobs=spec.jobs,
        dry_run=spec.dry_run,
        sha256=spec.source.sha256,
        filter=spec.filter,
        provider=spec.provider,
        upload_origin=parse_origin(context.store.settings.endpoint) if upload is not None and context.store else None,
        scratch_bytes=spec.scratch.size,
    )
    plan = JobPlan(
        meta=meta,
        spec=spec,
        source_secret=spec.source.url_secret_ref or own,
        order=order,
        image=context.policy.worker_images[str(server.version_num // 10000)],
        attempts_left=attempts_left,
    )
    try:
        create_job(context.cluster, meta.namespace, build_import_job(plan, context.policy), meta.uid)
    except Invalid as refused:  # resources or scratch that no CRD can judge
        return Failure(Reason.INVALID_SPEC, f"Kubernetes does not accept the import's Job: {refused}")
    return None


def _sign_upload(context: ReconcileContext, spec: ImportSpec) -> str | Failure | None:
    """A URL that lasts as long as any attempt may; None for an import without an upload. Raises StoreUnavailable."""
    key, store = spec.source.upload_key, context.store
    if key is None or store is None:
        return None
    size = store.find_size(key)
    if size is None:
        return Failure(Reason.DUMP_NOT_FOUND, "spec.source.uploadKey: nothing was uploaded, or it is gone")
    if size > store.settings.max_bytes:
        return Failure(
            Reason.SOURCE_TOO_LARGE, f"the upload has {size} bytes; at most {store.settings.max_bytes} are allowed"
        )
    return store.sign_get(key, spec.timeout + SIGNED_BEYOND)


def _prepare(context: ReconcileContext, observed: ObservedImport, action: PrepareShadow) -> None:
    _, project = _known(observed)
    meta = observed.object.meta
    entries = read_secret(context.cluster, meta.namespace, job_secret_name(meta.name, meta.uid)) or {}
    if SECRET_KEY_SEED not in entries:
        raise Conflict(f"the Secret of the Job of import {meta.name} is gone")
    plan = ShadowPlan(
        names=attempt_names(action.pod_uid),
        password=attempt_password(entries[SECRET_KEY_SEED], action.pod_uid),
        source=action.source,
        mark=OwnerComment(
            project_uid=observed.project.meta.uid if observed.project else "",
            import_uid=meta.uid,
            pod_uid=action.pod_uid,
            owner_name=meta.name,
        ),
    )
    prepare_shadow(admin_access(context, project), plan)


def _swap(context: ReconcileContext, observed: ObservedImport, pod_uid: str) -> Failure | None:
    _, project = _known(observed)
    preview: PreviewObject | None = observed.preview
    if preview is None or preview.status.database is None or preview.status.role is None:
        raise Conflict("the target preview changed: see again")
    owner = owner_access(context, project, preview)
    if owner is None:
        raise Conflict(f"the connection Secret of PreviewDatabase {preview.meta.name} is missing")
    plan = SwapPlan(
        target=preview.status.database,
        owner=preview.status.role,
        owner_password=owner.password,
        names=attempt_names(pod_uid),
        patience_seconds=context.policy.swap_patience.total_seconds(),
    )
    return swap(admin_access(context, project), plan)

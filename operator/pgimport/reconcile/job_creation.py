"""Creates an import's Job, with the order for the worker and the Secret that the pod mounts."""

import secrets
from datetime import timedelta

from pgimport.decide.observed_objects import ObservedImport
from pgimport.kubernetes_client.api_client import is_policy_denial
from pgimport.kubernetes_client.jobs import create_job
from pgimport.kubernetes_client.secrets_and_config_maps import create_secret, replace_entries
from pgimport.manifest.job import JobPlan, build_import_job
from pgimport.manifest.secrets import build_job_secret
from pgimport.model.errors import Forbidden, Invalid, ServerUnavailable
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import SECRET_KEY_SEED, SECRET_KEY_URL, job_secret_name
from pgimport.model.object_references import SecretKey
from pgimport.model.observations import ObservedServer
from pgimport.model.order import Order, OrderTarget
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ObjectMeta
from pgimport.model.source_url import parse_origin
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.store.upload_store import UploadStore

SEED_BYTES = 32
# A signed URL must outlive spec.timeout, because an attempt that starts late still reads the upload.
SIGNED_URL_MARGIN = timedelta(hours=1)
_ALLOWED_JOB = "Ask the platform's admin which Jobs the policy that the message names allows, and import again."
_SMALLER_UPLOAD = (
    "Upload a smaller dump (pg_dump --exclude-table-data), or ask the platform's admin to raise the store's limit."
)


def require_specs(observed: ObservedImport) -> tuple[ImportSpec, ProjectSpec]:
    """Returns the specs of the import and of its Project. Raises ServerUnavailable if the Project is gone."""
    spec, project = observed.object.spec, observed.project.spec if observed.project else None
    if spec is None or project is None:
        message = f"the Project of import {observed.object.meta.name} is gone or cannot be read"
        raise ServerUnavailable(Failure(Reason.PROJECT_NOT_FOUND, message))
    return spec, project


def create_import_job(context: ReconcileContext, observed: ObservedImport, remaining_attempts: int) -> Failure | None:
    """Creates the Secret and the Job. Returns a failure if the upload is gone or Kubernetes rejects the Job.

    Raises ServerUnavailable (JobRefused) if Kubernetes may accept the Job later, such as under a quota.
    """
    spec, project = require_specs(observed)
    meta, server = observed.object.meta, observed.server
    if not isinstance(server, ObservedServer):
        raise TypeError("a Job is created only after the target server has answered")
    upload_url = _sign_upload(context, spec)
    if isinstance(upload_url, Failure):
        return upload_url
    upload_origin = parse_origin(context.store.settings.endpoint) if upload_url is not None and context.store else None
    plan = JobPlan(
        meta=meta,
        spec=spec,
        source_secret=spec.source.url_secret_ref
        or SecretKey(name=job_secret_name(meta.name, meta.uid), key=SECRET_KEY_URL),
        order=_build_order(meta, spec, project, server, upload_origin),
        image=context.policy.worker_images[str(server.version_num // 10000)],
        remaining_attempts=remaining_attempts,
        pod_template=project.pod_template,
        queue_name=project.queue_name,
    )
    try:
        _create_job_secret(context, meta, spec, upload_url)
        create_job(context.cluster, meta.namespace, build_import_job(plan, context.policy), meta.uid)
    except Invalid as error:  # spec.resources and spec.scratch allow values that only the API server can check
        return _describe_rejection(error)
    except Forbidden as error:
        if is_policy_denial(str(error)):
            return _describe_rejection(error)
        message = f"Kubernetes does not accept the import's Job: {error}"
        raise ServerUnavailable(Failure(Reason.JOB_REFUSED, message)) from error
    return None


def _describe_rejection(error: Invalid | Forbidden) -> Failure:
    """Describes a refusal that would be the same for each Job of this import, in the words of Kubernetes."""
    text = str(error)
    message = f"Kubernetes does not accept the import's Job: {text}"
    return Failure(Reason.INVALID_SPEC, message, _ALLOWED_JOB if is_policy_denial(text) else "")


def _create_job_secret(context: ReconcileContext, meta: ObjectMeta, spec: ImportSpec, upload_url: str | None) -> None:
    """Creates the Secret with the seed of the attempts' passwords and the URL of the upload, if there are any."""
    entries = {} if spec.dry_run else {SECRET_KEY_SEED: secrets.token_bytes(SEED_BYTES)}
    if upload_url is not None:
        entries[SECRET_KEY_URL] = upload_url.encode()
    if entries:
        create_secret(context.cluster, meta.namespace, build_job_secret(meta), entries)


def sign_upload(context: ReconcileContext, observed: ObservedImport) -> None:
    """Writes a new URL of the upload into the Job's Secret. The kubelet updates it in pods, too.

    Creates the Secret again if somebody has deleted it. Raises Refused (NameTaken) if it is not ours.
    """
    spec, _ = require_specs(observed)
    meta, key = observed.object.meta, spec.source.upload_key
    if key is None or context.store is None:
        return
    url = _sign_url(context.store, key, spec)
    _create_job_secret(context, meta, spec, url)
    replace_entries(
        context.cluster, meta.namespace, job_secret_name(meta.name, meta.uid), {SECRET_KEY_URL: url.encode()}
    )


def _build_order(
    meta: ObjectMeta, spec: ImportSpec, project: ProjectSpec, server: ObservedServer, upload_origin: str | None
) -> Order:
    target = OrderTarget(
        host=project.server.host,
        port=project.server.port,
        sslmode=project.server.sslmode,
        server_version=server.version,
        server_version_num=server.version_num,
        creatable_extensions=sorted(server.creatable_extensions),
        available_extensions=sorted(server.available_extensions),
        default_locale=server.default_locale,
    )
    return Order(
        import_uid=meta.uid,
        import_name=meta.name,
        namespace=meta.namespace,
        target=target,
        sources=project.sources,
        storage_limit_bytes=project.storage_limit_bytes,
        allowed_extensions=project.allowed_extensions,
        engine=spec.engine,
        verify=spec.verify,
        on_object_error=spec.on_object_error,
        jobs=spec.jobs,
        dry_run=spec.dry_run,
        sha256=spec.source.sha256,
        filter=spec.filter,
        target_locale=spec.target.locale if spec.target else None,
        provider=spec.provider,
        upload_origin=upload_origin,
        scratch_bytes=spec.scratch.size,
    )


def _sign_upload(context: ReconcileContext, spec: ImportSpec) -> str | Failure | None:
    """Returns a URL that outlives every attempt, or None for an import without an upload. Raises StoreUnavailable."""
    key, store = spec.source.upload_key, context.store
    if key is None or store is None:
        return None
    size, limit = store.find_size(key), store.settings.max_bytes
    if size is None:
        return Failure(Reason.DUMP_NOT_FOUND, "spec.source.uploadKey: nothing was uploaded, or the file was deleted")
    if size > limit:
        message = f"the upload has {size} bytes; at most {limit} are allowed"
        return Failure(Reason.SOURCE_TOO_LARGE, message, _SMALLER_UPLOAD)
    return _sign_url(store, key, spec)


def _sign_url(store: UploadStore, key: str, spec: ImportSpec) -> str:
    return store.sign_get(key, spec.timeout + SIGNED_URL_MARGIN)

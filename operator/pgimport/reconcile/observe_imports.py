"""See: everything fresh, asked only where the decision will read it; a key in, a `Seen…` out."""

from datetime import datetime, timedelta

from pgimport.decide.attempts import current_pod, pod_at_work
from pgimport.decide.observed import ObservedImport
from pgimport.decide.timeouts import awaited_stage
from pgimport.kubernetes_client.custom_resources import (
    list_active_imports,
    read_import,
    read_preview,
    read_project,
)
from pgimport.kubernetes_client.jobs import read_job
from pgimport.kubernetes_client.namespaces import read_start_warning
from pgimport.kubernetes_client.pods import list_pods, read_progress
from pgimport.kubernetes_client.secrets_and_config_maps import read_config_map, read_secret
from pgimport.model.errors import ServerUnavailable
from pgimport.model.names import CONTAINER_IMPORT, AttemptNames, job_name
from pgimport.model.observations import ObservedJob, ObservedPod, ObservedServer, ObservedSwap, Unreachable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, Progress
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.server_credentials import admin_access, owner_access
from pgimport.server.server_state import read_database_size, read_server_facts, read_swap, read_user_objects

WARNING_WAIT = timedelta(seconds=15)


def observe_import(context: ReconcileContext, key: ResourceKey, now: datetime) -> ObservedImport | None:
    """None: there is no such import (any more)."""
    found = read_import(context.cluster, key.namespace, key.name)
    if found is None:
        return None
    if found.meta.deleting or (found.status.terminal and found.status.cleaned_up):
        context.reconcile_times.forget(found.meta.uid)
        return ObservedImport(object=found, watched_since=now)
    project = _observe_project(context, found)
    preview = _observe_preview(context, found)
    # What never ran has no Job, and may lie where the operator has no right to look for one.
    begun = found.status.started_at is not None
    name, uid = found.meta.name, found.meta.uid
    job = read_job(context.cluster, key.namespace, job_name(name, uid), uid) if begun else None
    pods = _observe_pods(context, found, job)
    running = found.status.state is ImportState.RUNNING
    starting = running and found.status.job is None
    current = current_pod(pods)
    watch = context.reconcile_times.look(uid, now, awaited_stage(job, pods) if running else None)
    return ObservedImport(
        object=found,
        watched_since=watch.since,
        waiting_since=watch.waiting_since,
        project=project,
        preview=preview,
        others=() if found.status.terminal or (running and not starting) else _observe_others(context, found),
        missing=None if running or found.status.terminal else _observe_missing(context, found, project),
        job=job,
        pods=tuple(pods),
        progress=_observe_progress(context, found, current) if running else None,
        start_warning=_observe_warning(context, found, job, pods, now - watch.waiting_since)
        if watch.waiting_since
        else None,
        server=_observe_server(context, project) if starting else None,
        target_objects=_observe_target_objects(context, found, project, preview) if running else None,
        swap=_observe_swap(context, found, project, preview) if running else None,
        shadow_bytes=_observe_shadow_bytes(context, found, project) if running and current is not None else None,
    )


def _observe_project(context: ReconcileContext, found: ImportObject) -> ProjectObject | None:
    name = found.spec.project if found.spec else found.status.project_id
    return read_project(context.cluster, name) if name else None


def _observe_preview(context: ReconcileContext, found: ImportObject) -> PreviewObject | None:
    if found.spec is None or found.spec.target is None or found.spec.dry_run:
        return None
    return read_preview(context.cluster, found.meta.namespace, found.spec.target.preview_database)


def _observe_pods(context: ReconcileContext, found: ImportObject, job: ObservedJob | None) -> list[ObservedPod]:
    if job is None or not job.ours:
        return []
    return context.pod_history.complete(job.uid, list_pods(context.cluster, found.meta.namespace, found.meta.uid))


def _observe_others(context: ReconcileContext, found: ImportObject) -> tuple[ImportObject, ...]:
    active = list_active_imports(context.cluster, found.meta.namespace)
    return tuple(other for other in active if other.meta.uid != found.meta.uid)


def _observe_missing(
    context: ReconcileContext, found: ImportObject, project: ProjectObject | None
) -> tuple[Reason, str] | None:
    """Asked only in the namespace of a ready Project: elsewhere the operator may read no Secret."""
    spec, namespace = found.spec, found.meta.namespace
    if spec is None or project is None or project.spec is None or not project.status.ready:
        return None
    if project.spec.namespace != namespace:
        return None
    for wanted in (spec.source.url_secret_ref, spec.source.ca_secret_ref):
        if wanted is not None and wanted.key not in (read_secret(context.cluster, namespace, wanted.name) or {}):
            return Reason.SOURCE_SECRET_MISSING, f"Secret {wanted.name} with the key {wanted.key}"
    asked = spec.post_import.sql_config_map_ref if spec.post_import else None
    if asked is not None and asked.key not in read_config_map(context.cluster, namespace, asked.name):
        return Reason.CONFIG_MAP_MISSING, f"ConfigMap {asked.name} with the key {asked.key}"
    return None


def _observe_progress(context: ReconcileContext, found: ImportObject, pod: ObservedPod | None) -> Progress | None:
    if pod is None or pod.import_ is None or pod.import_.running_since is None:
        return None
    return read_progress(context.cluster, found.meta.namespace, pod.name, CONTAINER_IMPORT)


def _observe_warning(
    context: ReconcileContext, found: ImportObject, job: ObservedJob | None, pods: list[ObservedPod], waited: timedelta
) -> str | None:
    """Asked only once nothing has started for a while: by then Kubernetes has said why."""
    if job is None or waited < WARNING_WAIT:
        return None
    pod = pod_at_work(pods)
    names = tuple(name for name in (job.name, pod.name if pod else None) if name)
    return read_start_warning(context.cluster, found.meta.namespace, names)


def _observe_server(context: ReconcileContext, project: ProjectObject | None) -> ObservedServer | Unreachable:
    if project is None or project.spec is None:
        return Unreachable(failure=Failure(Reason.PROJECT_NOT_FOUND, "the import's Project is gone or cannot be read"))
    try:
        return read_server_facts(admin_access(context, project.spec), project.spec.allowed_extensions)
    except ServerUnavailable as away:
        return Unreachable(failure=away.failure)


def _observe_target_objects(
    context: ReconcileContext, found: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> tuple[str, ...] | Unreachable | None:
    """As the preview's own role; before the Job is made, and again when the swap is about to begin."""
    spec, shadow = found.spec, found.status.shadow
    due = found.status.job is None or (shadow is not None and shadow.verified)
    if spec is None or spec.recreate or spec.dry_run or not due:
        return None
    if project is None or project.spec is None or preview is None or preview.status.database is None:
        return None
    try:
        access = owner_access(context, project.spec, preview)
        if access is None:
            missing = f"the connection Secret of PreviewDatabase {preview.meta.name} is missing"
            return Unreachable(failure=Failure(Reason.TARGET_NOT_READY, missing))
        return tuple(read_user_objects(access, preview.status.database))
    except ServerUnavailable as away:
        return Unreachable(failure=away.failure)


def _observe_swap(
    context: ReconcileContext, found: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> ObservedSwap | Unreachable | None:
    shadow = found.status.shadow
    if shadow is None or not shadow.verified or project is None or project.spec is None:
        return None
    target = preview.status.database if preview is not None else None
    names = AttemptNames(role=shadow.role, database=shadow.database)
    try:
        return read_swap(admin_access(context, project.spec), target or "", names)
    except ServerUnavailable as away:
        return Unreachable(failure=away.failure)


def _observe_shadow_bytes(context: ReconcileContext, found: ImportObject, project: ProjectObject | None) -> int | None:
    shadow = found.status.shadow
    limited = project is not None and project.spec is not None and project.spec.storage_limit_bytes is not None
    if shadow is None or not limited or project is None or project.spec is None:
        return None
    try:
        return read_database_size(admin_access(context, project.spec), shadow.database)
    except ServerUnavailable:
        return None

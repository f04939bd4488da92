"""Observes a PostgresImport: reads it and what the decision about its current state needs, and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pgimport.decide.attempts import current_pod, pod_at_work, without_preempted
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.preview_copies import is_being_copied
from pgimport.decide.queued_imports import has_queued_job
from pgimport.decide.timeouts import awaited_stage
from pgimport.kubernetes_client.custom_resources import read_import, read_preview, read_project
from pgimport.kubernetes_client.jobs import read_job
from pgimport.kubernetes_client.pods import list_pods, read_progress
from pgimport.kubernetes_client.resource_lists import list_running_imports
from pgimport.kubernetes_client.secrets_and_config_maps import read_config_map, read_secret
from pgimport.kubernetes_client.start_events import read_start_warning
from pgimport.kubernetes_client.workloads import read_workload
from pgimport.model.errors import Refused, ServerUnavailable
from pgimport.model.names import CONTAINER_IMPORT, attempt_names, job_name
from pgimport.model.object_references import SecretKey
from pgimport.model.observations import (
    ObservedJob,
    ObservedPod,
    ObservedServer,
    ObservedSwap,
    ObservedWorkload,
    Unreachable,
)
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, Progress
from pgimport.reconcile.import_reports import observe_report
from pgimport.reconcile.observe_projects import read_project_server
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.reconcile_times import ImportTimes
from pgimport.reconcile.server_credentials import count_keys, read_admin_access, read_owner_access
from pgimport.server.replacement_check import check_replaceable
from pgimport.server.server_state import read_database_size, read_swap
from pgimport.server.temporary_role import read_preview_objects

WARNING_DELAY = timedelta(seconds=15)  # Kubernetes needs a while until it posts an event


def observe_import(context: ReconcileContext, key: ResourceKey, now: datetime) -> ObservedImport | None:
    """Reads everything that the decision needs. Returns None if the import does not exist."""
    item = read_import(context.cluster, key.namespace, key.name)
    if item is None:
        return None
    if item.meta.deleting or (item.status.terminal and item.status.cleaned_up):
        context.reconcile_times.forget(item.meta.uid)
        return ObservedImport(object=item, observed_since=now)
    project, preview = _read_project(context, item), _read_preview(context, item)
    # An import that never ran has no Job. The operator may have no right to read Jobs in its namespace.
    started = item.status.started_at is not None or item.status.job is not None
    name, uid = item.meta.name, item.meta.uid
    job = read_job(context.cluster, key.namespace, job_name(name, uid), uid) if started else None
    pods = _read_pods(context, item, job)
    running = item.status.state is ImportState.RUNNING
    starting = running and item.status.job is None
    pending = not running and not item.status.terminal
    queued = has_queued_job(item.status, job)
    held = queued and job is not None and job.suspended  # needs no slot before the queue admits it
    asks_for_slot = starting or (pending and not held)
    at_work = without_preempted(pods, item.status.attempt_history, job)
    current = current_pod(at_work)
    times = context.reconcile_times.record(uid, now, awaited_stage(job, at_work) if running else None)
    return ObservedImport(
        object=item,
        observed_since=times.observed_since,
        waiting_since=times.waiting_since,
        project=project,
        preview=preview,
        other_imports=tuple(_list_other_imports(context, item, starting or queued)) if asks_for_slot else (),
        missing_mount=_find_missing_mount(context, item, project) if pending and not queued else None,
        job=job,
        workload=_read_workload(context, item, job),
        pods=tuple(pods),
        progress=_read_progress(context, item, current) if running else None,
        report=observe_report(context, item, at_work, now) if running else None,
        start_warning=_read_warning(context, item, job, at_work, times),
        server=_read_server(context, project) if starting else None,
        swap_refusal=_find_swap_refusal(context, item, project, preview) if starting else None,
        target_objects=_read_target_objects(context, item, project, preview) if running else None,
        swap=_read_swap(context, item, project, preview) if running else None,
        copies=_list_copies(context, item, project, preview) if running else (),
        shadow_bytes=_read_shadow_size(context, item, project) if running and current is not None else None,
    )


def _read_project(context: ReconcileContext, item: ImportObject) -> ProjectObject | None:
    name = item.spec.project if item.spec else item.status.project_id
    return read_project(context.cluster, name) if name else None


def _read_preview(context: ReconcileContext, item: ImportObject) -> PreviewObject | None:
    if item.spec is None or item.spec.target is None or item.spec.dry_run:
        return None
    return read_preview(context.cluster, item.meta.namespace, item.spec.target.preview_database)


def _read_workload(context: ReconcileContext, item: ImportObject, job: ObservedJob | None) -> ObservedWorkload | None:
    if job is None or not job.ours or not job.suspended or item.status.terminal:
        return None
    return read_workload(context.cluster, item.meta.namespace, job.uid)


def _read_pods(context: ReconcileContext, item: ImportObject, job: ObservedJob | None) -> list[ObservedPod]:
    if job is None or not job.ours:
        return []
    return context.pod_history.merge(job.uid, list_pods(context.cluster, item.meta.namespace, item.meta.uid))


def refresh_other_imports(context: ReconcileContext, observed: ObservedImport) -> ObservedImport:
    """Lists the other imports again, the running ones from the API server.

    What else was observed is confirmed by the writes, which fail if it has changed.
    """
    return replace(observed, other_imports=tuple(_list_other_imports(context, observed.object, confirmed=True)))


def _list_other_imports(context: ReconcileContext, item: ImportObject, confirmed: bool) -> list[ImportObject]:
    """Lists the imports that may have the slot or the target.

    `confirmed`: the API server lists the running ones, because another operator may have used the slot.
    """
    others = context.lists.list_active_imports(item.meta.namespace)
    if confirmed:
        waiting = [other for other in others if other.status.state is not ImportState.RUNNING]
        others = [*waiting, *list_running_imports(context.cluster, item.meta.namespace)]
    return [other for other in others if other.meta.uid != item.meta.uid]


def _find_missing_mount(
    context: ReconcileContext, item: ImportObject, project: ProjectObject | None
) -> tuple[Reason, str] | None:
    """Returns the first Secret or ConfigMap that the Job mounts and that is missing.

    Reads only in the namespace of a ready Project: the operator has no right to read Secrets elsewhere.
    """
    spec, namespace = item.spec, item.meta.namespace
    if spec is None or project is None or project.spec is None or not project.status.ready:
        return None
    if project.spec.namespace != namespace:
        return None
    for mount in spec.mounts:
        in_secret = isinstance(mount, SecretKey)
        keys = (read_secret if in_secret else read_config_map)(context.cluster, namespace, mount.name)
        if keys is None or mount.key not in keys:
            reason = Reason.SOURCE_SECRET_MISSING if in_secret else Reason.CONFIG_MAP_MISSING
            return reason, _describe_missing("Secret" if in_secret else "ConfigMap", mount.name, mount.key, keys)
    return None


def _describe_missing(kind: str, name: str, key: str, keys: Collection[str] | None) -> str:
    """Tells a missing object from a missing key, which is often misspelt. Names no other key: it may be a secret."""
    state = "does not exist" if keys is None else f"has {count_keys(keys)}, but not this one"
    return f"{kind} {name} with the key {key}. The {kind} {state}"


def _read_progress(context: ReconcileContext, item: ImportObject, pod: ObservedPod | None) -> Progress | None:
    if pod is None or pod.import_ is None or pod.import_.running_since is None:
        return None
    return read_progress(context.cluster, item.meta.namespace, pod.name, CONTAINER_IMPORT)


def _read_warning(
    context: ReconcileContext,
    item: ImportObject,
    job: ObservedJob | None,
    pods: Sequence[ObservedPod],
    times: ImportTimes,
) -> str | None:
    """Reads why no container starts, after the import has waited long enough for Kubernetes to say so."""
    if job is None or times.waiting_since is None or times.last - times.waiting_since < WARNING_DELAY:
        return None
    pod = pod_at_work(pods)
    names = tuple(name for name in (job.name, pod.name if pod else None) if name)
    warning = read_start_warning(context.cluster, item.meta.namespace, names)
    # An event says more than the pod's condition: a quota may refuse the volume for which the scheduler waits.
    return warning or (pod.unscheduled if pod is not None else None)


def _read_server(context: ReconcileContext, project: ProjectObject | None) -> ObservedServer | Unreachable:
    if project is None or project.spec is None:
        return Unreachable(failure=Failure(Reason.PROJECT_NOT_FOUND, "the import's Project is gone or cannot be read"))
    return read_project_server(context, project.spec)


def _read_target_objects(
    context: ReconcileContext, item: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> tuple[str, ...] | Unreachable | None:
    """Lists what the target database holds, as the preview's owner role.

    Reads before the Job is created, and again just before the swap. With spec.recreate, nothing is listed, but the
    owner's password must be readable: the swap needs it. The owner of a golden preview has no password and cannot log
    in, so a temporary role reads its objects.
    """
    spec, shadow = item.spec, item.status.shadow
    due = item.status.job is None or (shadow is not None and shadow.verified)
    if spec is None or spec.dry_run or not due:
        return None
    if project is None or project.spec is None or preview is None or preview.status.database is None:
        return None
    try:
        owner = None if preview.golden else read_owner_access(context, project.spec, preview)
        if spec.recreate:
            return ()
        mark = OwnerComment(project_uid=project.meta.uid, import_uid=item.meta.uid, owner_name=item.meta.name)
        admin = read_admin_access(context, project.spec)
        return tuple(read_preview_objects(owner, admin, preview.database, mark))
    except (Refused, ServerUnavailable) as error:
        return Unreachable(failure=error.failure)


def _find_swap_refusal(
    context: ReconcileContext, item: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> Failure | None:
    """Returns why the swap would be refused, so that no row is copied in vain."""
    if item.spec is None or item.spec.dry_run or project is None or project.spec is None or preview is None:
        return None
    try:
        check_replaceable(read_admin_access(context, project.spec), preview.database, preview.role)
    except Refused as refused:
        return refused.failure
    except ServerUnavailable:  # `server` has the failure
        return None
    return None


def _read_swap(
    context: ReconcileContext, item: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> ObservedSwap | Unreachable | None:
    shadow = item.status.shadow
    if shadow is None or not shadow.verified or project is None or project.spec is None:
        return None
    target = preview.database if preview is not None and preview.status.database is not None else None
    names = attempt_names(shadow.pod_uid)
    try:
        return read_swap(read_admin_access(context, project.spec), target or "", names)
    except (Refused, ServerUnavailable) as error:
        return Unreachable(failure=error.failure)


def _list_copies(
    context: ReconcileContext, item: ImportObject, project: ProjectObject | None, preview: PreviewObject | None
) -> tuple[str, ...]:
    """Lists the previews into which the target is being copied, once the import could swap."""
    shadow = item.status.shadow
    if shadow is None or not shadow.verified or preview is None or project is None:
        return ()
    previews = context.direct_lists.list_previews(item.meta.namespace)
    return tuple(
        sorted(other.meta.name for other in previews if is_being_copied(other, preview.meta.name, project.spec))
    )


def _read_shadow_size(context: ReconcileContext, item: ImportObject, project: ProjectObject | None) -> int | None:
    """Reads the shadow's size in bytes if the Project limits it."""
    shadow = item.status.shadow
    if shadow is None or project is None or project.spec is None or project.spec.storage_limit_bytes is None:
        return None
    try:
        return read_database_size(read_admin_access(context, project.spec), attempt_names(shadow.pod_uid).database)
    except (Refused, ServerUnavailable):
        return None

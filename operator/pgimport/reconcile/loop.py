"""One look at one key: see, decide, act, and write the status if it changed."""

import logging
from datetime import UTC, datetime
from typing import TypeVar

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import Decision
from pgimport.decide.imports import decide_away, decide_failure, decide_import
from pgimport.decide.observed import ObservedImport
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.kubernetes_client.custom_resources import (
    confirm,
    list_previews,
    list_projects,
    list_waiting_imports,
    write_status,
)
from pgimport.kubernetes_client.namespaces import post_event
from pgimport.manifest.events import build_event
from pgimport.model.base_models import LenientModel
from pgimport.model.errors import NotFound, PgimportError, ServerUnavailable
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, ObjectMeta, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus
from pgimport.reconcile.act_on_imports import act_on_import
from pgimport.reconcile.act_on_previews import act_on_preview, act_on_project
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.observe_imports import observe_import
from pgimport.reconcile.observe_previews import observe_preview, observe_project
from pgimport.reconcile.work_queue import ReconcileResult

logger = logging.getLogger(__name__)
StatusT = TypeVar("StatusT", ImportStatus, PreviewStatus, ProjectStatus)
KINDS = {IMPORTS: "PostgresImport", PREVIEWS: "PreviewDatabase", PROJECTS: "Project"}
FAILING_STATES = ("failed",)


def reconcile(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    """Raises Conflict, KubernetesUnavailable and what nobody expected: the queue looks again later."""
    match key.kind:
        case "postgresimports":
            return _reconcile_import(context, key)
        case "previewdatabases":
            return _reconcile_preview(context, key)
        case _:
            return _reconcile_project(context, key)


def _now() -> datetime:
    return datetime.now(UTC)


def _reconcile_import(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    observed = observe_import(context, key, _now())
    if observed is None or observed.object.meta.deleting:
        return ReconcileResult(wake=_neighbours(context, key.namespace))
    if observed.object.status.terminal or observed.object.status.state is ImportState.RUNNING:
        return _carry_out_import(context, key, observed)
    # Two imports that see one free slot would both take it: one of a namespace starts at a time, on a fresh look.
    with context.start_lock(key.namespace):
        fresh = observe_import(context, key, _now())
        return ReconcileResult() if fresh is None else _carry_out_import(context, key, fresh)


def _carry_out_import(context: ReconcileContext, key: ResourceKey, observed: ObservedImport) -> ReconcileResult:
    decision = decide_import(observed, _now(), context.policy)
    _confirm(context, key, observed.object.meta, decision)
    try:
        for action in decision.actions:
            if (failure := act_on_import(context, observed, action)) is not None:
                decision = decide_failure(observed, failure, _now())
                break
    except ServerUnavailable as away:
        decision = decide_away(observed, away.failure, _now(), context.policy)
    before = observed.object.status
    _write(context, key, observed.object.meta, before, decision)
    ended = decision.status.terminal and (not before.terminal or before.cleaned_up != decision.status.cleaned_up)
    wake = (*_filled(observed.object), *_waiting(context, key.namespace)) if ended else ()
    return ReconcileResult(requeue_after=decision.requeue_after, wake=wake)


def _filled(found: ImportObject) -> tuple[ResourceKey, ...]:
    """A preview of mode clone is ready when its import has ended."""
    target = found.spec.target if found.spec else None
    return (ResourceKey(PREVIEWS, found.meta.namespace, target.preview_database),) if target else ()


def _waiting(context: ReconcileContext, namespace: str) -> tuple[ResourceKey, ...]:
    """Imports that may take what has just become free."""
    return tuple(
        ResourceKey(IMPORTS, namespace, one.meta.name) for one in list_waiting_imports(context.cluster, namespace)
    )


def _neighbours(context: ReconcileContext, namespace: str) -> tuple[ResourceKey, ...]:
    """Whom a deleted import leaves something to: its project sweeps, the previews that it held are free."""
    projects = [one for one in list_projects(context.cluster) if one.spec and one.spec.namespace == namespace]
    held = [one for one in list_previews(context.cluster, namespace) if one.status.active_import is not None]
    return (
        *(ResourceKey(PREVIEWS, namespace, one.meta.name) for one in held),
        *(ResourceKey(PROJECTS, "", one.meta.name) for one in projects),
    )


def _reconcile_preview(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    try:
        observed = observe_preview(context, key, _now())
        if observed is None:
            return ReconcileResult(wake=_neighbours(context, key.namespace))
        decision = decide_preview(observed, _now(), context.policy)
        _confirm(context, key, observed.object.meta, decision)
        for action in decision.actions:
            act_on_preview(context, observed, decision.status, action)
    except ServerUnavailable as away:
        logger.warning("%s: %s", key, away)
        return ReconcileResult(requeue_after=context.policy.retry_interval)
    changed = _write(
        context, key, observed.object.meta, observed.object.status, decision, finalized=observed.object.meta.deleting
    )
    free = decision.status.active_import is None
    wake = _waiting(context, key.namespace) if changed and free else ()
    return ReconcileResult(requeue_after=decision.requeue_after, wake=wake)


def _reconcile_project(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    found = observe_project(context, key)
    if found is None:
        return ReconcileResult()
    observed, orphaned_objects = found
    decision = decide_project(observed, _now(), context.policy)
    try:
        for action in decision.actions:
            act_on_project(context, observed, orphaned_objects, action)
    except ServerUnavailable as away:
        logger.warning("%s: %s", key, away)
        return ReconcileResult(requeue_after=context.policy.retry_interval)
    changed = _write(
        context, key, observed.object.meta, observed.object.status, decision, finalized=observed.object.meta.deleting
    )
    wake: tuple[ResourceKey, ...] = ()
    if changed and observed.object.spec is not None:
        namespace = observed.object.spec.namespace
        previews = list_previews(context.cluster, namespace)
        wake = (*(ResourceKey(PREVIEWS, namespace, one.meta.name) for one in previews), *_waiting(context, namespace))
    return ReconcileResult(requeue_after=decision.requeue_after, wake=wake)


def _confirm(context: ReconcileContext, key: ResourceKey, meta: ObjectMeta, decision: Decision[StatusT]) -> None:
    """What was observed may be old, and another operator may be at work: nothing is done before that is ruled out.

    Raises Conflict: see again.
    """
    if decision.actions:
        confirm(context.cluster, key, meta)


def _write(
    context: ReconcileContext,
    key: ResourceKey,
    meta: ObjectMeta,
    before: StatusT,
    decision: Decision[StatusT],
    finalized: bool = False,
) -> bool:
    """True where the status changed. `updatedAt` alone is no change; an object that just went needs no status."""
    wanted = decision.status.model_copy(update={"updated_at": before.updated_at})
    if wanted == before:
        return False
    stamped = wanted.model_copy(update={"updated_at": _now()})
    try:
        write_status(context.cluster, key, meta, stamped)
    except NotFound:
        if not finalized:
            raise
        return False
    _tell(context, key, meta, before, stamped, decision.message)
    return True


def _tell(
    context: ReconcileContext, key: ResourceKey, meta: ObjectMeta, before: LenientModel, after: StatusT, message: str
) -> None:
    """One log line and one event a change of state or reason; none for progress."""
    old = getattr(before, "state", None), ready_reason(getattr(before, "conditions", ()))
    state, reason = getattr(after, "state", None), ready_reason(after.conditions)
    if old == (state, reason):
        return
    logger.info("%s is %s (%s): %s", key, state or "observed", reason, message)
    warning = state in FAILING_STATES
    namespace = meta.namespace or context.policy.operator_namespace
    event = build_event(KINDS[key.kind], meta, reason or "Seen", message, warning=warning, namespace=namespace)
    try:
        post_event(context.cluster, namespace, event)
    except PgimportError as refused:
        logger.debug("%s: event not posted: %s", key, refused)

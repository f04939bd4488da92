"""Reconciles one key: observe the object, decide, act, and write the status if it changed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import Action, Decision
from pgimport.decide.imports import decide_action_failure, decide_import, decide_unreachable_server
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview
from pgimport.decide.previews import decide_preview, decide_unreachable_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.wake_targets import (
    AllPreviews,
    ClaimedPreviews,
    NamespaceProjects,
    PendingImports,
    WakeTarget,
    wake_after_removal,
)
from pgimport.kubernetes_client.custom_resources import (
    confirm_unchanged,
    list_pending_imports,
    list_previews,
    list_projects,
    write_status,
)
from pgimport.kubernetes_client.namespaces import post_event
from pgimport.manifest.events import build_event
from pgimport.model.errors import NotFound, PgimportError, Refused, ServerUnavailable
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus
from pgimport.reconcile.act_on_imports import act_on_import
from pgimport.reconcile.act_on_previews import act_on_preview
from pgimport.reconcile.act_on_projects import act_on_project
from pgimport.reconcile.observe_imports import observe_import
from pgimport.reconcile.observe_previews import observe_preview
from pgimport.reconcile.observe_projects import ProjectObservation, observe_project
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.work_queue import ReconcileResult

logger = logging.getLogger(__name__)
Status = ImportStatus | PreviewStatus | ProjectStatus
Resource = ImportObject | PreviewObject | ProjectObject
ObservedT = TypeVar("ObservedT", ObservedImport, ObservedPreview, ProjectObservation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler(Generic[ObservedT]):
    """Functions that reconcile the objects of one kind."""

    kind: str  # as in the object's own `kind`
    observe: Callable[[ReconcileContext, ResourceKey, datetime], ObservedT | None]
    decide: Callable[[ObservedT, datetime, Policy], Decision[Any]]
    act: Callable[[ReconcileContext, ObservedT, Action], Failure | None]
    # Replaces the decision when an action fails for good. Only imports have such actions.
    decide_failure: Callable[[ObservedT, Action, Failure, datetime], Decision[Any]] | None = None
    # Replaces the decision when a server does not answer. Without it the status stays, and the operator tries again.
    decide_unreachable: Callable[[ObservedT, Failure, datetime, Policy], Decision[Any]] | None = None
    # Before any action, a write proves that the observed version is the newest: a cached read may be old.
    confirms: bool = True
    # Whether the object must be observed and decided under the namespace's start lock.
    starts: Callable[[ObservedT], bool] = lambda _: False


def _may_start(observed: ObservedImport) -> bool:
    """Tells whether this import may take a slot. Two imports that see one free slot would both take it."""
    status = observed.object.status
    return not (observed.object.meta.deleting or status.terminal or status.state is ImportState.RUNNING)


RECONCILERS: dict[str, Reconciler[Any]] = {
    IMPORTS: Reconciler(
        kind="PostgresImport",
        observe=observe_import,
        decide=decide_import,
        act=act_on_import,
        decide_failure=decide_action_failure,
        decide_unreachable=decide_unreachable_server,
        starts=_may_start,
    ),
    PREVIEWS: Reconciler(
        kind="PreviewDatabase",
        observe=observe_preview,
        decide=decide_preview,
        act=act_on_preview,
        decide_unreachable=decide_unreachable_preview,
    ),
    # Each action of a Project checks by itself what it changes.
    PROJECTS: Reconciler(
        kind="Project", observe=observe_project, decide=decide_project, act=act_on_project, confirms=False
    ),
}


def reconcile(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    """Brings one object one step closer to its spec.

    Raises Conflict, KubernetesUnavailable or StoreUnavailable. The queue then repeats the call later.
    """
    return _reconcile(context, key, RECONCILERS[key.kind])


def _reconcile(context: ReconcileContext, key: ResourceKey, reconciler: Reconciler[ObservedT]) -> ReconcileResult:
    try:
        observed = reconciler.observe(context, key, _now())
        if observed is None:
            return ReconcileResult(wake=_list_keys(context, wake_after_removal(key)))
        if not reconciler.starts(observed):
            return _decide_and_act(context, key, reconciler, observed)
        with context.start_lock(key.namespace):
            observed = reconciler.observe(context, key, _now())
            return ReconcileResult() if observed is None else _decide_and_act(context, key, reconciler, observed)
    except (Refused, ServerUnavailable) as error:
        logger.warning("%s: %s", key, error)
        return ReconcileResult(requeue_after=context.policy.retry_interval)


def _now() -> datetime:
    return datetime.now(UTC)


def _decide_and_act(
    context: ReconcileContext, key: ResourceKey, reconciler: Reconciler[ObservedT], observed: ObservedT
) -> ReconcileResult:
    decision = reconciler.decide(observed, _now(), context.policy)
    if decision.actions and reconciler.confirms:
        confirm_unchanged(context.cluster, key, observed.object.meta)
    decision = _act(context, reconciler, observed, decision)
    _write_status(context, key, observed.object, decision)
    return ReconcileResult(requeue_after=decision.requeue_after, wake=_list_keys(context, decision.wake))


def _act(
    context: ReconcileContext, reconciler: Reconciler[ObservedT], observed: ObservedT, decision: Decision[Any]
) -> Decision[Any]:
    """Runs the actions and returns the decision, or the one that replaces it because an action failed."""
    try:
        for action in decision.actions:
            failure = reconciler.act(context, observed, action)
            if failure is not None and reconciler.decide_failure is not None:
                return reconciler.decide_failure(observed, action, failure, _now())
    except (Refused, ServerUnavailable) as error:
        if reconciler.decide_unreachable is None:
            raise
        return reconciler.decide_unreachable(observed, error.failure, _now(), context.policy)
    return decision


def _list_keys(context: ReconcileContext, targets: tuple[WakeTarget, ...]) -> tuple[ResourceKey, ...]:
    """Lists the keys of the selected objects in the cluster."""
    keys: list[ResourceKey] = []
    for target in targets:
        match target:
            case ResourceKey():
                keys.append(target)
            case PendingImports(namespace):
                imports = list_pending_imports(context.cluster, namespace)
                keys += [ResourceKey(IMPORTS, namespace, item.meta.name) for item in imports]
            case ClaimedPreviews(namespace):
                previews = list_previews(context.cluster, namespace)
                claimed = [item for item in previews if item.status.active_import is not None]
                keys += [ResourceKey(PREVIEWS, namespace, item.meta.name) for item in claimed]
            case AllPreviews(namespace):
                previews = list_previews(context.cluster, namespace)
                keys += [ResourceKey(PREVIEWS, namespace, item.meta.name) for item in previews]
            case NamespaceProjects(namespace):
                keys += [
                    ResourceKey(PROJECTS, "", item.meta.name)
                    for item in list_projects(context.cluster)
                    if item.spec is not None and item.spec.namespace == namespace
                ]
    return tuple(keys)


def _write_status(context: ReconcileContext, key: ResourceKey, item: Resource, decision: Decision[Any]) -> None:
    """Writes the status if more than `updatedAt` changed, then logs and posts an event."""
    unstamped = decision.status.model_copy(update={"updated_at": item.status.updated_at})
    if unstamped == item.status:
        return
    status = unstamped.model_copy(update={"updated_at": _now()})
    try:
        write_status(context.cluster, key, item.meta, status)
    except NotFound:
        if not item.meta.deleting:  # an object whose finalizer was just removed has no status any more
            raise
        return
    _report_transition(context, key, item, status, decision.message)


def _report_transition(
    context: ReconcileContext, key: ResourceKey, item: Resource, status: Status, message: str
) -> None:
    """Logs a line and posts an event if the state or the reason of Ready changed. Progress alone is not reported."""
    previous = getattr(item.status, "state", None), ready_reason(item.status.conditions)
    state, reason = getattr(status, "state", None), ready_reason(status.conditions)
    if previous == (state, reason):
        return
    logger.info("%s: %s: %s", key, f"{state} ({reason})" if state else reason, message)
    kind, warning = RECONCILERS[key.kind].kind, state == "failed"
    namespace = item.meta.namespace or context.policy.operator_namespace
    event = build_event(kind, item.meta, reason or "Seen", message, warning=warning, namespace=namespace)
    try:
        post_event(context.cluster, namespace, event)
    except PgimportError as error:
        logger.debug("%s: the event was not posted: %s", key, error)

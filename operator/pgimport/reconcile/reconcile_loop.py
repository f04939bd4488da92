"""Reconciles one key: observe the object, decide, act, and write the status if it changed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pgimport.decide.conditions import CLEANED_UP, STALLED, is_warning, ready_reason
from pgimport.decide.decision import Action, Decision
from pgimport.decide.failures import (
    FailedAction,
    decide_failed_import,
    decide_failed_preview,
    decide_failed_project,
    decide_failed_schedule,
    show_import_failure,
    show_preview_failure,
    show_project_failure,
    show_schedule_failure,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview, ObservedSchedule
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.schedules import decide_schedule
from pgimport.decide.wake_targets import (
    AllPreviews,
    ClaimedPreviews,
    FirstAboveLimit,
    FirstSlotWaiter,
    NamespaceProjects,
    PendingImports,
    TargetWaiters,
    WakeTarget,
    select_imports,
    select_previews,
    wake_after_removal,
)
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.custom_resources import (
    confirm_unchanged,
    read_import,
    read_preview,
    read_project,
    read_schedule,
    write_status,
)
from pgimport.kubernetes_client.namespaces import post_event
from pgimport.manifest.events import build_event
from pgimport.metrics.state_gauges import find_owners
from pgimport.model.errors import Conflict, Forbidden, NotFound, PgimportError, Refused, ServerUnavailable, Unavailable
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.policy import Policy
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey, ScheduleObject
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import (
    FULLY_IMPORTED,
    ConditionStatus,
    ImportState,
    ImportStatus,
    PreviewStatus,
    find_condition,
)
from pgimport.model.visible_text import show_controls_of_model
from pgimport.reconcile.act_on_imports import act_on_import
from pgimport.reconcile.act_on_previews import act_on_preview
from pgimport.reconcile.act_on_projects import act_on_project
from pgimport.reconcile.act_on_schedules import act_on_schedule
from pgimport.reconcile.observe_imports import observe_import, refresh_other_imports
from pgimport.reconcile.observe_previews import observe_preview
from pgimport.reconcile.observe_projects import ProjectObservation, observe_project
from pgimport.reconcile.observe_schedules import observe_schedule
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.tenant_access import grant_missing_rights
from pgimport.reconcile.webhook_deliveries import leave_deliveries, queue_deliveries, show_deliveries
from pgimport.reconcile.work_queue import ReconcileResult

logger = logging.getLogger(__name__)
REPEATED = 5  # exceptions in a row after which the status shows the error
REPORT_INTERVAL = 10  # exceptions between two writes of the same error
Status = ImportStatus | PreviewStatus | ProjectStatus | ScheduleStatus
Resource = ImportObject | PreviewObject | ProjectObject | ScheduleObject
ObservedT = TypeVar("ObservedT", ObservedImport, ObservedPreview, ProjectObservation, ObservedSchedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler(Generic[ObservedT]):
    """Functions that reconcile the objects of one kind."""

    kind: str  # as in the object's own `kind`
    observe: Callable[[ReconcileContext, ResourceKey, datetime], ObservedT | None]
    decide: Callable[[ObservedT, datetime, Policy], Decision[Any]]
    act: Callable[[ReconcileContext, ObservedT, Action], Failure | None]
    # Replaces the decision when an action fails.
    decide_failed_action: Callable[[ObservedT, FailedAction, datetime, Policy], Decision[Any]]
    # Reads the object alone, to show why it cannot be observed or reconciled.
    read: Callable[[KubernetesClient, ResourceKey], Any]
    show_failure: Callable[[Any, Failure, datetime, Policy], Decision[Any]]
    # Before any action, a write proves that the observed version is the newest: a cached read may be old.
    confirms: bool = True
    # Tells whether the decision takes something that another object of the namespace may take at the same time. It is
    # then decided again, under the namespace's start lock and with the newest lists, which `refresh` adds.
    takes: Callable[[ObservedT, Decision[Any]], bool] = lambda observed, decision: False
    refresh: Callable[[ReconcileContext, ObservedT], ObservedT] = lambda context, observed: observed


def _takes_slot(observed: ObservedImport, decision: Decision[ImportStatus]) -> bool:
    """Tells whether a pending import is about to run. Two imports that see one free slot would both take it."""
    runs = decision.status.state is ImportState.RUNNING
    return runs and observed.object.status.state is not ImportState.RUNNING


RECONCILERS: dict[str, Reconciler[Any]] = {
    IMPORTS: Reconciler(
        kind="PostgresImport",
        observe=observe_import,
        decide=decide_import,
        act=act_on_import,
        decide_failed_action=decide_failed_import,
        read=lambda cluster, key: read_import(cluster, key.namespace, key.name),
        show_failure=show_import_failure,
        takes=_takes_slot,
        refresh=refresh_other_imports,
    ),
    PREVIEWS: Reconciler(
        kind="PreviewDatabase",
        observe=observe_preview,
        decide=decide_preview,
        act=act_on_preview,
        decide_failed_action=decide_failed_preview,
        read=lambda cluster, key: read_preview(cluster, key.namespace, key.name),
        show_failure=show_preview_failure,
    ),
    # Each action of a Project checks by itself what it changes.
    PROJECTS: Reconciler(
        kind="Project",
        observe=observe_project,
        decide=decide_project,
        act=act_on_project,
        decide_failed_action=decide_failed_project,
        read=lambda cluster, key: read_project(cluster, key.name),
        show_failure=show_project_failure,
        confirms=False,
    ),
    SCHEDULES: Reconciler(
        kind="PostgresImportSchedule",
        observe=observe_schedule,
        decide=decide_schedule,
        act=act_on_schedule,
        decide_failed_action=decide_failed_schedule,
        read=lambda cluster, key: read_schedule(cluster, key.namespace, key.name),
        show_failure=show_schedule_failure,
    ),
}


def reconcile(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    """Brings one object one step closer to its spec.

    Raises Conflict, KubernetesUnavailable or StoreUnavailable, and whatever is unexpected. The queue then repeats the
    call later, and calls `report_error`.
    """
    return _reconcile(context, key, RECONCILERS[key.kind])


def _reconcile(context: ReconcileContext, key: ResourceKey, reconciler: Reconciler[ObservedT]) -> ReconcileResult:
    try:
        observed = reconciler.observe(context, key, _now())
        if observed is None:
            return _handle_removal(context, key)
        decision = reconciler.decide(observed, _now(), context.policy)
        if not reconciler.takes(observed, decision):
            return _act_and_write(context, key, reconciler, observed, decision)
        with context.start_lock(key.namespace):
            observed = reconciler.refresh(context, observed)
            decision = reconciler.decide(observed, _now(), context.policy)
            return _act_and_write(context, key, reconciler, observed, decision)
    except (Refused, ServerUnavailable) as error:  # while the object was observed
        logger.warning("%s: %s", key, error)
        return _show_failure(context, key, reconciler, error.failure)
    except Forbidden as error:
        if _grant_rights(context, key.namespace):
            raise Conflict(f"the operator had no rights in namespace {key.namespace} yet") from error
        raise


def _grant_rights(context: ReconcileContext, namespace: str) -> bool:
    """Grants the operator its rights in the namespace of a ready Project. Returns whether it had none.

    Somebody may have deleted the namespace and created it again since the last reconcile of the Project.
    """
    project = find_owners(context.lists.list_projects()).get(namespace)
    if project is None or not project.status.ready:
        return False
    return grant_missing_rights(context, namespace, project.meta.name)


def _handle_removal(context: ReconcileContext, key: ResourceKey) -> ReconcileResult:
    leave_deliveries(context, key)
    return ReconcileResult(wake=_list_keys(context, wake_after_removal(key)))


def report_error(context: ReconcileContext, key: ResourceKey, count: int, error: Exception) -> None:
    """Shows in the status that a reconcile has raised `count` times in a row. Cancel and deadline are obeyed.

    Only the first report and every tenth one are written: each write causes an event, and thus another reconcile.
    """
    if count < REPEATED and isinstance(error, Conflict | Unavailable):
        return  # it often heals by itself, and the next reconcile obeys cancel and deadline
    reconciler = RECONCILERS[key.kind]
    item = reconciler.read(context.cluster, key)
    if item is None:
        return
    failure = Failure(
        Reason.REPEATED_ERROR, f"The operator failed {min(count, REPEATED)} times in a row: {_describe(error)}"
    )
    decision = reconciler.show_failure(item, failure, _now(), context.policy)
    ends = getattr(decision.status, "terminal", False) and not getattr(item.status, "terminal", False)
    if ends or (count >= REPEATED and (count - REPEATED) % REPORT_INTERVAL == 0):
        logger.warning("%s: %s", key, failure.message)
        _write_status(context, key, item, decision)


def _describe(error: Exception) -> str:
    """Returns the text of our own errors, which contain no secrets, and only the type of any other exception."""
    if isinstance(error, PgimportError):
        return str(error)
    return f"{type(error).__name__}. The operator's log has the details."


def _show_failure(
    context: ReconcileContext, key: ResourceKey, reconciler: Reconciler[Any], failure: Failure
) -> ReconcileResult:
    item = reconciler.read(context.cluster, key)
    if item is None:
        return _handle_removal(context, key)
    decision = reconciler.show_failure(item, failure, _now(), context.policy)
    _write_status(context, key, item, decision)
    return ReconcileResult(requeue_after=decision.requeue_after, wake=_list_keys(context, decision.wake))


def _now() -> datetime:
    return datetime.now(UTC)


def _act_and_write(
    context: ReconcileContext,
    key: ResourceKey,
    reconciler: Reconciler[ObservedT],
    observed: ObservedT,
    decision: Decision[Any],
) -> ReconcileResult:
    if decision.actions and reconciler.confirms:
        confirm_unchanged(context.cluster, key, observed.object.meta)
    decision = _act(context, reconciler, observed, decision)
    if decision.event is not None:  # before the write, which may be refused: the next decision has no reason for it
        event = decision.event
        warning = is_warning(event.reason, stalled=False)
        _post(context, reconciler.kind, observed.object, event.reason, event.message, warning=warning)
    _write_status(context, key, observed.object, decision)
    return ReconcileResult(requeue_after=decision.requeue_after, wake=_list_keys(context, decision.wake))


def _act(
    context: ReconcileContext, reconciler: Reconciler[ObservedT], observed: ObservedT, decision: Decision[Any]
) -> Decision[Any]:
    """Runs the actions and returns the decision, or the one that replaces it because an action failed."""
    for action in decision.actions:
        failed = _try(context, reconciler, observed, action)
        if failed is not None:
            return reconciler.decide_failed_action(observed, failed, _now(), context.policy)
    return decision


def _try(
    context: ReconcileContext, reconciler: Reconciler[ObservedT], observed: ObservedT, action: Action
) -> FailedAction | None:
    try:
        failure = reconciler.act(context, observed, action)
    except Refused as refused:
        return FailedAction(action, refused.failure, refused=True)
    except ServerUnavailable as unavailable:
        return FailedAction(action, unavailable.failure, refused=False)
    return FailedAction(action, failure, refused=True) if failure is not None else None


def _list_keys(context: ReconcileContext, targets: tuple[WakeTarget, ...]) -> tuple[ResourceKey, ...]:
    """Lists the keys of the selected objects. An object that the lists lack yet causes an event of its own."""
    keys: list[ResourceKey] = []
    for target in targets:
        match target:
            case ResourceKey():
                keys.append(target)
            case PendingImports() | TargetWaiters() | FirstSlotWaiter():
                imports = select_imports(target, context.lists.list_active_imports(target.namespace))
                keys += [ResourceKey(IMPORTS, target.namespace, item.meta.name) for item in imports]
            case ClaimedPreviews() | AllPreviews() | FirstAboveLimit():
                previews = select_previews(target, context.lists.list_previews(target.namespace))
                keys += [ResourceKey(PREVIEWS, target.namespace, item.meta.name) for item in previews]
            case NamespaceProjects(namespace):
                keys += [
                    ResourceKey(PROJECTS, "", item.meta.name)
                    for item in context.lists.list_projects()
                    if item.spec is not None and item.spec.namespace == namespace
                ]
    return tuple(keys)


def _write_status(context: ReconcileContext, key: ResourceKey, item: Resource, decision: Decision[Any]) -> None:
    """Writes the status if it changed, and then sends what it announces to webhooks."""
    status = show_deliveries(context, key, item, decision.status)
    written = _write_changed_status(context, key, item, replace(decision, status=status))
    queue_deliveries(context, key, item, written)


def _write_changed_status(
    context: ReconcileContext, key: ResourceKey, item: Resource, decision: Decision[Any]
) -> Status:
    """Writes the status if more than `updatedAt` changed, then logs and posts an event. Returns the stored status."""
    unstamped = decision.status.model_copy(update={"updated_at": item.status.updated_at})
    if unstamped == item.status:
        return item.status
    unstamped = show_controls_of_model(unstamped)  # as the stored status has them
    if unstamped == item.status:
        return item.status
    status: Status = unstamped.model_copy(update={"updated_at": _now()})
    try:
        context.lists.remember(key.kind, write_status(context.cluster, key, item.meta, status))
    except NotFound:
        if not item.meta.deleting:  # an object whose finalizer was just removed has no status any more
            raise
    _count_transition(context, item, status)
    _report_transition(context, key, item, status, decision.message)
    _report_refused_objects(context, key, item, status)
    return status


def _report_refused_objects(context: ReconcileContext, key: ResourceKey, item: Resource, status: Status) -> None:
    """Posts a Warning once if a completed import lacks objects: the event about its end is about a success."""
    before, after = (
        find_condition(conditions, FULLY_IMPORTED) for conditions in (item.status.conditions, status.conditions)
    )
    if before is None and after is not None and after.status is ConditionStatus.FALSE:
        _post(context, RECONCILERS[key.kind].kind, item, after.reason, after.message, warning=True)


def _count_transition(context: ReconcileContext, item: Resource, status: Status) -> None:
    """Counts what the written status shows. No other write can show the same step."""
    if not isinstance(item, ImportObject) or not isinstance(status, ImportStatus):
        return

    def find_project() -> str | None:
        owner = find_owners(context.lists.list_projects()).get(item.meta.namespace)
        return owner.meta.name if owner is not None else None

    context.metrics.transitions.record(item, status, find_project, _now())


def _report_transition(
    context: ReconcileContext, key: ResourceKey, item: Resource, status: Status, message: str
) -> None:
    """Logs a line and posts an event if the state or the reason of Ready changed. Progress alone is not reported."""
    state, reason, stalled = _describe_state(status)
    if _describe_state(item.status) == (state, reason, stalled):
        return
    logger.info("%s: %s: %s", key, f"{state} ({reason})" if state else reason, message)
    kind, warning = RECONCILERS[key.kind].kind, is_warning(reason, stalled)
    _post(context, kind, item, reason or "Seen", message, warning=warning)


def _post(context: ReconcileContext, kind: str, item: Resource, reason: str, message: str, *, warning: bool) -> None:
    """Posts an event. A failure is only logged, because an event is no more than a notice."""
    try:
        post_event(context.cluster, build_event(kind, item.meta, reason, message, warning=warning))
    except PgimportError as error:
        logger.debug("%s %s: the event was not posted: %s", kind, item.meta.name, error)


def _describe_state(status: Status) -> tuple[str | None, str | None, bool]:
    """Returns the state, the reason to show, and whether a user must act."""
    not_cleaned_up = find_condition(status.conditions, CLEANED_UP)
    reason = not_cleaned_up.reason if not_cleaned_up is not None else ready_reason(status.conditions)
    stalled = find_condition(status.conditions, STALLED) is not None or not_cleaned_up is not None
    return getattr(status, "state", None), reason, stalled

"""Chooses the other objects to reconcile when one object has changed or is gone.

Only a cluster can list objects, so a decision names them by a selector, and the loop turns selectors into keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pgimport.decide.conditions import ready_reason
from pgimport.model.names import IMPORTS, LABEL_SCHEDULE, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewState, PreviewStatus


@dataclass(frozen=True, slots=True)
class PendingImports:
    """Selects the imports of a namespace that neither run nor have ended, or those of them into one preview."""

    namespace: str
    preview: str | None = None


@dataclass(frozen=True, slots=True)
class TargetWaiters:
    """Selects the imports of a namespace that wait for another import of their target."""

    namespace: str


@dataclass(frozen=True, slots=True)
class FirstSlotWaiter:
    """Selects the oldest import of a namespace that waits for a slot. It wakes the next one when it starts."""

    namespace: str


@dataclass(frozen=True, slots=True)
class ClaimedPreviews:
    """Selects the previews of a namespace that an import has claimed."""

    namespace: str


@dataclass(frozen=True, slots=True)
class AllPreviews:
    """Selects every preview of a namespace."""

    namespace: str


@dataclass(frozen=True, slots=True)
class FirstAboveLimit:
    """Selects the oldest preview of a namespace that limits.maxPreviews keeps from being created."""

    namespace: str


@dataclass(frozen=True, slots=True)
class NamespaceProjects:
    """Selects the Projects whose spec.namespace is this one."""

    namespace: str


ImportSelector = PendingImports | TargetWaiters | FirstSlotWaiter
WakeTarget = ResourceKey | ImportSelector | ClaimedPreviews | AllPreviews | FirstAboveLimit | NamespaceProjects


def select_imports(selector: ImportSelector, active: Sequence[ImportObject]) -> list[ImportObject]:
    """Selects imports from those of the namespace that have not ended."""
    pending = [item for item in active if item.status.state is not ImportState.RUNNING]
    match selector:
        case PendingImports(_, None):
            return pending
        case PendingImports(_, preview):
            return [item for item in pending if _find_target(item) == preview]
        case TargetWaiters():
            return [item for item in pending if _waits_for(item, Reason.WAITING_FOR_TARGET)]
        case FirstSlotWaiter():
            waiters = [item for item in pending if _waits_for(item, Reason.WAITING_FOR_SLOT)]
            return sorted(waiters, key=lambda item: (item.meta.created_at, item.meta.uid))[:1]


def _find_target(item: ImportObject) -> str | None:
    return item.spec.target.preview_database if item.spec is not None and item.spec.target is not None else None


def _waits_for(item: ImportObject, reason: Reason) -> bool:
    return ready_reason(item.status.conditions) == reason


def wake_after_removal(key: ResourceKey) -> tuple[WakeTarget, ...]:
    """Returns what must be reconciled when an object is gone or is being deleted.

    The previews that a deleted import had claimed are free, and the Project drops what the object left on the server.
    """
    if key.kind == PROJECTS:
        return ()
    waiting: tuple[WakeTarget, ...] = (PendingImports(key.namespace, key.name),)
    if key.kind == IMPORTS:
        waiting = TargetWaiters(key.namespace), FirstSlotWaiter(key.namespace)
    elif key.kind == PREVIEWS:
        waiting = *waiting, FirstAboveLimit(key.namespace)
    return (ClaimedPreviews(key.namespace), NamespaceProjects(key.namespace), *waiting)


def wake_after_import(before: ImportObject, after: ImportStatus) -> tuple[WakeTarget, ...]:
    """Returns the preview and the schedule of an import that ends, and the imports that may take its slot or target.

    An import ends in two steps, the terminal state and the clean-up. Each may free the slot or the target. An import
    that a queue or its user stops frees its slot, too. An import that waits for something else than before may let a
    newer one be first.
    """
    namespace, target = before.meta.namespace, _find_target(before)
    cleaned_up = before.status.cleaned_up != after.cleaned_up
    ended = after.terminal and (not before.status.terminal or cleaned_up)
    stopped = before.status.state is ImportState.RUNNING and after.state is ImportState.PENDING
    waits_anew = ready_reason(before.status.conditions) != ready_reason(after.conditions)
    wake: list[WakeTarget] = []
    if ended and target is not None:
        wake.append(ResourceKey(PREVIEWS, namespace, target))
    if ended and (schedule := before.meta.labels.get(LABEL_SCHEDULE)):
        wake.append(ResourceKey(SCHEDULES, namespace, schedule))
    if target is not None and (ended or stopped or (waits_anew and after.state is ImportState.PENDING)):
        wake.append(PendingImports(namespace, target))
    if ended or stopped or (waits_anew and _waits_for(before, Reason.WAITING_FOR_SLOT)):
        wake.append(FirstSlotWaiter(namespace))
    return tuple(wake)


def select_previews(
    target: ClaimedPreviews | AllPreviews | FirstAboveLimit, previews: Sequence[PreviewObject]
) -> list[PreviewObject]:
    """Selects previews from those of the namespace."""
    match target:
        case AllPreviews():
            return list(previews)
        case ClaimedPreviews():
            return [item for item in previews if item.status.active_import is not None]
        case FirstAboveLimit():
            waiters = [item for item in previews if _is_above_limit(item.status) and not item.meta.deleting]
            return sorted(waiters, key=lambda item: (item.meta.created_at, item.meta.uid))[:1]


def _is_above_limit(status: PreviewStatus) -> bool:
    return ready_reason(status.conditions) == Reason.LIMIT_REACHED


def wake_after_preview(before: PreviewObject, after: PreviewStatus) -> tuple[WakeTarget, ...]:
    """Returns the import that has claimed a preview that has changed, or those that may wait for the preview.

    Other previews may wait until a golden one has data, or until one leaves its place within limits.maxPreviews. The
    first of them that gets a place wakes the next one.
    """
    namespace = before.meta.namespace
    if after == before.status:
        return ()
    others: list[WakeTarget] = []
    if before.golden and after.state != before.status.state:
        others.append(AllPreviews(namespace))
    left = after.state in (PreviewState.EXPIRED, PreviewState.DELETING) and after.state != before.status.state
    if left or (_is_above_limit(before.status) and not _is_above_limit(after)):
        others.append(FirstAboveLimit(namespace))
    if after.active_import is None:
        return (*others, PendingImports(namespace, before.meta.name))
    name = after.active_import_name
    return (*others, ResourceKey(IMPORTS, namespace, name)) if name is not None else tuple(others)


def wake_after_project(before: ProjectObject, after: ProjectStatus) -> tuple[WakeTarget, ...]:
    """Returns the previews and the pending imports of a Project that has changed."""
    if before.spec is None or after == before.status:
        return ()
    return AllPreviews(before.spec.namespace), PendingImports(before.spec.namespace)

"""Chooses the other objects to reconcile when one object has changed or is gone.

Only a cluster can list objects, so a decision names them by a selector, and the loop turns selectors into keys.
"""

from dataclasses import dataclass

from pgimport.model.names import PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus


@dataclass(frozen=True, slots=True)
class PendingImports:
    """Selects the imports of a namespace that neither run nor have ended."""

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
class NamespaceProjects:
    """Selects the Projects whose spec.namespace is this one."""

    namespace: str


WakeTarget = ResourceKey | PendingImports | ClaimedPreviews | AllPreviews | NamespaceProjects


def wake_after_removal(key: ResourceKey) -> tuple[WakeTarget, ...]:
    """Returns what must be reconciled when an object is gone or is being deleted.

    The previews that a deleted import had claimed are free, and the Project drops what the object left on the server.
    """
    if key.kind == PROJECTS:
        return ()
    return ClaimedPreviews(key.namespace), NamespaceProjects(key.namespace)


def wake_after_import(before: ImportObject, after: ImportStatus) -> tuple[WakeTarget, ...]:
    """Returns the preview of an import that ends and the imports that may take its slot or target.

    An import ends in two steps, the terminal state and the clean-up. Each may free the slot or the target. An import
    that a queue or its user stops frees its slot, too.
    """
    namespace, target = before.meta.namespace, before.spec.target if before.spec else None
    if before.status.state is ImportState.RUNNING and after.state is ImportState.PENDING:
        return (PendingImports(namespace),)
    cleaned_up = before.status.cleaned_up != after.cleaned_up
    if not after.terminal or (before.status.terminal and not cleaned_up):
        return ()
    preview = (ResourceKey(PREVIEWS, namespace, target.preview_database),) if target else ()
    return (*preview, PendingImports(namespace))


def wake_after_preview(before: PreviewObject, after: PreviewStatus) -> tuple[WakeTarget, ...]:
    """Returns the imports that may wait for a preview that has changed and that no import has claimed."""
    changed = after != before.status
    return (PendingImports(before.meta.namespace),) if changed and after.active_import is None else ()


def wake_after_project(before: ProjectObject, after: ProjectStatus) -> tuple[WakeTarget, ...]:
    """Returns the previews and the pending imports of a Project that has changed."""
    if before.spec is None or after == before.status:
        return ()
    return AllPreviews(before.spec.namespace), PendingImports(before.spec.namespace)

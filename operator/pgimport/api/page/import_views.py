"""What the pages of imports show. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject
from pgimport.model.status import (
    FULLY_IMPORTED,
    Attempt,
    ConditionStatus,
    ImportPhase,
    ImportState,
    PreviewState,
    Progress,
    find_condition,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One import in a list."""

    id: str  # <project>.<name>
    name: str
    project: str
    state: str
    phase: str  # empty unless it runs
    percent: int | None
    rate: int | None  # bytes per second; None: unknown, or nothing was copied yet
    eta_seconds: int | None
    target: str
    reason: str
    created_at: datetime
    loss: int  # objects that the target refused
    checks_failed: bool  # of a dry run, which completes nevertheless


def build_import_row(project: ProjectObject, import_object: ImportObject) -> ImportRow:
    """Builds the row of an import."""
    status, spec = import_object.status, import_object.spec
    state = status.state or ImportState.PENDING
    running = status.progress if state is ImportState.RUNNING else None
    ready = find_condition(status.conditions, "Ready")
    return ImportRow(
        id=f"{project.meta.name}.{import_object.meta.name}",
        name=import_object.meta.name,
        project=project.meta.name,
        state=state.value,
        phase=running.phase.value if running else "",
        percent=running.percent if running else None,
        rate=(running.bytes_per_second or None) if running else None,
        eta_seconds=running.eta_seconds if running else None,
        target=spec.target.preview_database if spec and spec.target else "",
        reason=ready.reason if ready and state is not ImportState.COMPLETED else "",
        created_at=import_object.meta.created_at,
        loss=status.refused or 0,
        checks_failed=state is ImportState.COMPLETED and _is_refused_dry_run(import_object),
    )


def _is_refused_dry_run(item: ImportObject) -> bool:
    preflight = item.status.preflight
    return item.spec is not None and item.spec.dry_run and preflight is not None and not preflight.ok


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of a running import: done, current, or still to come."""

    name: str
    state: str


def list_phases(progress: Progress | None, state: ImportState) -> list[Phase]:
    """Lists all phases in their order."""
    order = list(ImportPhase)
    if state is ImportState.COMPLETED:
        return [Phase(name=phase.value, state="done") for phase in order]
    if progress is None:
        return [Phase(name=phase.value, state="open") for phase in order]
    current = order.index(progress.phase)
    states = ("done", "current" if state is ImportState.RUNNING else "stopped", "open")
    return [
        Phase(name=phase.value, state=states[0 if number < current else 1 if number == current else 2])
        for number, phase in enumerate(order)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportView:
    """One import with all that its page shows."""

    row: ImportRow
    import_object: ImportObject
    phases: list[Phase]
    message: str  # of the condition Ready: why it waits, or what happened
    attempts: list[Attempt]  # newest first
    fully_imported: bool | None
    can_cancel: bool
    can_retry: bool


def build_import_view(project: ProjectObject, import_object: ImportObject) -> ImportView:
    """Builds the page of an import."""
    status, spec = import_object.status, import_object.spec
    state = status.state or ImportState.PENDING
    ready = find_condition(status.conditions, "Ready")
    fully = find_condition(status.conditions, FULLY_IMPORTED)
    ended_badly = state in (ImportState.FAILED, ImportState.CANCELLED)
    return ImportView(
        row=build_import_row(project, import_object),
        import_object=import_object,
        phases=list_phases(status.progress, state)[: 1 if spec is not None and spec.dry_run else None],
        message=ready.message if ready else "",
        attempts=list(reversed(status.attempt_history)),
        fully_imported=None if fully is None else fully.status is ConditionStatus.TRUE,
        can_cancel=not state.terminal and not (spec is not None and spec.cancel),
        can_retry=ended_badly and spec is not None and spec.source.upload_key is None,
    )


def group_targets(previews: Iterable[tuple[ProjectObject, PreviewObject]]) -> dict[str, list[str]]:
    """Returns the names of the previews that an import can fill, sorted, for each Project that has some."""
    targets: dict[str, list[str]] = defaultdict(list)
    for project, preview in previews:
        unusable = preview.meta.deleting or preview.status.state is PreviewState.EXPIRED
        if not unusable and preview.spec is not None:
            targets[project.meta.name].append(preview.meta.name)
    return {project: sorted(targets[project]) for project in sorted(targets)}

"""What a pending import waits for, in the order in which a person would put it right."""

from datetime import datetime

from pgimport.decide.attempts import counted
from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    ClaimTarget,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DropAttempt,
    ReleaseTarget,
)
from pgimport.decide.import_transitions import failed, pending, running
from pgimport.decide.observed import ObservedImport
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject
from pgimport.model.spec import ImportSpec, ProjectSpec
from pgimport.model.status import ImportState, ImportStatus, PreviewState
from pgimport.model.uploads import is_object_key_of


def decide_waiting(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Pending until all it needs is there; then it takes its target and runs."""
    if (refused := _find_refusal(observed, spec)) is not None:
        return failed(observed, status, refused, now)
    waits = (
        _wait_for_user(observed, spec)
        or _wait_for_project(observed, spec)
        or _wait_for_mounts(observed)
        or _wait_for_target(observed, spec)
        or wait_for_slot(observed, spec)
    )
    if waits is not None:
        reason, message = waits
        actions = let_go(observed) if reason is Reason.SUSPENDED else ()
        cleaned = without_job(status) if reason is Reason.SUSPENDED else status
        return pending(observed, cleaned, reason, message, now, policy.waiting_interval, actions)
    begun = status.model_copy(
        update={
            "started_at": now,
            "job": None,
            "shadow": None,
            "progress": None,
            "locked_resource": f"preview/{spec.project}/{spec.target.preview_database}" if spec.target else None,
        }
    )
    claim: tuple[Action, ...] = () if spec.dry_run else (ClaimTarget(),)
    return running(observed, begun, Reason.STARTING, "all it needs is there: its Job is made", now, IMMEDIATELY, claim)


def _find_refusal(observed: ObservedImport, spec: ImportSpec) -> Failure | None:
    project = observed.project
    if project is None or project.spec is None:
        return None
    if project.spec.namespace != observed.object.meta.namespace:
        return Failure(
            Reason.PROJECT_MISMATCH,
            f"spec.project: Project {spec.project} lives in namespace {project.spec.namespace},"
            f" not in {observed.object.meta.namespace}",
        )
    key = spec.source.upload_key
    if key is not None and not is_object_key_of(key, spec.project):
        return Failure(Reason.DUMP_NOT_FOUND, f"spec.source.uploadKey: Project {spec.project} has no such upload")
    return None


Wait = tuple[Reason, str] | None


def _wait_for_user(observed: ObservedImport, spec: ImportSpec) -> Wait:
    return (Reason.SUSPENDED, "held by spec.suspend") if spec.suspend else None


def _wait_for_project(observed: ObservedImport, spec: ImportSpec) -> Wait:
    if observed.project is None:
        return Reason.PROJECT_NOT_FOUND, f"waits for Project {spec.project}, which does not exist"
    if observed.project.spec is None or not observed.project.status.ready:
        return (
            Reason.PROJECT_NOT_READY,
            f"waits for Project {spec.project} to be ready; its conditions say what is wrong",
        )
    return None


def _wait_for_mounts(observed: ObservedImport) -> Wait:
    if observed.missing is None:
        return None
    reason, what = observed.missing
    return reason, f"waits for {what}"


def _wait_for_target(observed: ObservedImport, spec: ImportSpec) -> Wait:
    if spec.dry_run or spec.target is None:
        return None
    name, preview = spec.target.preview_database, observed.preview
    if preview is None:
        return Reason.TARGET_NOT_FOUND, f"waits for PreviewDatabase {name}, which does not exist"
    if preview.meta.deleting or not (preview.status.state is PreviewState.READY or _brings_copy(observed, preview)):
        state = "deleting" if preview.meta.deleting else preview.status.state or "pending"
        return Reason.TARGET_NOT_READY, f"waits for PreviewDatabase {name}, which is {state}"
    if _resets(preview):
        return Reason.TARGET_NOT_READY, f"waits for PreviewDatabase {name}, which is about to be reset"
    holder = preview.status.active_import
    first = _first_in_line(observed, name)
    if (holder is not None and holder != observed.object.meta.uid) or first is not None:
        who = f"import {first}" if first else "another import"
        return Reason.WAITING_FOR_TARGET, f"waits for {who}, which has PreviewDatabase {name}"
    return None


def _brings_copy(observed: ObservedImport, preview: PreviewObject) -> bool:
    """A preview of mode clone is not ready before this import has filled it."""
    status = preview.status
    return status.state is PreviewState.PENDING and status.clone_import == observed.object.meta.name


def _resets(preview: PreviewObject) -> bool:
    asked = preview.spec.reset_at if preview.spec else None
    return asked is not None and (preview.status.reset_at is None or asked > preview.status.reset_at)


def _age(found: ImportObject) -> tuple[datetime, str]:
    return found.meta.created_at, found.meta.uid


def _first_in_line(observed: ObservedImport, target: str) -> str | None:
    """Name of an older import of the same target that is not held by its user; one that runs goes first anyway."""
    rivals = [
        other
        for other in observed.others
        if other.spec is not None
        and not other.spec.dry_run
        and other.spec.target is not None
        and other.spec.target.preview_database == target
        and not other.meta.deleting
        and (
            other.status.state is ImportState.RUNNING
            or (_age(other) < _age(observed.object) and not other.spec.suspend and not other.spec.cancel)
        )
    ]
    return min(rivals, key=_age).meta.name if rivals else None


def wait_for_slot(observed: ObservedImport, spec: ImportSpec) -> Wait:
    """Asked before it runs, and once more when it says that it does: two operators may have observed one free slot.

    Of those that said so, the last one sees all the others. Where all step back, the oldest one comes first again.
    """
    project: ProjectSpec | None = observed.project.spec if observed.project else None
    if spec.dry_run or project is None:
        return None
    limit = project.limits.max_concurrent_imports
    ahead = 0 if observed.object.status.state is ImportState.RUNNING else _ahead_for_slot(observed)
    at_work = _at_work(observed)
    if len(at_work) + ahead < limit:
        return None
    message = f"waits for a free slot: Project {spec.project} runs {limit} imports at once"
    # The oldest alone: the whole list would change, and be written, with each that ends.
    return Reason.WAITING_FOR_SLOT, f"{message}, {min(at_work, key=_age).meta.name} the longest" if at_work else message


def _at_work(observed: ObservedImport) -> list[ImportObject]:
    return [
        other
        for other in observed.others
        if other.status.state is ImportState.RUNNING and not (other.spec and other.spec.dry_run)
    ]


def _ahead_for_slot(observed: ObservedImport) -> int:
    """Older imports that have all they need but a slot."""
    return sum(
        _age(other) < _age(observed.object)
        and other.status.state is ImportState.PENDING
        and ready_reason(other.status.conditions) == Reason.WAITING_FOR_SLOT
        and not other.meta.deleting
        and not (other.spec and (other.spec.suspend or other.spec.cancel))
        for other in observed.others
    )


def let_go(observed: ObservedImport) -> tuple[Action, ...]:
    """What an import had that is pending again: its Job, its Secret, its shadows, its target."""
    actions: list[Action] = [DeleteJob()] if observed.job is not None and observed.job.ours else []
    status = observed.object.status
    begun = [found.pod_uid for found in status.attempt_history if not found.cleaned_up]
    if status.shadow is not None and status.shadow.pod_uid not in begun:
        begun.append(status.shadow.pod_uid)
    actions += [DropAttempt(uid) for uid in begun]
    if status.started_at is not None:
        actions.append(DeleteJobSecret())
    if observed.preview is not None and observed.preview.status.active_import == observed.object.meta.uid:
        actions.append(ReleaseTarget())
    return tuple(actions)


def without_job(status: ImportStatus) -> ImportStatus:
    # A suspension costs no attempt: what it interrupts never happened.
    ended = [found for found in status.attempt_history if found.reason is not None]
    history = [found.model_copy(update={"cleaned_up": True}) for found in ended]
    return status.model_copy(
        update={
            "job": None,
            "shadow": None,
            "progress": None,
            "started_at": None,
            "locked_resource": None,
            "claimed_at": None,
            "claimed_by": None,
            "attempt_history": history,
            "attempts": counted(history),
        }
    )

"""Decides what a pending import waits for, in the order in which a user would fix it."""

from datetime import datetime, timedelta

from pgimport.decide.attempts import count_attempts
from pgimport.decide.conditions import READY, ConditionSet, in_progress, ready_reason
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
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.preview_transitions import describe_state
from pgimport.decide.timeouts import find_pending_overdue, find_waiting_interval, remaining_wait
from pgimport.model.import_spec import ImportSpec
from pgimport.model.policy import Policy
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.queue_labels import find_queue
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject
from pgimport.model.status import ImportState, ImportStatus, PreviewState, find_condition
from pgimport.model.uploads import is_object_key_of

SUSPENDED = in_progress(Reason.SUSPENDED, "spec.suspend holds the import. Set it to false to continue.")
STARTING = in_progress(Reason.STARTING, "Everything the import needs exists. The operator creates its Job.")


def decide_pending(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Keeps the import pending until everything it needs exists. Then it claims its target and runs.

    While it waits, it releases what it may still hold: a claim from before a crash, or a Job from before a short
    suspension.
    """
    if (refusal := _find_refusal(observed, spec)) is not None:
        return failed(status, refusal, now)
    if spec.suspend:
        return pending(without_job(status), SUSPENDED, now, policy.longest_waiting_interval, release_all(observed))
    if (conditions := _find_wait(observed, spec, now)) is not None:
        return _wait(observed, status, spec, conditions, now, policy)
    started = status.model_copy(
        update={
            "started_at": now,
            "job": None,
            "shadow": None,
            "progress": None,
            "locked_resource": f"preview/{spec.project}/{spec.target.preview_database}" if spec.target else None,
        }
    )
    return running(started, STARTING, now, IMMEDIATELY, () if spec.dry_run else (ClaimTarget(),))


def _wait(
    observed: ObservedImport,
    status: ImportStatus,
    spec: ImportSpec,
    conditions: ConditionSet,
    now: datetime,
    policy: Policy,
) -> Decision[ImportStatus]:
    """Keeps the import pending until spec.pendingTimeout is over."""
    obstacle = conditions.message.removesuffix(".")
    if (overdue := find_pending_overdue(status, spec, now, obstacle[:1].lower() + obstacle[1:])) is not None:
        return failed(status, overdue, now)
    waited = now - status.pending_since if status.pending_since is not None else timedelta(0)
    shortest = policy.waiting_interval
    if conditions.reason in (Reason.SOURCE_SECRET_MISSING, Reason.CONFIG_MAP_MISSING):
        # Often created together with the import, but after it. Neither is watched.
        shortest = min(max(policy.shortest_waiting_interval, waited), shortest)
    interval = find_waiting_interval(shortest, waited, policy)
    remaining = remaining_wait(status, spec, now)
    delay = interval if remaining is None else min(interval, remaining)
    return pending(without_job(status), conditions, now, delay, release_all(observed))


def _find_refusal(observed: ObservedImport, spec: ImportSpec) -> Failure | None:
    project = observed.project
    if project is None or project.spec is None:
        return None
    if project.spec.namespace != observed.object.meta.namespace:
        message = (
            f"spec.project: Project {spec.project} uses namespace {project.spec.namespace},"
            f" not {observed.object.meta.namespace}"
        )
        return Failure(Reason.PROJECT_MISMATCH, message)
    key = spec.source.upload_key
    if key is not None and not is_object_key_of(key, spec.project):
        return Failure(Reason.DUMP_NOT_FOUND, f"spec.source.uploadKey: Project {spec.project} has no such upload")
    return None


def _find_wait(observed: ObservedImport, spec: ImportSpec, now: datetime) -> ConditionSet | None:
    """Returns the first thing that the import waits for.

    Checks limits.maxConcurrentImports last, so that an import that waits for something else occupies no slot. An import
    with a queue needs no slot before the queue admits its Job.
    """
    return (
        _wait_for_project(observed, spec)
        or _wait_for_mounts(observed)
        or _wait_for_target(observed, spec, now)
        or (wait_for_slot(observed, spec) if find_own_queue(observed) is None else None)
    )


def find_own_queue(observed: ObservedImport) -> str | None:
    """Returns the queue that is to admit the import's Job, or None."""
    return _find_queue_of(observed.object, observed)


def _find_queue_of(item: ImportObject, observed: ObservedImport) -> str | None:
    project = observed.project.spec if observed.project else None
    return find_queue(item.meta.labels, project.queue_name if project is not None else None)


def _wait_for_project(observed: ObservedImport, spec: ImportSpec) -> ConditionSet | None:
    if observed.project is None:
        message = f"The import waits for Project {spec.project}, which does not exist."
        return in_progress(Reason.PROJECT_NOT_FOUND, message)
    if observed.project.meta.deleting:
        message = f"The import waits for Project {spec.project}, which is being deleted. Delete the import."
        return in_progress(Reason.PROJECT_NOT_READY, message)
    if observed.project.spec is None or not observed.project.status.ready:
        condition = find_condition(observed.project.status.conditions, READY)
        cause = condition.message if condition is not None else "the operator has not checked it yet."
        message = f"The import waits for Project {spec.project}, which is not ready: {cause}"
        return in_progress(Reason.PROJECT_NOT_READY, message)
    return None


def _wait_for_mounts(observed: ObservedImport) -> ConditionSet | None:
    if observed.missing_mount is None:
        return None
    reason, name = observed.missing_mount
    return in_progress(reason, f"The import waits for {name}.")


def _wait_for_target(observed: ObservedImport, spec: ImportSpec, now: datetime) -> ConditionSet | None:
    preview = observed.preview
    if (unready := find_unready_target(observed, spec, now)) is not None or preview is None or spec.dry_run:
        return unready
    name, claimant = preview.meta.name, preview.status.active_import
    first = _find_first_rival(observed, spec, preview)
    if first is not None or claimant not in (None, observed.object.meta.uid):
        rival = f"import {first}" if first else "another import"
        message = f"The import waits for {rival}, which uses PreviewDatabase {name}."
        return in_progress(Reason.WAITING_FOR_TARGET, message)
    return None


def find_unready_target(observed: ObservedImport, spec: ImportSpec, now: datetime) -> ConditionSet | None:
    """Returns a waiting condition if the target cannot be imported into, whoever has claimed it."""
    if spec.dry_run or spec.target is None:
        return None
    name, preview = spec.target.preview_database, observed.preview
    if preview is None:
        message = f"The import waits for PreviewDatabase {name}, which does not exist."
        return in_progress(Reason.TARGET_NOT_FOUND, message)
    if (obstacle := _find_obstacle(observed, preview, now)) is not None:
        message = f"The import waits for PreviewDatabase {name}, which is {obstacle}."
        return in_progress(Reason.TARGET_NOT_READY, message)
    return None


def find_lost_target(observed: ObservedImport, spec: ImportSpec) -> Failure | None:
    """Returns a failure if the target was deleted, or claimed by another import, after this import had claimed it."""
    preview = observed.preview
    name = spec.target.preview_database if spec.target else ""
    if preview is None or preview.meta.deleting:
        activity = "queued" if observed.object.status.queued else "running"
        return Failure(Reason.TARGET_GONE, f"PreviewDatabase {name} was deleted while the import was {activity}")
    if preview.status.active_import not in (None, observed.object.meta.uid):
        return Failure(Reason.TARGET_GONE, f"PreviewDatabase {name} is claimed by another import")
    return None


def _find_obstacle(observed: ObservedImport, preview: PreviewObject, now: datetime) -> str | None:
    """Returns why the preview cannot be imported into, worded to follow "which is"."""
    if preview.meta.deleting:
        return "deleting"
    status = preview.status
    if status.state is not PreviewState.READY and not _fills_clone(observed, preview) and not _awaits_data(preview):
        return describe_state(status)
    if preview.spec is not None and preview.spec.reset_due(status.reset_at, now):
        return "about to be reset"
    if status.expires_at is not None and status.expires_at <= now:
        return "about to expire"
    return None


def _fills_clone(observed: ObservedImport, preview: PreviewObject) -> bool:
    """Tells whether this is the import that fills a preview of mode clone and so makes the preview ready."""
    status = preview.status
    return status.state is PreviewState.PENDING and status.clone_import == observed.object.meta.name


def _awaits_data(preview: PreviewObject) -> bool:
    """Tells whether this is a golden preview with a database that no import has filled yet."""
    return preview.golden and preview.status.state is PreviewState.PENDING and preview.status.database is not None


def _age(item: ImportObject) -> tuple[datetime, str]:
    return item.meta.created_at, item.meta.uid


def _find_first_rival(observed: ObservedImport, spec: ImportSpec, preview: PreviewObject) -> str | None:
    """Returns the name of the import that may use the target first: its holder, or an older import that can start."""
    rivals = [
        other
        for other in observed.other_imports
        if other.spec is not None
        and not other.spec.dry_run
        and other.spec.target is not None
        and other.spec.target.preview_database == preview.meta.name
        and not other.meta.deleting
        and (
            other.status.state is ImportState.RUNNING
            or other.status.queued
            or (
                _age(other) < _age(observed.object)
                and _can_start(other, other.spec, spec)
                and not _fills_clone(observed, preview)  # until this import has, no other one can start
            )
        )
    ]
    return min(rivals, key=_age).meta.name if rivals else None


def _can_start(other: ImportObject, other_spec: ImportSpec, spec: ImportSpec) -> bool:
    """Tells whether another pending import of the same target can start as soon as the import with `spec` can.

    The import with `spec` has its Secrets and ConfigMaps. So an import that waits for a Secret or ConfigMap, and mounts
    no others than these, can start too, although its status does not show it yet. This keeps the order of imports that
    wait for one Secret.
    """
    if other_spec.suspend or other_spec.cancel or other_spec.project != spec.project:
        return False
    reason = ready_reason(other.status.conditions)
    if reason in (Reason.SOURCE_SECRET_MISSING, Reason.CONFIG_MAP_MISSING):
        return all(mount in spec.mounts for mount in other_spec.mounts)
    return reason != Reason.REPEATED_ERROR


def wait_for_slot(observed: ObservedImport, spec: ImportSpec) -> ConditionSet | None:
    """Returns a waiting condition if as many imports run as limits.maxConcurrentImports allows.

    The limit is checked before an import runs, and again before its Job is created, because two operators may have
    used the same free slot. The import whose status was written last then observes the others and becomes pending
    again. If all of them become pending again, the oldest runs first.
    """
    project: ProjectSpec | None = observed.project.spec if observed.project else None
    if spec.dry_run or project is None:
        return None
    limit = project.limits.max_concurrent_imports
    starting = observed.object.status.state is ImportState.RUNNING
    running_imports = _find_running(observed)
    if len(running_imports) + (0 if starting else _count_older_waiting(observed)) < limit:
        return None
    message = f"The import waits for a free slot. Project {spec.project} runs at most {limit} imports at once"
    # The message names only the oldest import. A list of all would change the status whenever one of them ends.
    oldest = f"; {min(running_imports, key=_age).meta.name} has run the longest." if running_imports else "."
    return in_progress(Reason.WAITING_FOR_SLOT, message + oldest)


def _find_running(observed: ObservedImport) -> list[ImportObject]:
    """Returns the other imports that hold a slot. An import that creates its Job for a queue does not hold one yet."""
    return [
        other
        for other in observed.other_imports
        if other.status.state is ImportState.RUNNING
        and not (other.spec and other.spec.dry_run)
        and (other.status.job is not None or _find_queue_of(other, observed) is None)
    ]


def _count_older_waiting(observed: ObservedImport) -> int:
    """Counts the older imports that need only a slot."""
    return sum(
        _age(other) < _age(observed.object)
        and other.status.state is ImportState.PENDING
        and ready_reason(other.status.conditions) == Reason.WAITING_FOR_SLOT
        and not other.meta.deleting
        and not (other.spec and (other.spec.suspend or other.spec.cancel))
        for other in observed.other_imports
    )


def release_all(observed: ObservedImport) -> tuple[Action, ...]:
    """Returns the actions for an import that becomes pending again: they release Job, Secret, shadows and target."""
    status = observed.object.status
    actions: list[Action] = [DeleteJob()] if observed.job is not None and observed.job.ours else []
    pod_uids = [attempt.pod_uid for attempt in status.attempt_history if not attempt.cleaned_up]
    if status.shadow is not None and status.shadow.pod_uid not in pod_uids:
        pod_uids.append(status.shadow.pod_uid)
    actions += [DropAttempt(uid) for uid in pod_uids]
    if status.started_at is not None or status.job is not None:
        actions.append(DeleteJobSecret())
    if observed.preview is not None and observed.preview.status.active_import == observed.object.meta.uid:
        actions.append(ReleaseTarget())
    return tuple(actions)


def without_job(status: ImportStatus) -> ImportStatus:
    """Returns the status of an import that is pending again. An attempt that was interrupted does not count."""
    ended = [attempt for attempt in status.attempt_history if attempt.reason is not None]
    history = [attempt.model_copy(update={"cleaned_up": True}) for attempt in ended]
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
            "attempts": count_attempts(history),
        }
    )

"""Decides what happens to a PreviewDatabase: pending → ready → expired, and deleted with its database.

A preview of mode clone stays pending until its own import has filled it, and fails if that import fails. A reset and
an expiry wait for the import that has claimed the preview. A deletion makes that import fail, and then continues.
"""

from dataclasses import replace
from datetime import datetime

from pgimport.decide.conditions import READY, ConditionSet, in_progress, ready, stalled
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    ClaimServer,
    CreateCloneImport,
    Decision,
    DropPreview,
    EnsurePreview,
    Event,
    SetFinalizer,
    build_decision,
)
from pgimport.decide.golden_previews import decide_golden_preview
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.preview_copies import decide_copy, find_copy_source
from pgimport.decide.preview_transitions import (
    LONGEST_INTERVAL,
    delay_reset,
    find_interval,
    in_state,
    in_waiting_state,
    refuse_future_dates,
)
from pgimport.decide.wake_targets import wake_after_preview
from pgimport.model.names import (
    FINALIZER_PREVIEW,
    clone_name,
)
from pgimport.model.policy import Policy
from pgimport.model.preview_spec import PreviewMode, PreviewSpec
from pgimport.model.reasons import Failure, Reason
from pgimport.model.request_dates import is_future
from pgimport.model.resources import PreviewObject, ProjectObject
from pgimport.model.scalar_types import format_time
from pgimport.model.status import ImportState, PreviewState, PreviewStatus, find_condition

DATABASE_READY = ready(Reason.READY, "The database is ready.")
EXPIRED = stalled(
    Reason.EXPIRED,
    "The ttl is over and the database was dropped. Set spec.renewedAt to get a new one: empty or, with mode clone, a"
    " new copy.",
)


def decide_preview(observed: ObservedPreview, now: datetime, policy: Policy) -> Decision[PreviewStatus]:
    """Decides the whole next status of the preview and what to do. Never raises for a valid observation."""
    decision = _decide(observed, now, policy)
    return replace(decision, wake=wake_after_preview(observed.object, decision.status))


def _decide(observed: ObservedPreview, now: datetime, policy: Policy) -> Decision[PreviewStatus]:
    item = observed.object
    status = item.status.model_copy(update={"observed_generation": item.meta.generation})
    if status.active_import is not None and not observed.active_import_exists:
        status = status.model_copy(update={"active_import": None, "active_import_name": None})
    if item.meta.deleting:
        return _decide_deletion(observed, status, now, policy)
    if (refusal := _find_refusal(observed, now)) is not None:
        conditions = stalled(refusal.reason, refusal.format_with_hint())
        return build_decision(in_state(status, PreviewState.FAILED), conditions, now, LONGEST_INTERVAL)
    assert item.spec is not None  # noqa: S101 (_find_refusal has refused a spec that cannot be read)
    if (wait := _wait_for_project(observed, item.spec)) is not None:
        return build_decision(in_waiting_state(status), wait, now, policy.waiting_interval)
    if FINALIZER_PREVIEW not in item.meta.finalizers:
        conditions = in_progress(Reason.PENDING, "The operator creates the database.")
        return build_decision(in_state(status, status.state), conditions, now, IMMEDIATELY, (SetFinalizer(True),))
    return _decide_lifecycle(observed, item.spec, status, now, policy)


def _find_refusal(observed: ObservedPreview, now: datetime) -> Failure | None:
    item, spec, project = observed.object, observed.object.spec, observed.project
    if spec is None:
        return Failure(Reason.INVALID_SPEC, item.spec_error or "spec: cannot be read")
    if project is None or project.spec is None:
        return None
    if project.spec.namespace != item.meta.namespace:
        location = f"uses namespace {project.spec.namespace}, not {item.meta.namespace}"
        return Failure(Reason.PROJECT_MISMATCH, f"spec.project: Project {spec.project} {location}")
    limit = project.spec.limits.max_previews
    # A preview keeps its place while it is reset, also if the limit is lower by now.
    needs_place = item.status.database is None and not is_expired(item, now)
    if limit is not None and observed.position > limit and needs_place:
        allowed = "1 preview" if limit == 1 else f"{limit} previews"
        return Failure(Reason.LIMIT_REACHED, f"Project {spec.project} may have {allowed} (limits.maxPreviews)")
    return None


def _wait_for_project(observed: ObservedPreview, spec: PreviewSpec) -> ConditionSet | None:
    if observed.project is None:
        message = f"The preview waits for Project {spec.project}, which does not exist."
        return in_progress(Reason.PROJECT_NOT_FOUND, message)
    if observed.project.meta.deleting and FINALIZER_PREVIEW not in observed.object.meta.finalizers:
        message = f"The preview waits for Project {spec.project}, which is being deleted. Delete the preview."
        return in_progress(Reason.PROJECT_NOT_READY, message)
    if observed.project.spec is None or not observed.project.status.ready:
        message = (
            f"The preview waits for Project {spec.project}, which is not ready: {_describe_project(observed.project)}"
        )
        return in_progress(Reason.PROJECT_NOT_READY, message)
    return None


def _describe_project(project: ProjectObject) -> str:
    """Returns what the Project's condition Ready says, such as that its server cannot be reached."""
    condition = find_condition(project.status.conditions, READY)
    return condition.message if condition is not None else "the operator has not checked it yet."


def _decide_lifecycle(
    observed: ObservedPreview, spec: PreviewSpec, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Decides about a preview whose Project is ready: expiry, reset, or creation."""
    if spec.golden:
        return decide_golden_preview(observed, spec, status, now, policy)
    expires_at = _expires_at(observed.object, spec, now)
    status = status.model_copy(update={"renewed_at": _find_renewal(spec, status, now), "expires_at": expires_at})
    claimed, previous_claim = status.active_import is not None, observed.object.status.active_import
    if now >= expires_at:
        return _decide_expiry(observed, spec, status, now, policy)
    reset_due = spec.reset_due(status.reset_at, now)
    # An import that was deleted during its swap may have left the database without ALLOW_CONNECTIONS.
    abandoned = previous_claim is not None and not claimed
    if status.state is PreviewState.READY and observed.database_oid == 0 and not reset_due:
        return _decide_lost_database(observed.object, spec, status, now)
    if status.state is PreviewState.READY and observed.secret_exists and not reset_due and not abandoned:
        conditions = refuse_future_dates(spec, now) or _describe_ready(status)
        interval = min(expires_at - now, find_interval(spec, now))
        return build_decision(in_state(status, PreviewState.READY), conditions, now, interval)
    if reset_due and claimed:
        return delay_reset(status, now, policy)
    item = observed.object
    created = status.model_copy(
        update={
            "database": item.database,
            "role": item.role,
            "connection_secret": item.connection_secret,
            # A new database is empty, so a reset that was requested earlier is done too.
            "reset_at": spec.reset_at if reset_due else status.reset_at,
            "database_lost_at": None if reset_due else status.database_lost_at,
        }
    )
    ensure = _ensure_preview(observed, recreate=reset_due and status.database is not None)
    if ensure.recreate or status.state is PreviewState.EXPIRED:
        created = created.model_copy(update={"data_as_of": None})
    if spec.mode is PreviewMode.CLONE and (ensure.recreate or status.state is not PreviewState.READY):
        source = find_copy_source(spec, observed.project.spec if observed.project else None)
        # The import of an earlier spec.primary ends first.
        in_import = observed.clone is not None and status.state is PreviewState.PENDING and not ensure.recreate
        if source is not None and not in_import:
            anew = ensure.recreate or status.state is PreviewState.EXPIRED
            return decide_copy(observed, source, created, now, policy, anew=anew)
        decision = _decide_clone(observed, created, ensure, now, policy)
    else:
        decision = build_decision(
            in_state(created, PreviewState.READY), _describe_ready(created), now, IMMEDIATELY, (ClaimServer(), ensure)
        )
    replaced = status.connection_secret is not None and not observed.secret_exists and ensure in decision.actions
    return replace(decision, event=_announce_secret(item)) if replaced else decision


def _decide_lost_database(
    item: PreviewObject, spec: PreviewSpec, status: PreviewStatus, now: datetime
) -> Decision[PreviewStatus]:
    """Shows that the database is gone. The next reconcile creates it, or begins a new copy of the primary database."""
    again = "empty. To get the content back, import it again."
    if spec.mode is PreviewMode.CLONE:
        source = spec.copy_from
        named = f"PreviewDatabase {source.preview_database}" if source is not None else "the primary database"
        again = f"with a new copy of {named}."
    message = (
        f"Database {item.database} no longer exists on the target server, and its content is lost."
        f" The operator creates it again, {again}"
    )
    lost = status.model_copy(update={"database_lost_at": now, "data_as_of": None, "clone_import": None})
    return build_decision(
        in_state(lost, PreviewState.PENDING), in_progress(Reason.DATABASE_GONE, message), now, IMMEDIATELY
    )


def _describe_ready(status: PreviewStatus) -> ConditionSet:
    if status.database_lost_at is None:
        return DATABASE_READY
    message = (
        "The database is ready. The operator created it again, because it was gone from the target server at"
        f" {format_time(status.database_lost_at)}. Its earlier content is lost."
    )
    return ready(Reason.READY, message)


def _announce_secret(item: PreviewObject) -> Event:
    message = (
        f"Secret {item.connection_secret} was missing or incomplete. The operator created it again with a new password."
        " Restart what has read the old one."
    )
    return Event(Reason.CONNECTION_REPLACED, message)


def _ensure_preview(observed: ObservedPreview, recreate: bool) -> EnsurePreview:
    return EnsurePreview(recreate, observed.database_oid if recreate else None)


def _find_renewal(spec: PreviewSpec, status: PreviewStatus, now: datetime) -> datetime | None:
    """Returns the date from which the ttl counts, or None if it counts from the creation of the object."""
    if spec.renewed_at is not None and is_future(spec.renewed_at, now):
        return status.renewed_at
    return spec.renewed_at


def _expires_at(item: PreviewObject, spec: PreviewSpec, now: datetime) -> datetime:
    return (_find_renewal(spec, item.status, now) or item.meta.created_at) + spec.ttl


def loses_database(item: PreviewObject, now: datetime) -> bool:
    """Tells whether a reset or an expiry is due.

    The OID of the database must be known then, so that a newer database is never dropped in its place.
    """
    spec, status = item.spec, item.status
    if spec is None or item.meta.deleting or status.database is None:
        return False
    expires = not spec.golden and now >= _expires_at(item, spec, now) and status.state is not PreviewState.EXPIRED
    return expires or spec.reset_due(status.reset_at, now)


def is_expired(item: PreviewObject, now: datetime) -> bool:
    """Tells whether the database was dropped and no newer spec.renewedAt asks for another one."""
    if item.status.state is not PreviewState.EXPIRED:
        return False
    return item.spec is None or now >= _expires_at(item, item.spec, now)


def _decide_clone(
    observed: ObservedPreview, created: PreviewStatus, ensure: EnsurePreview, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Decides about a clone that is not filled yet. Each reset and each expiry needs a new import to fill it."""
    name, meta, clone = created.clone_import, observed.object.meta, observed.clone
    if observed.project is None or observed.project.spec is None or observed.project.spec.primary is None:
        message = "A preview with mode clone waits for spec.primary of its Project, which names the database to copy."
        unchanged = observed.object.status.model_copy(update={"observed_generation": meta.generation})
        conditions = in_progress(Reason.PRIMARY_MISSING, message)
        return build_decision(in_waiting_state(unchanged), conditions, now, policy.waiting_interval)
    if name is None or ensure.recreate or created.state is PreviewState.EXPIRED:
        number = (created.clones or 0) + 1
        name = clone_name(meta.name, meta.uid, number)
        created = created.model_copy(update={"clone_import": name, "clones": number})
    elif clone is not None and clone.status.terminal:
        if clone.status.state is ImportState.COMPLETED:
            filled = ready(Reason.READY, f"Import {name} has copied the primary database.")
            created = created.model_copy(update={"database_lost_at": None})
            return build_decision(in_state(created, PreviewState.READY), filled, now, IMMEDIATELY)
        message = f"Import {name} {clone.status.state}: {clone.status.error}. Set spec.resetAt to begin a new one."
        return build_decision(
            in_state(created, PreviewState.FAILED), stalled(Reason.CLONE_FAILED, message), now, LONGEST_INTERVAL
        )
    at_work = clone is not None and not ensure.recreate and observed.secret_exists
    conditions = in_progress(Reason.CLONING, f"Import {name} copies the Project's primary database.")
    actions = () if at_work else (ClaimServer(), ensure, CreateCloneImport(name))
    return build_decision(in_state(created, PreviewState.PENDING), conditions, now, policy.waiting_interval, actions)


def _decide_expiry(
    observed: ObservedPreview, spec: PreviewSpec, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    if status.state is PreviewState.EXPIRED:
        conditions = refuse_future_dates(spec, now) or EXPIRED
        return build_decision(in_state(status, PreviewState.EXPIRED), conditions, now, find_interval(spec, now))
    if status.active_import is not None:
        message = f"The ttl is over. The expiry waits for import {status.active_import_name}, which uses the preview."
        return build_decision(
            in_state(status, status.state), in_progress(Reason.PENDING, message), now, policy.waiting_interval
        )
    gone = dict.fromkeys(("database", "role", "data_as_of", "clone_import", "database_lost_at"))
    drop, expired = DropPreview(observed.database_oid), status.model_copy(update=gone)
    return build_decision(in_state(expired, PreviewState.EXPIRED), EXPIRED, now, LONGEST_INTERVAL, (drop,))


def _decide_deletion(
    observed: ObservedPreview, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    if FINALIZER_PREVIEW not in observed.object.meta.finalizers:
        message = "The preview is being deleted and has no database."
        return Decision(status=observed.object.status, message=message)
    if status.active_import is not None:
        message = f"The preview is being deleted. Import {status.active_import_name} has claimed it, and ends first."
        conditions = in_progress(Reason.DELETING, message)
        return build_decision(in_state(status, PreviewState.DELETING), conditions, now, policy.retry_interval)
    drop: tuple[Action, ...] = (DropPreview(),) if observed.project is not None else ()
    return Decision(
        status=observed.object.status,  # without its finalizer the object is gone, so no status is written
        actions=(*drop, SetFinalizer(False)),
        message="The preview is being deleted. The operator drops its database and role.",
    )

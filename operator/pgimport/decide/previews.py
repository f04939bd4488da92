"""The life of a PreviewDatabase: pending → ready → expired, and away with its database when it is deleted.

One of mode clone is pending until an import of its own has brought the copy, and failed where that one failed.
Reset and expiry wait for an import that holds the preview; a deletion ends it first (the import sees it and fails).
"""

from datetime import datetime, timedelta

from pgimport.decide.conditions import DesiredConditions, build_conditions, done, stuck, working
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    CreateCloneImport,
    Decision,
    DropPreview,
    EnsurePreview,
    SetFinalizer,
)
from pgimport.decide.observed import ObservedPreview
from pgimport.model.names import (
    FINALIZER_PREVIEW,
    clone_name,
    connection_secret_name,
    owner_role_name,
    preview_database_name,
)
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.spec import PreviewMode, PreviewSpec
from pgimport.model.status import ImportState, PreviewState, PreviewStatus

FAR = timedelta(hours=1)


def decide_preview(observed: ObservedPreview, now: datetime, policy: Policy) -> Decision[PreviewStatus]:
    """Never raises; the whole wanted status of the preview, and what is to be done."""
    found = observed.object
    status = found.status.model_copy(update={"observed_generation": found.meta.generation})
    if status.active_import is not None and not observed.holder_alive:
        status = status.model_copy(update={"active_import": None, "active_import_name": None})
    if found.meta.deleting:
        return _decide_deletion(observed, status, now, policy)
    if (refused := _find_refusal(observed)) is not None:
        return _show(observed, status, PreviewState.FAILED, stuck(refused.reason), refused.format_with_hint(), now, FAR)
    assert found.spec is not None  # noqa: S101 (a spec that cannot be read was refused)
    if observed.project is None or not observed.project.status.ready:
        missing = observed.project is None
        reason = Reason.PROJECT_NOT_FOUND if missing else Reason.PROJECT_NOT_READY
        state = status.state if status.state in (PreviewState.READY, PreviewState.EXPIRED) else PreviewState.PENDING
        message = f"waits for Project {found.spec.project}, which {'does not exist' if missing else 'is not ready'}"
        return _show(observed, status, state, working(reason), message, now, policy.waiting_interval)
    if FINALIZER_PREVIEW not in found.meta.finalizers:
        return _show(
            observed,
            status,
            status.state or PreviewState.PENDING,
            working(Reason.PENDING),
            "its database is made",
            now,
            IMMEDIATELY,
            (SetFinalizer(True),),
        )
    return _decide_life(observed, found.spec, status, now, policy)


def _find_refusal(observed: ObservedPreview) -> Failure | None:
    found, spec, project = observed.object, observed.object.spec, observed.project
    if spec is None:
        return Failure(Reason.INVALID_SPEC, found.spec_error or "spec: cannot be read")
    if project is None or project.spec is None:
        return None
    if project.spec.namespace != found.meta.namespace:
        where = f"lives in namespace {project.spec.namespace}, not in {found.meta.namespace}"
        return Failure(Reason.PROJECT_MISMATCH, f"spec.project: Project {spec.project} {where}")
    limit = project.spec.limits.max_previews
    if limit is not None and observed.count > limit and found.status.state is not PreviewState.READY:
        return Failure(Reason.LIMIT_REACHED, f"Project {spec.project} may have {limit} previews (limits.maxPreviews)")
    return None


def _decide_life(
    observed: ObservedPreview, spec: PreviewSpec, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    expires = _expires_at(observed.object, spec)
    status = status.model_copy(update={"expires_at": expires})
    held, held_before = status.active_import is not None, observed.object.status.active_import
    if now >= expires:
        return _decide_expiry(observed, status, now, policy, held)
    resets = _resets(spec, status)
    # An import that is gone with its swap half done leaves the database shut.
    abandoned = held_before is not None and not held
    if status.state is PreviewState.READY and observed.secret and not resets and not abandoned:
        return _show(
            observed, status, PreviewState.READY, done(Reason.READY), "its database is ready", now, expires - now
        )
    if resets and held:
        message = "spec.resetAt waits for the import that holds it"
        return _show(observed, status, status.state, working(Reason.PENDING), message, now, policy.waiting_interval)
    made = status.model_copy(
        update={
            "database": status.database or database_of(observed),
            "role": status.role or owner_role_name(database_of(observed)),
            "connection_secret": connection_secret_name(observed.object.meta.name),
            # A first making is empty already: it carries out a reset that was asked before.
            "reset_at": spec.reset_at or status.reset_at,
        }
    )
    anew = resets and status.database is not None
    if spec.mode is PreviewMode.CLONE and (anew or status.state is not PreviewState.READY):
        return _decide_clone(observed, made, anew, now, policy)
    return _show(
        observed,
        made,
        PreviewState.READY,
        done(Reason.READY),
        "its database is ready",
        now,
        IMMEDIATELY,
        (EnsurePreview(anew, observed.database_oid if anew else None),),
    )


def _expires_at(found: PreviewObject, spec: PreviewSpec) -> datetime:
    return (spec.renewed_at or found.meta.created_at) + spec.ttl


def _resets(spec: PreviewSpec, status: PreviewStatus) -> bool:
    return spec.reset_at is not None and (status.reset_at is None or spec.reset_at > status.reset_at)


def loses_database(found: PreviewObject, now: datetime) -> bool:
    """A reset or its expiry may be due: what is there now must be known, so that nothing newer is taken for it."""
    spec, status = found.spec, found.status
    if spec is None or found.meta.deleting or status.database is None:
        return False
    over = now >= _expires_at(found, spec) and status.state is not PreviewState.EXPIRED
    return over or _resets(spec, status)


def _decide_clone(
    observed: ObservedPreview, made: PreviewStatus, anew: bool, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Not ready yet: an import brings the copy, a new one after each reset and each expiry."""
    name, meta = made.clone_import, observed.object.meta
    if observed.project is None or observed.project.spec is None or observed.project.spec.primary is None:
        message = "waits for its Project's spec.primary: the database that a clone is a copy of"
        begun = observed.object.status.model_copy(update={"observed_generation": meta.generation})
        missing = working(Reason.PRIMARY_MISSING)
        return _show(observed, begun, begun.state, missing, message, now, policy.waiting_interval)
    if name is None or anew or made.state is PreviewState.EXPIRED:
        number = (made.clones or 0) + 1
        name = clone_name(meta.name, meta.uid, number)
        made = made.model_copy(update={"clone_import": name, "clones": number})
    elif observed.clone is not None and observed.clone.status.terminal:
        if observed.clone.status.state is ImportState.COMPLETED:
            message = f"import {name} has brought the copy"
            return _show(observed, made, PreviewState.READY, done(Reason.READY), message, now, IMMEDIATELY)
        message = (
            f"import {name} {observed.clone.status.state}: {observed.clone.status.error}; spec.resetAt begins a new one"
        )
        return _show(observed, made, PreviewState.FAILED, stuck(Reason.CLONE_FAILED), message, now, FAR)
    return _show(
        observed,
        made,
        PreviewState.PENDING,
        working(Reason.CLONING),
        f"import {name} brings a copy of the project's primary database",
        now,
        policy.waiting_interval,
        ()
        if observed.clone is not None and not anew and observed.secret
        else (EnsurePreview(anew, observed.database_oid if anew else None), CreateCloneImport(name)),
    )


def database_of(observed: ObservedPreview) -> str:
    """Its name, the same from the first look to the last."""
    found = observed.object
    return preview_database_name(found.spec.project if found.spec else "", found.meta.name, found.meta.uid)


def _decide_expiry(
    observed: ObservedPreview, status: PreviewStatus, now: datetime, policy: Policy, held: bool
) -> Decision[PreviewStatus]:
    if status.state is PreviewState.EXPIRED:
        return _show(observed, status, PreviewState.EXPIRED, stuck(Reason.EXPIRED), _EXPIRED, now, FAR)
    if held:
        message = "its ttl is over; it waits for the import that holds it"
        return _show(observed, status, status.state, working(Reason.PENDING), message, now, policy.waiting_interval)
    return _show(
        observed,
        status,
        PreviewState.EXPIRED,
        stuck(Reason.EXPIRED),
        _EXPIRED,
        now,
        FAR,
        (DropPreview(observed.database_oid),),
    )


_EXPIRED = "its ttl is over and its database was dropped; spec.renewedAt brings a new one"


def _decide_deletion(
    observed: ObservedPreview, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    if FINALIZER_PREVIEW not in observed.object.meta.finalizers:
        return Decision(status=observed.object.status, message="it is being deleted; nothing of ours is left")
    if status.active_import is not None:
        message = "it is being deleted; the import that holds it ends first"
        return _show(
            observed, status, PreviewState.DELETING, working(Reason.DELETING), message, now, policy.retry_interval
        )
    drop: tuple[Action, ...] = (DropPreview(),) if observed.project is not None else ()
    return Decision(
        # The object is gone once its finalizer is: there is no status to write any more.
        status=observed.object.status,
        actions=(*drop, SetFinalizer(False)),
        message="it is being deleted: its database and role are dropped",
    )


def _show(
    observed: ObservedPreview,
    status: PreviewStatus,
    state: PreviewState | None,
    wanted: DesiredConditions,
    message: str,
    now: datetime,
    again: timedelta,
    actions: tuple[Action, ...] = (),
) -> Decision[PreviewStatus]:
    found = build_conditions(observed.object.status.conditions, wanted, message, observed.object.meta.generation, now)
    shown = status.model_copy(update={"state": state or PreviewState.PENDING, "conditions": found})
    return Decision(status=shown, actions=actions, requeue_after=min(again, FAR), message=message)

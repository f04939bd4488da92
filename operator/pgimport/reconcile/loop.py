"""One look at one key: see, decide, act, and write the status if it changed."""

import logging
from datetime import UTC, datetime
from typing import TypeVar

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import Decision
from pgimport.decide.imports import decide_away, decide_failure, decide_import
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.seen import SeenImport
from pgimport.kubernetes_client.custom_resources import (
    confirm,
    list_previews,
    list_projects,
    list_waiting_imports,
    write_status,
)
from pgimport.kubernetes_client.namespaces import post_event
from pgimport.manifest.objects import build_event
from pgimport.model.base import Written
from pgimport.model.errors import Absent, PgimportError, ServerAway
from pgimport.model.facts import ImportObject, Key, Meta
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus
from pgimport.reconcile.act import act_on_import
from pgimport.reconcile.act_tenants import act_on_preview, act_on_project
from pgimport.reconcile.queue import Outcome
from pgimport.reconcile.see import see_import
from pgimport.reconcile.see_tenants import see_preview, see_project
from pgimport.reconcile.world import World

logger = logging.getLogger(__name__)
StatusT = TypeVar("StatusT", ImportStatus, PreviewStatus, ProjectStatus)
KINDS = {IMPORTS: "PostgresImport", PREVIEWS: "PreviewDatabase", PROJECTS: "Project"}
FAILING_STATES = ("failed",)


def reconcile(world: World, key: Key) -> Outcome:
    """Raises Conflict, ClusterAway and what nobody expected: the queue looks again later."""
    match key.kind:
        case "postgresimports":
            return _reconcile_import(world, key)
        case "previewdatabases":
            return _reconcile_preview(world, key)
        case _:
            return _reconcile_project(world, key)


def _now() -> datetime:
    return datetime.now(UTC)


def _reconcile_import(world: World, key: Key) -> Outcome:
    seen = see_import(world, key, _now())
    if seen is None or seen.object.meta.deleting:
        return Outcome(also=_neighbours(world, key.namespace))
    if seen.object.status.terminal or seen.object.status.state is ImportState.RUNNING:
        return _carry_out_import(world, key, seen)
    # Two imports that see one free slot would both take it: one of a namespace starts at a time, on a fresh look.
    with world.start_lock(key.namespace):
        fresh = see_import(world, key, _now())
        return Outcome() if fresh is None else _carry_out_import(world, key, fresh)


def _carry_out_import(world: World, key: Key, seen: SeenImport) -> Outcome:
    decision = decide_import(seen, _now(), world.policy)
    _confirm(world, key, seen.object.meta, decision)
    try:
        for action in decision.actions:
            if (failure := act_on_import(world, seen, action)) is not None:
                decision = decide_failure(seen, failure, _now())
                break
    except ServerAway as away:
        decision = decide_away(seen, away.failure, _now(), world.policy)
    before = seen.object.status
    _write(world, key, seen.object.meta, before, decision)
    ended = decision.status.terminal and (not before.terminal or before.cleaned_up != decision.status.cleaned_up)
    also = (*_filled(seen.object), *_waiting(world, key.namespace)) if ended else ()
    return Outcome(look_again_after=decision.look_again_after, also=also)


def _filled(found: ImportObject) -> tuple[Key, ...]:
    """A preview of mode clone is ready when its import has ended."""
    target = found.spec.target if found.spec else None
    return (Key(PREVIEWS, found.meta.namespace, target.preview_database),) if target else ()


def _waiting(world: World, namespace: str) -> tuple[Key, ...]:
    """Imports that may take what has just become free."""
    return tuple(Key(IMPORTS, namespace, one.meta.name) for one in list_waiting_imports(world.cluster, namespace))


def _neighbours(world: World, namespace: str) -> tuple[Key, ...]:
    """Whom a deleted import leaves something to: its project sweeps, the previews that it held are free."""
    projects = [one for one in list_projects(world.cluster) if one.spec and one.spec.namespace == namespace]
    held = [one for one in list_previews(world.cluster, namespace) if one.status.active_import is not None]
    return (
        *(Key(PREVIEWS, namespace, one.meta.name) for one in held),
        *(Key(PROJECTS, "", one.meta.name) for one in projects),
    )


def _reconcile_preview(world: World, key: Key) -> Outcome:
    try:
        seen = see_preview(world, key, _now())
        if seen is None:
            return Outcome(also=_neighbours(world, key.namespace))
        decision = decide_preview(seen, _now(), world.policy)
        _confirm(world, key, seen.object.meta, decision)
        for action in decision.actions:
            act_on_preview(world, seen, decision.status, action)
    except ServerAway as away:
        logger.warning("%s: %s", key, away)
        return Outcome(look_again_after=world.policy.retry_interval)
    changed = _write(world, key, seen.object.meta, seen.object.status, decision, finalized=seen.object.meta.deleting)
    free = decision.status.active_import is None
    also = _waiting(world, key.namespace) if changed and free else ()
    return Outcome(look_again_after=decision.look_again_after, also=also)


def _reconcile_project(world: World, key: Key) -> Outcome:
    found = see_project(world, key)
    if found is None:
        return Outcome()
    seen, leftovers = found
    decision = decide_project(seen, _now(), world.policy)
    try:
        for action in decision.actions:
            act_on_project(world, seen, leftovers, action)
    except ServerAway as away:
        logger.warning("%s: %s", key, away)
        return Outcome(look_again_after=world.policy.retry_interval)
    changed = _write(world, key, seen.object.meta, seen.object.status, decision, finalized=seen.object.meta.deleting)
    also: tuple[Key, ...] = ()
    if changed and seen.object.spec is not None:
        namespace = seen.object.spec.namespace
        previews = list_previews(world.cluster, namespace)
        also = (*(Key(PREVIEWS, namespace, one.meta.name) for one in previews), *_waiting(world, namespace))
    return Outcome(look_again_after=decision.look_again_after, also=also)


def _confirm(world: World, key: Key, meta: Meta, decision: Decision[StatusT]) -> None:
    """What was seen may be old, and another operator may be at work: nothing is done before that is ruled out.

    Raises Conflict: see again.
    """
    if decision.actions:
        confirm(world.cluster, key, meta)


def _write(
    world: World, key: Key, meta: Meta, before: StatusT, decision: Decision[StatusT], finalized: bool = False
) -> bool:
    """True where the status changed. `updatedAt` alone is no change; an object that just went needs no status."""
    wanted = decision.status.model_copy(update={"updated_at": before.updated_at})
    if wanted == before:
        return False
    stamped = wanted.model_copy(update={"updated_at": _now()})
    try:
        write_status(world.cluster, key, meta, stamped)
    except Absent:
        if not finalized:
            raise
        return False
    _tell(world, key, meta, before, stamped, decision.because)
    return True


def _tell(world: World, key: Key, meta: Meta, before: Written, after: StatusT, because: str) -> None:
    """One log line and one event a change of state or reason; none for progress."""
    old = getattr(before, "state", None), ready_reason(getattr(before, "conditions", ()))
    state, reason = getattr(after, "state", None), ready_reason(after.conditions)
    if old == (state, reason):
        return
    logger.info("%s is %s (%s): %s", key, state or "seen", reason, because)
    warning = state in FAILING_STATES
    namespace = meta.namespace or world.policy.operator_namespace
    event = build_event(KINDS[key.kind], meta, reason or "Seen", because, warning=warning, namespace=namespace)
    try:
        post_event(world.cluster, namespace, event)
    except PgimportError as refused:
        logger.debug("%s: event not posted: %s", key, refused)

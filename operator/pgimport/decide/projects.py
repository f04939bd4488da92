"""A Project is ready when its namespace is its own and there, and its server answers a fit admin."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import Wanted, build_conditions, done, stuck, working
from pgimport.decide.decision import (
    AT_ONCE,
    Action,
    Decision,
    DropLeftovers,
    DropOrphans,
    EnsureTenantRights,
    SetFinalizer,
)
from pgimport.decide.seen import SeenProject
from pgimport.model.facts import Unreachable
from pgimport.model.names import FINALIZER_PROJECT
from pgimport.model.policy import Policy
from pgimport.model.reasons import MEANINGS, Reason
from pgimport.model.status import ProjectStatus

# A server that is well is asked this often whether it still is; leftovers are looked for in the same breath.
CHECK_INTERVAL = timedelta(seconds=60)


def decide_project(seen: SeenProject, now: datetime, policy: Policy) -> Decision[ProjectStatus]:
    """Never raises; the whole wanted status of the project, and what is to be done."""
    found = seen.object
    status = found.status.model_copy(update={"observed_generation": found.meta.generation})
    sweep: tuple[Action, ...] = (DropOrphans(seen.orphans),) if seen.orphans else ()
    sweep += (DropLeftovers(),) if seen.leftovers else ()
    in_use = seen.previews + seen.imports > 0
    if found.meta.deleting and not in_use:
        return Decision(
            status=found.status, actions=(*sweep, SetFinalizer(False)), because="it is being deleted and nobody uses it"
        )
    if in_use and FINALIZER_PROJECT not in found.meta.finalizers and not found.meta.deleting:
        return Decision(
            status=found.status,
            actions=(SetFinalizer(True),),
            look_again_after=AT_ONCE,
            because="it is used: its server must be known until its databases are gone",
        )
    if found.spec is None:
        return _show(seen, status, False, stuck(Reason.INVALID_SPEC), found.spec_error or "spec: cannot be read", now)
    if seen.namespace_owner is not None:
        because = f"spec.namespace: {found.spec.namespace} is Project {seen.namespace_owner}'s already"
        return _show(seen, status, False, stuck(Reason.NAMESPACE_TAKEN), because, now)
    if not seen.namespace_exists:
        because = f"spec.namespace: waits for namespace {found.spec.namespace}, which does not exist"
        # It was deleted with live imports, perhaps: what they had on the server is swept all the same.
        return _show(seen, status, False, working(Reason.PENDING), because, now, policy.retry_interval, sweep)
    if not isinstance(seen.server, Unreachable) and seen.server is not None:
        version = seen.server.version
        because = f"PostgreSQL {version} at {found.spec.server.host} answers, and its admin is fit"
        ready, wanted = status.model_copy(update={"target_version": version}), done(Reason.READY)
        if found.meta.deleting:  # its users end as they are
            because = f"it is being deleted once {seen.previews} previews and {seen.imports} imports of it are deleted"
            wanted = working(Reason.DELETING)
        return _show(seen, ready, True, wanted, because, now, CHECK_INTERVAL, (EnsureTenantRights(), *sweep))
    failure = seen.server.failure if seen.server is not None else None
    reason = failure.reason if failure else Reason.PENDING
    because = failure.message if failure else "its server is asked"
    if failure is not None:
        because = f"{because} (hint: {MEANINGS[failure.reason].hint})"
    return _show(seen, status, False, working(reason), because, now, policy.retry_interval, (EnsureTenantRights(),))


def _show(
    seen: SeenProject,
    status: ProjectStatus,
    ready: bool,
    wanted: Wanted,
    because: str,
    now: datetime,
    again: timedelta = CHECK_INTERVAL,
    actions: tuple[Action, ...] = (),
) -> Decision[ProjectStatus]:
    found = build_conditions(seen.object.status.conditions, wanted, because, seen.object.meta.generation, now)
    shown = status.model_copy(update={"ready": ready, "conditions": found})
    return Decision(status=shown, actions=actions, look_again_after=again, because=because)

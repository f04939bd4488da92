"""A Project is ready when its namespace is its own and there, and its server answers a fit admin."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import DesiredConditions, build_conditions, done, stuck, working
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    Decision,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    EnsureRoleBindings,
    SetFinalizer,
)
from pgimport.decide.observed import ObservedProject
from pgimport.model.names import FINALIZER_PROJECT
from pgimport.model.observations import Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import MEANINGS, Reason
from pgimport.model.status import ProjectStatus

# A server that is well is asked this often whether it still is; orphaned_objects are looked for in the same breath.
CHECK_INTERVAL = timedelta(seconds=60)


def decide_project(observed: ObservedProject, now: datetime, policy: Policy) -> Decision[ProjectStatus]:
    """Never raises; the whole wanted status of the project, and what is to be done."""
    found = observed.object
    status = found.status.model_copy(update={"observed_generation": found.meta.generation})
    sweep: tuple[Action, ...] = (DeleteOrphanedJobs(observed.orphaned_jobs),) if observed.orphaned_jobs else ()
    sweep += (DropOrphanedObjects(),) if observed.orphaned_objects else ()
    in_use = observed.previews + observed.imports > 0
    if found.meta.deleting and not in_use:
        return Decision(
            status=found.status, actions=(*sweep, SetFinalizer(False)), message="it is being deleted and nobody uses it"
        )
    if in_use and FINALIZER_PROJECT not in found.meta.finalizers and not found.meta.deleting:
        return Decision(
            status=found.status,
            actions=(SetFinalizer(True),),
            requeue_after=IMMEDIATELY,
            message="it is used: its server must be known until its databases are gone",
        )
    if found.spec is None:
        return _show(
            observed, status, False, stuck(Reason.INVALID_SPEC), found.spec_error or "spec: cannot be read", now
        )
    if observed.namespace_owner is not None:
        message = f"spec.namespace: {found.spec.namespace} is Project {observed.namespace_owner}'s already"
        return _show(observed, status, False, stuck(Reason.NAMESPACE_TAKEN), message, now)
    if not observed.namespace_exists:
        message = f"spec.namespace: waits for namespace {found.spec.namespace}, which does not exist"
        # It was deleted with live imports, perhaps: what they had on the server is swept all the same.
        return _show(observed, status, False, working(Reason.PENDING), message, now, policy.retry_interval, sweep)
    if not isinstance(observed.server, Unreachable) and observed.server is not None:
        version = observed.server.version
        message = f"PostgreSQL {version} at {found.spec.server.host} answers, and its admin is fit"
        ready, wanted = status.model_copy(update={"target_version": version}), done(Reason.READY)
        if found.meta.deleting:  # its users end as they are
            users = f"{observed.previews} previews and {observed.imports} imports"
            message = f"it is being deleted once {users} of it are deleted"
            wanted = working(Reason.DELETING)
        return _show(observed, ready, True, wanted, message, now, CHECK_INTERVAL, (EnsureRoleBindings(), *sweep))
    failure = observed.server.failure if observed.server is not None else None
    reason = failure.reason if failure else Reason.PENDING
    message = failure.message if failure else "its server is asked"
    if failure is not None:
        message = f"{message} (hint: {MEANINGS[failure.reason].hint})"
    return _show(observed, status, False, working(reason), message, now, policy.retry_interval, (EnsureRoleBindings(),))


def _show(
    observed: ObservedProject,
    status: ProjectStatus,
    ready: bool,
    wanted: DesiredConditions,
    message: str,
    now: datetime,
    again: timedelta = CHECK_INTERVAL,
    actions: tuple[Action, ...] = (),
) -> Decision[ProjectStatus]:
    found = build_conditions(observed.object.status.conditions, wanted, message, observed.object.meta.generation, now)
    shown = status.model_copy(update={"ready": ready, "conditions": found})
    return Decision(status=shown, actions=actions, requeue_after=again, message=message)

"""Decides whether a Project is ready: it owns its namespace, and its server accepts the admin with all its rights."""

from dataclasses import replace
from datetime import datetime, timedelta

from pgimport.decide.conditions import CLEANED_UP, ConditionSet, TypedCondition, in_progress, ready, stalled
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    Decision,
    DeleteImports,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    EnsureNetworkPolicy,
    EnsureRoleBindings,
    ObserveDatabases,
    RemoveNetworkPolicy,
    SetConnectionLimits,
    SetFinalizer,
    build_decision,
)
from pgimport.decide.import_history import find_old_imports
from pgimport.decide.observed_objects import ObservedProject
from pgimport.decide.wake_targets import wake_after_project
from pgimport.decide.webhooks import show_webhooks
from pgimport.model.names import FINALIZER_PROJECT, PREVIEWS
from pgimport.model.observations import MeasuredCopy, ObservedServer, Unreachable
from pgimport.model.policy import Policy
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import MEANINGS, Reason
from pgimport.model.resources import ResourceKey
from pgimport.model.status import ConditionStatus

# How often the operator checks a ready server and sweeps orphans.
CHECK_INTERVAL = timedelta(seconds=60)
HELD_ROLES_NAMED = 5
NO_NETWORK_POLICY = (
    "import pods have no NetworkPolicy, because the operator may not read the addresses of the API server: grant the"
    " rights that the chart shows, or set networkPolicy.create to false"
)


def decide_project(observed: ObservedProject, now: datetime, policy: Policy) -> Decision[ProjectStatus]:
    """Decides the whole next status of the Project and what to do. Never raises for a valid observation."""
    decision = _decide_finalizer(observed, now) or _decide_readiness(observed, now, policy)
    if decision.status.unused_since == now:  # the second look follows
        decision = replace(decision, requeue_after=IMMEDIATELY)
    decision = show_webhooks(observed, decision, now)
    return replace(decision, wake=(*wake_after_project(observed.object, decision.status), *decision.wake))


def _decide_finalizer(observed: ObservedProject, now: datetime) -> Decision[ProjectStatus] | None:
    """Adds the finalizer to a Project in use, and removes it from a deleted Project that nothing uses."""
    item = observed.object
    in_use = observed.previews + observed.imports > 0
    if item.meta.deleting and not in_use:
        actions = (*_build_sweep(observed), SetFinalizer(False))
        message = "The Project is being deleted. No preview or import uses it."
        if observed.held_roles:  # the deletion does not wait for them: an event names them
            conditions = in_progress(Reason.ROLE_IN_USE, f"{message} {_describe_held_roles(observed)}")
            return build_decision(item.status, conditions, now, None, actions)
        return Decision(status=item.status, actions=actions, message=message)
    if in_use and not item.meta.deleting and FINALIZER_PROJECT not in item.meta.finalizers:
        message = "The Project is in use. A finalizer keeps it until its databases are dropped."
        return Decision(status=item.status, actions=(SetFinalizer(True),), requeue_after=IMMEDIATELY, message=message)
    return None


def _describe_held_roles(observed: ObservedProject) -> str:
    """Names the roles that could not be dropped yet, the databases that hold them, and the next step."""
    roles = [
        f"{role.name} (held by {', '.join(role.holders) or 'an open transaction'})" for role in observed.held_roles
    ]
    named, more = ", ".join(roles[:HELD_ROLES_NAMED]), len(roles) - HELD_ROLES_NAMED
    return (
        f"Roles cannot be dropped yet: {named}{f' and {more} more' if more > 0 else ''}. They cannot log in."
        " The operator tries again. In these databases, revoke what the role may, and run REASSIGN OWNED BY for it."
    )


def _build_sweep(observed: ObservedProject) -> tuple[Action, ...]:
    jobs: tuple[Action, ...] = (DeleteOrphanedJobs(observed.orphaned_jobs),) if observed.orphaned_jobs else ()
    return (*jobs, DropOrphanedObjects()) if observed.orphaned_objects else jobs


def _decide_readiness(observed: ObservedProject, now: datetime, policy: Policy) -> Decision[ProjectStatus]:
    item = observed.object
    status = _decide_use(observed, now).model_copy(update={"observed_generation": item.meta.generation})
    if item.spec is None:
        conditions = stalled(Reason.INVALID_SPEC, item.spec_error or "spec: cannot be read")
        return _show_not_ready(status, conditions, now)
    if item.spec.namespace == policy.operator_namespace:
        message = f"spec.namespace: {item.spec.namespace} is the operator's own. Create a Project with another one"
        return _show_not_ready(status, stalled(Reason.INVALID_SPEC, message), now)
    if observed.namespace_owner is not None:
        message = f"spec.namespace: {item.spec.namespace} already belongs to Project {observed.namespace_owner}"
        return _show_not_ready(status, stalled(Reason.NAMESPACE_TAKEN, message), now)
    if not observed.namespace_exists:
        message = f"spec.namespace: the Project waits for namespace {item.spec.namespace}, which does not exist"
        # The namespace may have been deleted with running imports, which leave databases on the server.
        conditions = in_progress(Reason.PENDING, message)
        return _show_not_ready(status, conditions, now, policy.retry_interval, _build_sweep(observed))
    if isinstance(observed.server, ObservedServer):
        return _show_ready(observed, status, observed.server, now, policy)
    conditions = _describe_server_failure(observed.server)
    return _show_not_ready(status, conditions, now, policy.retry_interval, _prepare_namespace(observed, policy))


def _prepare_namespace(observed: ObservedProject, policy: Policy) -> tuple[Action, ...]:
    """Returns the actions that create what the operator needs in the Project's namespace, its own rights first."""
    if not policy.network_policy:
        return EnsureRoleBindings(), RemoveNetworkPolicy()
    if observed.api_server is None:
        return (EnsureRoleBindings(),)
    return EnsureRoleBindings(), EnsureNetworkPolicy(observed.api_server)


def _decide_use(observed: ObservedProject, now: datetime) -> ProjectStatus:
    """Decides `inUse`, which locks the address of the server in the spec.

    Only the server knows what is left on it, so `inUse` stays true while the server does not answer. It becomes false
    only after two checks of the server and the previews find nothing; the first sets `unusedSince`. If a preview claims
    the server in between, `ClaimServer` removes `unusedSince`. The write of `inUse: false` then fails with a conflict.
    """
    status = observed.object.status
    if observed.created_previews or observed.server_objects:
        return status.model_copy(update={"in_use": True, "unused_since": None})
    if observed.server_objects is None:
        return status
    if status.in_use and status.unused_since is None:
        return status.model_copy(update={"unused_since": now})
    return status.model_copy(update={"in_use": False, "unused_since": None})


def _describe_server_failure(server: Unreachable | None) -> ConditionSet:
    if server is None:
        return in_progress(Reason.PENDING, "The operator connects to the server.")
    failure = server.failure
    return in_progress(failure.reason, f"{failure.message} (hint: {MEANINGS[failure.reason].hint})")


def _show_ready(
    observed: ObservedProject, status: ProjectStatus, server: ObservedServer, now: datetime, policy: Policy
) -> Decision[ProjectStatus]:
    """Shows a Project whose server meets all requirements. Its previews and imports continue during its deletion."""
    host = observed.object.spec.server.host if observed.object.spec is not None else None
    message = f"PostgreSQL {server.version} at {host} answers, and its admin has all rights."
    warnings = [*server.warnings, *([NO_NETWORK_POLICY] if observed.api_server is None else [])]
    conditions = ready(Reason.READY, message + (f" Warning: {'. '.join(warnings)}." if warnings else ""))
    if observed.object.meta.deleting:
        users = f"{observed.previews} previews and {observed.imports} imports"
        conditions = in_progress(Reason.DELETING, f"The Project is being deleted. It waits for {users} to be deleted.")
    if observed.held_roles:
        held = TypedCondition(CLEANED_UP, ConditionStatus.FALSE, Reason.ROLE_IN_USE, _describe_held_roles(observed))
        conditions = conditions.add(held)
    shown = {"ready": True, "target_version": server.version, "warnings": warnings}
    status = status.model_copy(update=shown | _describe_last_copy(observed.last_copy))
    missing = observed.previews_without_database
    observe: tuple[Action, ...] = (ObserveDatabases(missing),) if missing else ()
    limits, history = _build_limits(observed), _build_history(observed, now)
    # The actions run until one fails, and a drop may fail for days.
    actions = (*_prepare_namespace(observed, policy), *observe, *limits, *history, *_build_sweep(observed))
    decision = build_decision(status, conditions, now, CHECK_INTERVAL, actions)
    return replace(decision, wake=_find_damaged_previews(observed))


def _describe_last_copy(copy: MeasuredCopy | None) -> dict[str, object]:
    """Returns the fields that show it. After a restart of the operator, they keep their values until the next copy."""
    if copy is None:
        return {}
    return {"clone_method": copy.method, "clone_bytes_per_second": round(copy.bytes / max(copy.seconds, 0.001))}


def _find_damaged_previews(observed: ObservedProject) -> tuple[ResourceKey, ...]:
    """Returns the previews that have lost their database or their connection Secret."""
    if observed.object.spec is None:
        return ()
    names = dict.fromkeys([*observed.previews_without_database, *observed.previews_without_secret])
    return tuple(ResourceKey(PREVIEWS, observed.object.spec.namespace, name) for name in names)


def _build_history(observed: ObservedProject, now: datetime) -> tuple[Action, ...]:
    spec = observed.object.spec
    history = spec.history if spec is not None else None
    old = find_old_imports(observed.import_owners, observed.clone_imports, history, now)
    return (DeleteImports(old),) if old else ()


def _build_limits(observed: ObservedProject) -> tuple[Action, ...]:
    """Sets limits.maxConnectionsPerPreview on all owner roles that have another limit.

    These include roles that an older operator version created. A new role gets the limit when it is created.
    """
    spec, roles = observed.object.spec, observed.roles_with_another_limit
    return (SetConnectionLimits(roles, spec.limits.max_connections_per_preview),) if spec is not None and roles else ()


def _show_not_ready(
    status: ProjectStatus,
    conditions: ConditionSet,
    now: datetime,
    requeue_after: timedelta = CHECK_INTERVAL,
    actions: tuple[Action, ...] = (),
) -> Decision[ProjectStatus]:
    return build_decision(status.model_copy(update={"ready": False}), conditions, now, requeue_after, actions)

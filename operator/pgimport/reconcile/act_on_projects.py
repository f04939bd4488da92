"""Carries out the actions that are decided for a Project. Every action can be repeated."""

import logging
from contextlib import suppress
from functools import partial

from pgimport.decide.decision import (
    Action,
    DeleteImports,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    EnsureNetworkPolicy,
    EnsureRoleBindings,
    ObserveDatabases,
    RemoveNetworkPolicy,
    SetConnectionLimits,
    SetFinalizer,
)
from pgimport.kubernetes_client.api_paths import of_key
from pgimport.kubernetes_client.custom_resources import status_matches
from pgimport.kubernetes_client.jobs import delete_job
from pgimport.kubernetes_client.network_policies import ensure_network_policy, remove_network_policy
from pgimport.kubernetes_client.secrets_and_config_maps import delete_secret_of_job
from pgimport.manifest.network_policy import build_network_policy
from pgimport.model.errors import Conflict, Invalid, PgimportError, Refused, ServerUnavailable
from pgimport.model.names import FINALIZER_PROJECT, IMPORTS, PREVIEWS, PROJECTS, namespace_names
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.finalizers import write_finalizer
from pgimport.reconcile.observe_projects import ProjectObservation
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import read_admin_access
from pgimport.reconcile.tenant_access import ensure_role_bindings
from pgimport.server.marked_objects import MarkedObject, drop_marked_object
from pgimport.server.roles import set_connection_limit

logger = logging.getLogger(__name__)


def act_on_project(context: ReconcileContext, observed: ProjectObservation, action: Action) -> None:
    """Carries out one action.

    Raises Conflict, ServerUnavailable or KubernetesUnavailable; the Project is then reconciled again.
    """
    spec, meta = observed.object.spec, observed.object.meta
    match action:
        case SetFinalizer(present):
            write_finalizer(context, ResourceKey(PROJECTS, "", meta.name), meta, FINALIZER_PROJECT, present)
        case _ if spec is None:
            return
        case EnsureRoleBindings():
            ensure_role_bindings(context, spec.namespace, meta)
        case EnsureNetworkPolicy(api_server):
            policy = context.policy
            name = namespace_names(policy.release_name).network_policy
            manifest = build_network_policy(name, spec.namespace, meta, api_server, policy.denied_networks)
            ensure_network_policy(context.cluster, manifest)
        case RemoveNetworkPolicy():
            name = namespace_names(context.policy.release_name).network_policy
            remove_network_policy(context.cluster, spec.namespace, name)
        case ObserveDatabases(previews):
            context.preview_checks.suspect(ResourceKey(PREVIEWS, spec.namespace, name) for name in previews)
        case SetConnectionLimits(roles, limit):
            access = read_admin_access(context, spec)
            for role in roles:
                set_connection_limit(access, role, limit)
        case DropOrphanedObjects():
            _drop_orphaned_objects(context, spec, observed.marked_objects)
        case DeleteImports(imports):
            for old in imports:
                _delete_import(context, ResourceKey(IMPORTS, spec.namespace, old.name), old.uid)
        case DeleteOrphanedJobs(jobs):
            for job in jobs:
                delete_job(context.cluster, spec.namespace, job.name, job.uid)
                delete_secret_of_job(context.cluster, spec.namespace, job.name)
        case _:
            raise TypeError(f"not an action on a project: {action!r}")


def _delete_import(context: ReconcileContext, key: ResourceKey, uid: str) -> None:
    """Deletes an import if the API server confirms that it is cleaned up: the list may be old."""
    with suppress(Invalid):  # a newer CRD forbids something in it, so nothing is confirmed
        if status_matches(context.cluster, key, uid, ("/cleanedUp", True)):
            context.cluster.delete(of_key(key), uid=uid)


def _drop_orphaned_objects(
    context: ReconcileContext, spec: ProjectSpec, marked_objects: tuple[MarkedObject, ...]
) -> None:
    """Drops each one that it can.

    Raises the first error afterwards, so that one failure does not prevent the other drops.
    """
    access = read_admin_access(context, spec)
    errors: list[PgimportError] = []
    waits = True  # until a drop is late or fails: the sweep of many objects must not cost a worker a long time
    for marked_object in marked_objects:
        if not _is_orphaned(context, spec.namespace, marked_object.mark):
            continue
        try:
            context.drops.run(
                access.address,
                f"{marked_object.kind} {marked_object.name}",
                partial(drop_marked_object, access, marked_object),
                waits=waits,
            )
        except (Refused, ServerUnavailable, Conflict) as error:
            waits = False
            if not marked_object.mark.dropped:  # such a role may belong to another admin, and delays nothing
                errors.append(error)
    if errors:
        raise errors[0]


def _is_orphaned(context: ReconcileContext, namespace: str, mark: OwnerComment) -> bool:
    """Asks the API server whether the owner is gone, or is an import that was cleaned up.

    A list may be too old to show an owner, so lists only find candidates.
    """
    if mark.dropped:
        return True
    if mark.owner_uid is None or mark.owner_name is None:
        return False
    key = ResourceKey(IMPORTS if mark.import_uid else PREVIEWS, namespace, mark.owner_name)
    try:
        cleaned_up = mark.import_uid is not None and status_matches(
            context.cluster, key, mark.owner_uid, ("/cleanedUp", True)
        )
        return cleaned_up or not status_matches(context.cluster, key, mark.owner_uid)
    except Invalid as error:
        logger.warning("what %s owns on the server is kept: %s", key, error)
        return False

"""Grants the operator and the HTTP API their rights in a Project's namespace."""

from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import read_project
from pgimport.kubernetes_client.namespaces import (
    ensure_role,
    ensure_role_binding,
    remove_role,
    remove_role_binding,
    role_binding_exists,
)
from pgimport.kubernetes_client.resource_lists import ResourceLists
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.model.names import EARLIER_NAMES, NamespaceNames, namespace_names
from pgimport.model.resources import ObjectMeta
from pgimport.reconcile.reconcile_context import ReconcileContext


def ensure_role_bindings(context: ReconcileContext, namespace: str, project: ObjectMeta) -> None:
    """Creates the RoleBindings of the operator and then of the HTTP API, and the Role for connection Secrets.

    The operator comes first, because Kubernetes lets it grant only rights that it has itself. It creates no RoleBinding
    of an account whose ClusterRole it does not know, because the chart has created it.
    """
    identity, names, home = context.identity, _names(context), context.policy.operator_namespace
    if identity.service_account and identity.tenant_cluster_role:
        operator = (identity.service_account, home)
        binding = build_role_binding(names.operator_binding, namespace, project, identity.tenant_cluster_role, operator)
        ensure_role_binding(context.cluster, namespace, binding)
    if identity.api_service_account:
        api, reader = (identity.api_service_account, home), names.connection_reader
        if identity.api_cluster_role:
            binding = build_role_binding(names.api_binding, namespace, project, identity.api_cluster_role, api)
            ensure_role_binding(context.cluster, namespace, binding)
        ensure_connection_reader(context, namespace, project)
        if identity.api_cluster_role:
            binding = build_role_binding(reader, namespace, project, reader, api, "Role")
            ensure_role_binding(context.cluster, namespace, binding)
    elif identity.service_account:  # an upgrade has removed the HTTP API
        for name in (names.api_binding, names.connection_reader):
            remove_role_binding(context.cluster, namespace, name)
        remove_role(context.cluster, namespace, names.connection_reader)
    if identity.service_account and names != EARLIER_NAMES:
        _remove_earlier_bindings(context, namespace)


def _remove_earlier_bindings(context: ReconcileContext, namespace: str) -> None:
    """Removes the bindings that an earlier version of this installation created under fixed names.

    Another installation may still use these names, so a binding must name a service account of this one.
    """
    home, identity = context.policy.operator_namespace, context.identity
    accounts = {(name, home) for name in (identity.service_account, identity.api_service_account) if name}
    for name in (EARLIER_NAMES.operator_binding, EARLIER_NAMES.api_binding):
        remove_role_binding(context.cluster, namespace, name, accounts)
    if remove_role_binding(context.cluster, namespace, EARLIER_NAMES.connection_reader, accounts):
        remove_role(context.cluster, namespace, EARLIER_NAMES.connection_reader)


def grant_missing_rights(context: ReconcileContext, namespace: str, project_name: str) -> bool:
    """Creates the RoleBindings if the operator's is missing, as after an uninstall. Returns whether it was."""
    if not context.identity.service_account:
        return False
    if role_binding_exists(context.cluster, namespace, _names(context).operator_binding):
        return False
    project = read_project(context.cluster, project_name)
    if project is None:
        return False
    ensure_role_bindings(context, namespace, project.meta)
    return True


def ensure_connection_reader(
    context: ReconcileContext, namespace: str, project: ObjectMeta, new_secret: str | None = None
) -> None:
    """Lets the HTTP API read the connection Secrets of all previews, and `new_secret`, which no status names yet.

    A name that the Role has already stays as long as its preview exists: a new name is in the Role before it is in a
    status, and a reconcile of the Project must not remove it in between. Raises Conflict if others change the Role each
    time it is written.
    """
    if not context.identity.api_service_account:
        return
    reader = _names(context).connection_reader

    def build(rules: list[Json]) -> Json:
        granted = {name for rule in rules for name in rule.get("resourceNames") or ()}
        names = _list_connection_secrets(context.lists, namespace, granted)
        if not granted <= names:
            names = _list_connection_secrets(context.direct_lists, namespace, granted)
        if new_secret is not None:
            names.add(new_secret)
        return build_connection_reader(reader, namespace, project, list(names))

    ensure_role(context.cluster, namespace, reader, build)


def _names(context: ReconcileContext) -> NamespaceNames:
    return namespace_names(context.policy.release_name)


def _list_connection_secrets(lists: ResourceLists, namespace: str, granted: set[str]) -> set[str]:
    return {
        preview.connection_secret
        for preview in lists.list_previews(namespace)
        if preview.status.connection_secret or preview.connection_secret in granted
    }

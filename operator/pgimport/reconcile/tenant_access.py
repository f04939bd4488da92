"""Grants the operator and the HTTP API their rights in a Project's namespace."""

from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import list_previews
from pgimport.kubernetes_client.namespaces import (
    ensure_role,
    ensure_role_binding,
    remove_role_binding,
    role_binding_exists,
)
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.model.names import API_ROLE_BINDING, CONNECTION_READER, TENANT_ROLE_BINDING
from pgimport.reconcile.reconcile_context import ReconcileContext


def ensure_role_bindings(context: ReconcileContext, namespace: str) -> None:
    """Creates the RoleBindings of the operator and then of the HTTP API.

    The operator comes first, because Kubernetes lets it grant only rights that it has itself.
    """
    identity, operator_namespace = context.identity, context.policy.operator_namespace
    if identity.service_account and identity.tenant_cluster_role:
        binding = build_role_binding(
            TENANT_ROLE_BINDING, namespace, identity.tenant_cluster_role, identity.service_account, operator_namespace
        )
        ensure_role_binding(context.cluster, namespace, binding)
    if identity.api_service_account and identity.api_cluster_role:
        binding = build_role_binding(
            API_ROLE_BINDING, namespace, identity.api_cluster_role, identity.api_service_account, operator_namespace
        )
        ensure_role_binding(context.cluster, namespace, binding)
        ensure_connection_reader(context, namespace)
        binding = build_role_binding(
            CONNECTION_READER, namespace, CONNECTION_READER, identity.api_service_account, operator_namespace, "Role"
        )
        ensure_role_binding(context.cluster, namespace, binding)
    elif identity.service_account:  # an upgrade has removed the HTTP API
        for name in (API_ROLE_BINDING, CONNECTION_READER):
            remove_role_binding(context.cluster, namespace, name)


def grant_missing_rights(context: ReconcileContext, namespace: str) -> bool:
    """Creates the RoleBindings if the operator's is missing, as after an uninstall. Returns whether it was."""
    if not context.identity.service_account or role_binding_exists(context.cluster, namespace, TENANT_ROLE_BINDING):
        return False
    ensure_role_bindings(context, namespace)
    return True


def ensure_connection_reader(context: ReconcileContext, namespace: str, new_secret: str | None = None) -> None:
    """Lets the HTTP API read the connection Secrets of all previews, and `new_secret`, which no status names yet.

    A name that the Role has already stays as long as its preview exists. Otherwise a reconcile of the Project would
    remove a name between `new_secret` and the status. Raises Conflict if another writer changed the Role meanwhile.
    """
    if not context.identity.api_service_account:
        return

    def build(rules: list[Json]) -> Json:
        granted = {name for rule in rules for name in rule.get("resourceNames") or ()}
        names = {
            preview.connection_secret
            for preview in list_previews(context.cluster, namespace)
            if preview.status.connection_secret or preview.connection_secret in granted
        }
        if new_secret is not None:
            names.add(new_secret)
        return build_connection_reader(namespace, list(names))

    ensure_role(context.cluster, namespace, CONNECTION_READER, build)

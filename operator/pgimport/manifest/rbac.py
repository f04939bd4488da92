"""Builds the roles and role bindings of a Project's namespace."""

from collections.abc import Sequence

from pgimport.manifest.metadata import Json, build_labels
from pgimport.model.names import (
    CONNECTION_READER,
)

_RBAC = "rbac.authorization.k8s.io/v1"


def build_role_binding(
    name: str, namespace: str, role: str, account: str, account_namespace: str, kind: str = "ClusterRole"
) -> Json:
    """Gives an account, in this namespace alone, what a ClusterRole of the chart, or a Role beside it, lists."""
    return {
        "apiVersion": _RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": build_labels()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def build_connection_reader(namespace: str, secrets: Sequence[str]) -> Json:
    """A Role for these Secrets alone; for none of them it has no rule, for a rule without names would be for all."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": sorted(secrets), "verbs": ["get"]}
    return {
        "apiVersion": _RBAC,
        "kind": "Role",
        "metadata": {"name": CONNECTION_READER, "namespace": namespace, "labels": build_labels()},
        "rules": [rule] if secrets else [],
    }

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
    """Builds a RoleBinding that gives a service account the rights of a ClusterRole or Role in one namespace."""
    return {
        "apiVersion": _RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": build_labels()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def build_connection_reader(namespace: str, secrets: Sequence[str]) -> Json:
    """Builds a Role that may read the given Secrets.

    It has no rule if there are no Secrets, because a rule without names would allow all of them.
    """
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": sorted(secrets), "verbs": ["get"]}
    return {
        "apiVersion": _RBAC,
        "kind": "Role",
        "metadata": {"name": CONNECTION_READER, "namespace": namespace, "labels": build_labels()},
        "rules": [rule] if secrets else [],
    }

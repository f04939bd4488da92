"""Builds the roles and role bindings of a Project's namespace. Kubernetes deletes them with the Project."""

from collections.abc import Sequence

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.resources import ObjectMeta

_RBAC = "rbac.authorization.k8s.io/v1"


def build_role_binding(
    name: str,
    namespace: str,
    project: ObjectMeta,
    role: str,
    account: tuple[str, str],
    kind: str = "ClusterRole",
) -> Json:
    """Builds a RoleBinding that gives a service account the rights of a ClusterRole or Role in one namespace.

    `account`: the name and the namespace of the service account.
    """
    return {
        "apiVersion": _RBAC,
        "kind": "RoleBinding",
        "metadata": _build_metadata(name, namespace, project),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account[0], "namespace": account[1]}],
    }


def build_connection_reader(name: str, namespace: str, project: ObjectMeta, secrets: Sequence[str]) -> Json:
    """Builds a Role that may read the given Secrets.

    It has no rule if there are no Secrets, because a rule without names would allow all of them.
    """
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": sorted(secrets), "verbs": ["get"]}
    return {
        "apiVersion": _RBAC,
        "kind": "Role",
        "metadata": _build_metadata(name, namespace, project),
        "rules": [rule] if secrets else [],
    }


def _build_metadata(name: str, namespace: str, project: ObjectMeta) -> Json:
    return {
        "name": name,
        "namespace": namespace,
        "labels": build_labels(),
        "ownerReferences": [build_owner_reference("Project", project)],
    }

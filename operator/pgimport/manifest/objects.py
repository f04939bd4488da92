"""The small objects: Secrets that we own, the operator's RoleBinding in a Project's namespace, events."""

from pgimport.manifest.parts import Json, build_labels, build_owner
from pgimport.model.facts import Meta
from pgimport.model.names import (
    API_VERSION,
    LABEL_IMPORT_UID,
    TENANT_ROLE_BINDING,
    connection_secret_name,
    job_secret_name,
)


def build_job_secret(meta: Meta) -> Json:
    """Without its data: the random bytes are the actor's."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "immutable": True,
        "metadata": {
            "name": job_secret_name(meta.name, meta.uid),
            "namespace": meta.namespace,
            "labels": build_labels(**{LABEL_IMPORT_UID: meta.uid}),
            "ownerReferences": [build_owner("PostgresImport", meta)],
        },
    }


def build_connection_secret(meta: Meta) -> Json:
    """Without its data."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": connection_secret_name(meta.name),
            "namespace": meta.namespace,
            "labels": build_labels(),
            "ownerReferences": [build_owner("PreviewDatabase", meta)],
        },
    }


def build_role_binding(namespace: str, cluster_role: str, account: str, account_namespace: str) -> Json:
    """Gives the operator, in this namespace alone, what the chart's tenant ClusterRole lists."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": TENANT_ROLE_BINDING, "namespace": namespace, "labels": build_labels()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def build_event(kind: str, meta: Meta, reason: str, note: str, *, warning: bool, namespace: str) -> Json:
    """A change of state; `note` holds 1024 characters. The name is the server's to make: events are never repeated."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta.name[:200]}-", "namespace": namespace},
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "note": note[:1020],
        "action": "Reconcile",
    }

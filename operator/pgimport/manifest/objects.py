"""The small objects: Secrets that we own, the operator's RoleBinding in a Project's namespace, events."""

from collections.abc import Sequence

from pgimport.manifest.parts import Json, build_labels, build_owner
from pgimport.model.facts import Meta
from pgimport.model.names import (
    API_VERSION,
    CONNECTION_READER,
    LABEL_IMPORT_UID,
    connection_secret_name,
    job_secret_name,
)
from pgimport.model.spec import SecretKey

_RBAC = "rbac.authorization.k8s.io/v1"


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


def build_clone_import(meta: Meta, name: str, project: str, primary: SecretKey) -> Json:
    """Of the project's primary database into a preview that is its owner; `meta` is the preview's."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PostgresImport",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": build_labels(),
            "ownerReferences": [build_owner("PreviewDatabase", meta)],
        },
        "spec": {
            "project": project,
            "source": {"urlSecretRef": {"name": primary.name, "key": primary.key}},
            "target": {"previewDatabase": meta.name},
            # Nobody has been there before; whoever came since had no right to.
            "recreate": True,
        },
    }


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

"""Parts that several manifests share: owners, labels, what a restricted pod must say."""

from typing import Any

from pgimport.model.facts import Meta
from pgimport.model.names import API_VERSION, LABEL_MANAGED_BY, MANAGER

Json = dict[str, Any]
WORKER_USER = 65532  # the images' user

POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": WORKER_USER,
    "runAsGroup": WORKER_USER,
    # a mounted Secret is readable for the group only
    "fsGroup": WORKER_USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_owner(kind: str, meta: Meta) -> Json:
    """The object goes when its owner goes; it does not hold its owner's deletion up."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def build_labels(**more: str) -> dict[str, str]:
    return {LABEL_MANAGED_BY: MANAGER, **more}

"""Builds the metadata that all manifests share: owner references and labels."""

from typing import Any

from pgimport.model.names import API_VERSION, LABEL_MANAGED_BY, MANAGER
from pgimport.model.resources import ObjectMeta

Json = dict[str, Any]


def build_owner_reference(kind: str, meta: ObjectMeta) -> Json:
    """Builds an owner reference: Kubernetes deletes the object after its owner, without blocking that deletion."""
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

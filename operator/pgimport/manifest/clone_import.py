"""Builds the PostgresImport that copies a project's primary database into a preview."""

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.names import (
    API_VERSION,
)
from pgimport.model.resources import ObjectMeta
from pgimport.model.spec import SecretKey


def build_clone_import(meta: ObjectMeta, name: str, project: str, primary: SecretKey) -> Json:
    """Of the project's primary database into a preview that is its owner; `meta` is the preview's."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PostgresImport",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": build_labels(),
            "ownerReferences": [build_owner_reference("PreviewDatabase", meta)],
        },
        "spec": {
            "project": project,
            "source": {"urlSecretRef": {"name": primary.name, "key": primary.key}},
            "target": {"previewDatabase": meta.name},
            # Nobody has been there before; whoever came since had no right to.
            "recreate": True,
        },
    }

"""Builds the PostgresImport that copies a project's primary database into a preview."""

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.names import (
    API_VERSION,
)
from pgimport.model.object_references import SecretKey
from pgimport.model.resources import ObjectMeta


def build_clone_import(meta: ObjectMeta, name: str, project: str, primary: SecretKey) -> Json:
    """Builds an import of the primary database into a preview. `meta` is the preview's, which owns the import."""
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
            # The database is new: objects that somebody created in it before the copy is complete are replaced.
            "recreate": True,
        },
    }

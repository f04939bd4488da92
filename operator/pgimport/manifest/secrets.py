"""Builds the Secrets that the operator owns."""

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.names import (
    LABEL_IMPORT_UID,
    connection_secret_name,
    job_secret_name,
)
from pgimport.model.resources import ObjectMeta


def build_job_secret(meta: ObjectMeta) -> Json:
    """Builds the Secret of an import's Job without its data. The caller adds the random seed.

    The Secret is not immutable: a queued import needs a new URL of its upload from time to time.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": job_secret_name(meta.name, meta.uid),
            "namespace": meta.namespace,
            "labels": build_labels(**{LABEL_IMPORT_UID: meta.uid}),
            "ownerReferences": [build_owner_reference("PostgresImport", meta)],
        },
    }


def build_connection_secret(meta: ObjectMeta) -> Json:
    """Builds the connection Secret of a preview without its data. The caller adds the password."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": connection_secret_name(meta.name),
            "namespace": meta.namespace,
            "labels": build_labels(),
            "ownerReferences": [build_owner_reference("PreviewDatabase", meta)],
        },
    }

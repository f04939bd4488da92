"""Builds the ConfigMaps with an import's report."""

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.names import LABEL_IMPORT_UID, REPORT_KEY, report_name
from pgimport.model.resources import ObjectMeta
from pgimport.model.visible_text import escape_json


def build_report_part(meta: ObjectMeta, number: int, text: str) -> Json:
    """Builds the number-th ConfigMap, from 1. Kubernetes deletes it after the import."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": report_name(meta.name, meta.uid, number),
            "namespace": meta.namespace,
            "labels": build_labels(**{LABEL_IMPORT_UID: meta.uid}),
            "ownerReferences": [build_owner_reference("PostgresImport", meta)],
        },
        "data": {REPORT_KEY: escape_json(text)},
    }

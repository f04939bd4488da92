"""Builds the PostgresImport that a schedule creates."""

from pgimport.manifest.metadata import Json, build_labels, build_owner_reference
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import API_VERSION, LABEL_SCHEDULE
from pgimport.model.resources import ObjectMeta


def build_scheduled_import(meta: ObjectMeta, name: str, template: ImportSpec) -> Json:
    """Builds an import with the spec as the user wrote it. `meta` is the schedule's, which owns the import.

    It gets none of the schedule's labels and annotations: by some of them, GitOps tools would take it for theirs.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "PostgresImport",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": build_labels(**{LABEL_SCHEDULE: meta.name}),
            "ownerReferences": [build_owner_reference("PostgresImportSchedule", meta)],
        },
        "spec": template.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True),
    }

"""Decides which objects an import request creates. Pure: the routes read the inputs and write the result."""

from dataclasses import dataclass, field
from typing import Any

from pgimport.api.import_models import ImportRequest
from pgimport.api.object_names import ObjectNamer
from pgimport.api.preview_models import PreviewRequest
from pgimport.api.request_origin import RequestOrigin
from pgimport.api.resource_manifests import build_import, build_preview

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """Objects to create for one request, in the order of the fields."""

    import_object: Json
    preview: Json | None = None
    source_url: str | None = field(default=None, repr=False)  # for the Secret, which needs the import's uid


def plan_import(request: ImportRequest, preview: str | None, namer: ObjectNamer, origin: RequestOrigin) -> ImportPlan:
    """Plans an import into the PreviewDatabase `preview`, or into a new one if it is None.

    A dry run without `preview` needs no target.
    """
    new_preview = namer.derive("preview") if preview is None and not request.dry_run else None
    target = new_preview.name if new_preview else preview
    return ImportPlan(
        import_object=build_import(namer.derive("import"), request, target, origin),
        preview=build_preview(new_preview, PreviewRequest(), origin) if new_preview else None,
        source_url=request.source_url,
    )


def plan_preflight(source_url: str, namer: ObjectNamer, origin: RequestOrigin) -> ImportPlan:
    """Plans a dry run that is not listed as a job and that the operator deletes when it has finished."""
    request = ImportRequest(source_url=source_url, dry_run=True)
    return ImportPlan(
        import_object=build_import(namer.derive("preflight"), request, None, origin, ephemeral=True),
        source_url=source_url,
    )

"""Builds the Kubernetes objects that the API creates. Pure."""

from datetime import datetime, timedelta
from typing import Any

from pgimport.api.import_models import ImportRequest
from pgimport.api.object_names import ObjectName
from pgimport.api.preview_models import PreviewRequest
from pgimport.api.request_origin import RequestOrigin
from pgimport.model.names import (
    API_VERSION,
    GROUP,
    LABEL_EPHEMERAL,
    LABEL_MANAGED_BY,
    SECRET_KEY_URL,
    source_secret_name,
)
from pgimport.model.preview_spec import PreviewMode
from pgimport.model.request_dates import find_next_date
from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_duration, format_time

Json = dict[str, Any]
MANAGED_BY = "pgimport-api"
ANNOTATION_REQUEST = f"{GROUP}/request-id"
ANNOTATION_CALLER = f"{GROUP}/requested-by"
ANNOTATION_BODY = f"{GROUP}/request-hmac"


def build_import(
    name: ObjectName, request: ImportRequest, preview: str | None, origin: RequestOrigin, *, ephemeral: bool = False
) -> Json:
    """Builds a PostgresImport that writes to the PreviewDatabase `preview`; a dry run needs none.

    The operator deletes an ephemeral import when it has finished.
    """
    if request.upload_key:
        source: Json = {"uploadKey": request.upload_key}
    else:
        source = {"urlSecretRef": {"name": source_secret_name(name.name), "key": SECRET_KEY_URL}}
    if request.sha256:
        source["sha256"] = request.sha256
    spec: Json = {"project": name.project, "source": source}
    if preview is not None:
        spec["target"] = {"previewDatabase": preview}
    if request.recreate:
        spec["recreate"] = True
    if request.dry_run:
        spec["dryRun"] = True
    labels = {LABEL_EPHEMERAL: "true"} if ephemeral else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "PostgresImport",
        "metadata": _build_metadata(name, origin, labels),
        "spec": spec,
    }


def build_source_secret(owner: Json, url: str) -> Json:
    """Builds the Secret with the source's URL. The import `owner` owns it, so both are deleted together."""
    meta = owner["metadata"]
    reference = {"apiVersion": API_VERSION, "kind": "PostgresImport", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "immutable": True,
        "stringData": {SECRET_KEY_URL: url},
        "metadata": {
            "name": source_secret_name(meta["name"]),
            "namespace": meta["namespace"],
            "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            "ownerReferences": [reference],
        },
    }


def build_preview(name: ObjectName, request: PreviewRequest, origin: RequestOrigin) -> Json:
    """Builds a PreviewDatabase."""
    spec: Json = {"project": name.project, "mode": request.mode.value}
    if request.golden:
        spec["golden"] = True
    else:
        spec["ttl"] = format_duration(timedelta(hours=request.ttl_hours))
    return {
        "apiVersion": API_VERSION,
        "kind": "PreviewDatabase",
        "metadata": _build_metadata(name, origin, {}),
        "spec": spec,
    }


def build_copy(name: ObjectName, request: PreviewRequest, golden: str, origin: RequestOrigin) -> Json:
    """Builds a PreviewDatabase that copies the golden preview of this name."""
    manifest = build_preview(name, request, origin)
    manifest["spec"] |= {"mode": PreviewMode.CLONE.value, "from": {"previewDatabase": golden}}
    return manifest


def build_retry(name: ObjectName, spec: Json, origin: RequestOrigin) -> Json:
    """Builds a PostgresImport with the spec of an earlier one, which was cancelled or failed."""
    kept = {field: value for field, value in spec.items() if field not in ("cancel", "suspend")}
    return {
        "apiVersion": API_VERSION,
        "kind": "PostgresImport",
        "metadata": _build_metadata(name, origin, {}),
        "spec": kept,
    }


def build_extension(hours: int, now: datetime) -> Json:
    """Builds the patch with which a preview database expires `hours` after `now`."""
    return {"spec": {"ttl": format_duration(timedelta(hours=hours)), "renewedAt": format_time(now)}}


def build_reset(preview: PreviewObject, now: datetime) -> Json:
    """Builds the patch that asks for a reset: now, or just after the last one that a later clock asked for.

    The operator carries out a reset only if its time is newer than that of the last one.
    """
    requested = preview.spec.reset_at if preview.spec is not None else None
    return {"spec": {"resetAt": format_time(find_next_date(preview.status.reset_at, requested, now))}}


def _build_metadata(name: ObjectName, origin: RequestOrigin, labels: dict[str, str]) -> Json:
    annotations = {ANNOTATION_REQUEST: origin.request_id, ANNOTATION_CALLER: origin.caller}
    if origin.body_hmac:
        annotations[ANNOTATION_BODY] = origin.body_hmac
    return {
        "name": name.name,
        "namespace": name.namespace,
        "annotations": annotations,
        "labels": {LABEL_MANAGED_BY: MANAGED_BY, **labels},
    }

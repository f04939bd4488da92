"""Parses and reads the four custom resources, and writes their status. No other module writes it.

Each write returns the object as the API server answers it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient, is_failed_test
from pgimport.model.base_models import LenientModel, StrictModel
from pgimport.model.errors import Conflict, Invalid, NotFound
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.project_status import ProjectStatus
from pgimport.model.resources import (
    ImportObject,
    ImportOwner,
    ObjectMeta,
    PreviewObject,
    ProjectObject,
    ResourceKey,
    ScheduleObject,
)
from pgimport.model.schedule_spec import ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import TERMINAL_STATES, ImportState, ImportStatus, PreviewStatus
from pgimport.model.visible_text import show_controls_of_json
from pgimport.model.webhooks import DeliveryState

SpecT = TypeVar("SpecT", bound=StrictModel)
StatusT = TypeVar("StatusT", bound=LenientModel)


def parse_meta(body: Json) -> ObjectMeta:
    """Parses the parts of `metadata` that decisions need."""
    raw = body["metadata"]
    return ObjectMeta(
        name=raw["name"],
        namespace=raw.get("namespace", ""),
        uid=raw["uid"],
        resource_version=raw["resourceVersion"],
        generation=raw.get("generation", 0),
        created_at=datetime.fromisoformat(raw["creationTimestamp"]),
        deleting="deletionTimestamp" in raw,
        deletion_requested_at=_parse_time(raw.get("deletionTimestamp")),
        finalizers=tuple(raw.get("finalizers", ())),
        labels=dict(raw.get("labels", {})),
        owner_uids=tuple(owner["uid"] for owner in raw.get("ownerReferences") or ()),
    )


def _parse_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def parse_spec(body: Json, model: type[SpecT]) -> tuple[SpecT | None, str | None]:
    """Returns the spec, or a message that names each invalid field.

    The message may quote values, because a spec contains no secrets.
    """
    try:
        return model.model_validate(body.get("spec", {})), None
    except ValidationError as error:
        return None, "; ".join(_field_error(details) for details in error.errors(include_url=False))


def _field_error(details: Any) -> str:
    field = ".".join(str(part) for part in ("spec", *details["loc"]))
    return f"{field}: {details['msg'].removeprefix('Value error, ')}"


def parse_status(body: Json, model: type[StatusT]) -> StatusT:
    """Parses the status leniently: ignores each field that another version of the operator wrote in another shape."""
    raw = body.get("status") or {}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        invalid = {str(details["loc"][0]) for details in error.errors()}
        return model.model_validate({name: value for name, value in raw.items() if name not in invalid})


def parse_import(body: Json) -> ImportObject:
    spec, problem = parse_spec(body, ImportSpec)
    return ImportObject(meta=parse_meta(body), spec=spec, spec_error=problem, status=parse_status(body, ImportStatus))


def parse_preview(body: Json) -> PreviewObject:
    spec, problem = parse_spec(body, PreviewSpec)
    return PreviewObject(meta=parse_meta(body), spec=spec, spec_error=problem, status=parse_status(body, PreviewStatus))


def parse_project(body: Json) -> ProjectObject:
    spec, problem = parse_spec(body, ProjectSpec)
    return ProjectObject(meta=parse_meta(body), spec=spec, spec_error=problem, status=parse_status(body, ProjectStatus))


def parse_schedule(body: Json) -> ScheduleObject:
    spec, problem = parse_spec(body, ScheduleSpec)
    status = parse_status(body, ScheduleStatus)
    return ScheduleObject(meta=parse_meta(body), spec=spec, spec_error=problem, status=status)


def parse_import_owner(body: Json) -> ImportOwner:
    """Reads the few fields without the cost of `parse_import`. The CRD's schema ensures their types."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    ended, cleaned_up = is_terminal(body), status.get("cleanedUp", False)
    upload_gone = "uploadKey" not in (spec.get("source") or {}) or status.get("uploadDeleted", False)
    return ImportOwner(
        name=meta["name"],
        uid=meta["uid"],
        project=spec.get("project", ""),
        cleaned_up=cleaned_up,
        ended_at=_parse_time(status.get("completedAt")) if ended else None,
        removable=ended and cleaned_up and upload_gone and "deletionTimestamp" not in meta,
        state=ImportState(status["state"]) if ended else None,
        dry_run=bool(spec.get("dryRun")),
        undelivered=has_pending_delivery(body),
    )


def has_pending_delivery(body: Json) -> bool:
    """Tells whether an event of an object is to be sent to a webhook, without the cost of parsing the object."""
    deliveries = (body.get("status") or {}).get("webhookDeliveries", ())
    return any(item.get("state") == DeliveryState.PENDING for item in deliveries)


def is_terminal(body: Json) -> bool:
    """Tells whether an import has ended, without the cost of `parse_import`."""
    return (body.get("status") or {}).get("state") in TERMINAL_STATES


def read_import(cluster: KubernetesClient, namespace: str, name: str) -> ImportObject | None:
    body = _read(cluster, ResourceKey(IMPORTS, namespace, name))
    return parse_import(body) if body else None


def read_preview(cluster: KubernetesClient, namespace: str, name: str) -> PreviewObject | None:
    body = _read(cluster, ResourceKey(PREVIEWS, namespace, name))
    return parse_preview(body) if body else None


def read_project(cluster: KubernetesClient, name: str) -> ProjectObject | None:
    body = _read(cluster, ResourceKey(PROJECTS, "", name))
    return parse_project(body) if body else None


def read_schedule(cluster: KubernetesClient, namespace: str, name: str) -> ScheduleObject | None:
    body = _read(cluster, ResourceKey(SCHEDULES, namespace, name))
    return parse_schedule(body) if body else None


def list_objects(cluster: KubernetesClient, kind: str) -> Json:
    """Lists the objects of one kind in all namespaces, unparsed."""
    return cluster.get(api_paths.resource(kind))


def write_status(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, status: LenientModel) -> Json:
    """Replaces the whole status. Raises Conflict if the object changed since `meta` was read."""
    return _patch_status(
        cluster,
        key,
        [
            {"op": "add", "path": "/metadata/resourceVersion", "value": meta.resource_version},
            {"op": "add", "path": "/status", "value": show_controls_of_json(status.to_json())},
        ],
    )


def confirm_unchanged(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta) -> None:
    """Raises Conflict if the object changed since `meta` was read, or does not exist; changes nothing.

    A read may be outdated, so this writes the resourceVersion that was read: the API server then compares it.
    """
    try:
        _patch_status(
            cluster, key, [{"op": "add", "path": "/metadata/resourceVersion", "value": meta.resource_version}]
        )
    except NotFound as gone:
        raise Conflict(f"{key} no longer exists") from gone


def status_matches(cluster: KubernetesClient, key: ResourceKey, uid: str, *terms: tuple[str, object]) -> bool:
    """Tells whether the object still has this uid, and its status these values, such as `("/cleanedUp", True)`.

    Sends a patch that tests these values and changes nothing, so the API server compares its newest version. Returns
    False if the object does not exist. Raises Invalid if the API server refuses the patch for any other reason, such as
    a field that a newer CRD forbids: then nothing is known.
    """
    conditions = [("/metadata/uid", uid), *((f"/status{path}", value) for path, value in terms)]
    try:
        _patch_status(cluster, key, [{"op": "test", "path": path, "value": value} for path, value in conditions])
    except NotFound:
        return False
    except Invalid as error:
        if not is_failed_test(error):
            raise
        return False
    return True


def _patch_status(cluster: KubernetesClient, key: ResourceKey, patch: list[Json]) -> Json:
    return cluster.patch(f"{api_paths.of_key(key)}/status", patch)


def write_finalizers(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, finalizers: Sequence[str]) -> Json:
    """Replaces the finalizers. Raises Conflict if the object changed since `meta` was read."""
    body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": list(finalizers)}}
    return cluster.patch(api_paths.of_key(key), body)


def _read(cluster: KubernetesClient, key: ResourceKey) -> Json | None:
    try:
        return cluster.get(api_paths.of_key(key))
    except NotFound:
        return None

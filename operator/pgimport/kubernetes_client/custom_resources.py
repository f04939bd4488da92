"""Parses, reads and lists the three custom resources, and writes their status. No other module writes it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.base_models import LenientModel, StrictModel
from pgimport.model.errors import Conflict, Invalid, NotFound
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.resources import ImportObject, ObjectMeta, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus
from pgimport.model.visible_text import show_controls_of_json

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
        finalizers=tuple(raw.get("finalizers", ())),
        labels=dict(raw.get("labels", {})),
    )


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


def read_import(cluster: KubernetesClient, namespace: str, name: str) -> ImportObject | None:
    body = _read(cluster, ResourceKey(IMPORTS, namespace, name))
    return parse_import(body) if body else None


def read_preview(cluster: KubernetesClient, namespace: str, name: str) -> PreviewObject | None:
    body = _read(cluster, ResourceKey(PREVIEWS, namespace, name))
    return parse_preview(body) if body else None


def read_project(cluster: KubernetesClient, name: str) -> ProjectObject | None:
    body = _read(cluster, ResourceKey(PROJECTS, "", name))
    return parse_project(body) if body else None


TERMINAL_STATES = ("completed", "failed", "cancelled")


def list_imports(cluster: KubernetesClient, namespace: str, selector: str = "") -> list[ImportObject]:
    """Lists the imports of a namespace that match a field selector."""
    query = {"fieldSelector": selector} if selector else {}
    return [parse_import(item) for item in cluster.get(api_paths.resource(IMPORTS, namespace), **query)["items"]]


def list_active_imports(cluster: KubernetesClient, namespace: str) -> list[ImportObject]:
    """Lists the imports that are not terminal, including those that have no state yet."""
    return _list_except(cluster, namespace, *TERMINAL_STATES)


def list_pending_imports(cluster: KubernetesClient, namespace: str) -> list[ImportObject]:
    """Lists the imports that wait. The API server filters, because this is called whenever an import ends."""
    return _list_except(cluster, namespace, *TERMINAL_STATES, ImportState.RUNNING.value)


def _list_except(cluster: KubernetesClient, namespace: str, *states: str) -> list[ImportObject]:
    return list_imports(cluster, namespace, ",".join(f"status.state!={state}" for state in states))


def list_previews(cluster: KubernetesClient, namespace: str) -> list[PreviewObject]:
    return [parse_preview(item) for item in cluster.get(api_paths.resource(PREVIEWS, namespace))["items"]]


def list_projects(cluster: KubernetesClient) -> list[ProjectObject]:
    return [parse_project(item) for item in cluster.get(api_paths.resource(PROJECTS))["items"]]


def list_objects(cluster: KubernetesClient, kind: str) -> Json:
    """Lists the objects of one kind in all namespaces, unparsed, for the sweep."""
    return cluster.get(api_paths.resource(kind))


def write_status(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, status: LenientModel) -> None:
    """Replaces the whole status. Raises Conflict if the object changed since `meta` was read."""
    _patch_status(
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
    False if the object does not exist.
    """
    conditions = [("/metadata/uid", uid), *((f"/status{path}", value) for path, value in terms)]
    try:
        _patch_status(cluster, key, [{"op": "test", "path": path, "value": value} for path, value in conditions])
    except (NotFound, Invalid):
        return False
    return True


def _patch_status(cluster: KubernetesClient, key: ResourceKey, patch: list[Json]) -> None:
    cluster.patch(f"{api_paths.of_key(key)}/status", patch)


def write_finalizers(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, finalizers: Sequence[str]) -> None:
    """Replaces the finalizers. Raises Conflict if the object changed since `meta` was read."""
    body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": list(finalizers)}}
    cluster.patch(api_paths.of_key(key), body)


def _read(cluster: KubernetesClient, key: ResourceKey) -> Json | None:
    try:
        return cluster.get(api_paths.of_key(key))
    except NotFound:
        return None

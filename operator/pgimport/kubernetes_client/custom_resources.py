"""Our three kinds: read, list, claim, and the one pen for status."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.base_models import LenientModel, StrictModel
from pgimport.model.errors import Conflict, Invalid, NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, ObjectMeta, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.spec import ImportSpec, PreviewSpec, ProjectSpec
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus, ProjectStatus

SpecT = TypeVar("SpecT", bound=StrictModel)
StatusT = TypeVar("StatusT", bound=LenientModel)


def parse_meta(body: Json) -> ObjectMeta:
    """What a decision reads of `metadata`."""
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
    """The spec, or one sentence that names each wrong field; values are the user's own, and no secret is among them."""
    try:
        return model.model_validate(body.get("spec", {})), None
    except ValidationError as error:
        return None, "; ".join(_sentence(found) for found in error.errors(include_url=False))


def _sentence(found: Any) -> str:
    field = ".".join(str(part) for part in ("spec", *found["loc"]))
    return f"{field}: {found['msg'].removeprefix('Value error, ')}"


def parse_status(body: Json, model: type[StatusT]) -> StatusT:
    """Leniently: a part that another version wrote in another shape is passed over, never a traceback."""
    raw = body.get("status") or {}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        broken = {str(found["loc"][0]) for found in error.errors()}
        return model.model_validate({name: value for name, value in raw.items() if name not in broken})


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
    """All of a namespace, or those that a field selector keeps (the API server filters)."""
    query = {"fieldSelector": selector} if selector else {}
    return [parse_import(item) for item in cluster.get(api_paths.resource(IMPORTS, namespace), **query)["items"]]


def list_active_imports(cluster: KubernetesClient, namespace: str) -> list[ImportObject]:
    """Those that are not terminal, also those that nobody has looked at yet."""
    return _list_others(cluster, namespace, *TERMINAL_STATES)


def list_waiting_imports(cluster: KubernetesClient, namespace: str) -> list[ImportObject]:
    """Those that are neither terminal nor at work. Asked after each end, so what runs is not even sent."""
    return _list_others(cluster, namespace, *TERMINAL_STATES, ImportState.RUNNING.value)


def _list_others(cluster: KubernetesClient, namespace: str, *states: str) -> list[ImportObject]:
    return list_imports(cluster, namespace, ",".join(f"status.state!={state}" for state in states))


def list_previews(cluster: KubernetesClient, namespace: str) -> list[PreviewObject]:
    return [parse_preview(item) for item in cluster.get(api_paths.resource(PREVIEWS, namespace))["items"]]


def list_projects(cluster: KubernetesClient) -> list[ProjectObject]:
    return [parse_project(item) for item in cluster.get(api_paths.resource(PROJECTS))["items"]]


def list_raw(cluster: KubernetesClient, kind: str) -> Json:
    """The whole list of one kind in all namespaces, as it came, for the sweep."""
    return cluster.get(api_paths.resource(kind))


def write_status(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, status: LenientModel) -> None:
    """The one pen: the whole status at once, refused with Conflict where the object changed since `meta`."""
    _patch_status(
        cluster,
        key,
        [
            {"op": "add", "path": "/metadata/resourceVersion", "value": meta.resource_version},
            {"op": "add", "path": "/status", "value": status.to_json()},
        ],
    )


def confirm(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta) -> None:
    """Raises Conflict where the object changed since `meta`, or is gone; changes nothing.

    A read may come from a view that is old, a write never: so a write is asked, one that writes what is there.
    """
    try:
        _patch_status(
            cluster, key, [{"op": "add", "path": "/metadata/resourceVersion", "value": meta.resource_version}]
        )
    except NotFound as gone:
        raise Conflict(f"{key} is gone") from gone


def holds(cluster: KubernetesClient, key: ResourceKey, uid: str, *terms: tuple[str, object]) -> bool:
    """Is the object of this name still this one, and has its status these values (`("/cleanedUp", True)`)?

    As sure as `confirm`; False where it is gone.
    """
    asked = [("/metadata/uid", uid), *((f"/status{path}", value) for path, value in terms)]
    try:
        _patch_status(cluster, key, [{"op": "test", "path": path, "value": value} for path, value in asked])
    except (NotFound, Invalid):
        return False
    return True


def _patch_status(cluster: KubernetesClient, key: ResourceKey, patch: list[Json]) -> None:
    cluster.patch(f"{api_paths.of_key(key)}/status", patch)


def write_finalizers(cluster: KubernetesClient, key: ResourceKey, meta: ObjectMeta, finalizers: Sequence[str]) -> None:
    """Replaces the list; Conflict where the object changed since `meta`."""
    body = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": list(finalizers)}}
    cluster.patch(api_paths.of_key(key), body)


def _read(cluster: KubernetesClient, key: ResourceKey) -> Json | None:
    try:
        return cluster.get(api_paths.of_key(key))
    except NotFound:
        return None

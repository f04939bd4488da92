"""What a Project's namespace needs from us: a RoleBinding for the operator; and events on its objects."""

from collections.abc import Callable
from datetime import UTC, datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import MANAGER


def ensure_role_binding(cluster: KubernetesClient, namespace: str, manifest: Json) -> None:
    """May be repeated. Raises Absent where the namespace does not exist."""
    try:
        cluster.get(api_paths.role_bindings(namespace, manifest["metadata"]["name"]))
    except NotFound:
        try:
            cluster.create(api_paths.role_bindings(namespace), manifest)
        except Conflict:
            return


def ensure_role(cluster: KubernetesClient, namespace: str, build: Callable[[], Json]) -> None:
    """A Role whose rules are what `build` says after the Role was read: of two writers, the later one knows all.

    Raises Conflict where the other one was faster, and Absent where the namespace does not exist.
    """
    wanted = build()
    path = api_paths.roles(namespace, wanted["metadata"]["name"])
    try:
        found = cluster.get(path)
    except NotFound:
        cluster.create(api_paths.roles(namespace), wanted)
        return
    wanted = build()
    if found.get("rules") != wanted["rules"]:
        version = found["metadata"]["resourceVersion"]
        cluster.patch(path, {"metadata": {"resourceVersion": version}, "rules": wanted["rules"]})


def post_event(cluster: KubernetesClient, namespace: str, event: Json) -> None:
    """An event on an object of ours; `eventTime` is the moment of the call."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    reporter = {"reportingController": MANAGER, "reportingInstance": MANAGER}
    cluster.create(api_paths.events(namespace), {**event, **reporter, "eventTime": now})


def read_start_warning(cluster: KubernetesClient, namespace: str, objects: tuple[str, ...]) -> str | None:
    """The newest Warning event on one of the objects (Job or pods): why nothing starts."""
    found: list[tuple[str, str]] = []
    for name in objects:
        body = cluster.get(
            api_paths.core(namespace, "events"), fieldSelector=f"involvedObject.name={name},type=Warning"
        )
        for item in body["items"]:
            at = item.get("lastTimestamp") or item.get("eventTime") or item["metadata"]["creationTimestamp"]
            found.append((at, f"{item.get('reason')}: {item.get('message')}"))
    return max(found)[1] if found else None


def namespace_exists(cluster: KubernetesClient, name: str) -> bool:
    try:
        body = cluster.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        return False
    return bool(body.get("status", {}).get("phase") != "Terminating")

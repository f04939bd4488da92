"""Objects in the namespace of a Project: RoleBindings and Roles for the operator and the API, and events."""

from collections.abc import Callable, Set
from contextlib import suppress
from datetime import UTC, datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.ownership import delete_managed, is_managed, require_managed
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import MANAGER

ROLE_ATTEMPTS = 20  # of a write; each time, one of those who write the same Role at once succeeds


def ensure_role_binding(cluster: KubernetesClient, namespace: str, manifest: Json) -> None:
    """Creates the RoleBinding. Creates it again if it is ours and grants something else, such as the role of an older
    release.

    A RoleBinding of others that grants the same stays as it is. Raises Refused (NameTaken) if one of others grants
    something else, Conflict if another writer was faster, and NotFound if the namespace does not exist.
    """
    name = manifest["metadata"]["name"]
    path = api_paths.role_bindings(namespace, name)
    try:
        existing = cluster.get(path)
    except NotFound:
        cluster.create(api_paths.role_bindings(namespace), manifest)
        return
    if _grants_the_same(existing, manifest):
        if is_managed(existing):
            _ensure_owners(cluster, path, existing, manifest)
        return
    require_managed(existing, f"RoleBinding {name} in namespace {namespace}")
    cluster.delete(path, uid=existing["metadata"]["uid"])
    cluster.create(api_paths.role_bindings(namespace), manifest)  # Kubernetes allows no change of roleRef


def _grants_the_same(existing: Json, manifest: Json) -> bool:
    def subjects(body: Json) -> set[tuple[str, str, str]]:
        return {(item["kind"], item["name"], item.get("namespace", "")) for item in body.get("subjects") or ()}

    return existing["roleRef"] == manifest["roleRef"] and subjects(existing) == subjects(manifest)


def _ensure_owners(cluster: KubernetesClient, path: str, existing: Json, manifest: Json) -> None:
    """Sets the owners if they differ, such as after a restore of the Project, which gives it a new uid."""
    owners, meta = manifest["metadata"]["ownerReferences"], existing["metadata"]
    if meta.get("ownerReferences") != owners:
        changes = {"resourceVersion": meta["resourceVersion"], "ownerReferences": owners}
        cluster.patch(path, {"metadata": changes})


def ensure_role(cluster: KubernetesClient, namespace: str, name: str, build: Callable[[list[Json]], Json]) -> None:
    """Creates or updates a Role. `build` gets the rules that the Role has now, and returns the manifest.

    `build` is called after the Role was read, so what it reads in the cluster is at least as new. If another writer
    changes the Role in between, both are done again. Raises Refused (NameTaken) if the Role is not ours, Conflict if
    others change it each time, and NotFound if the namespace does not exist.
    """
    for _ in range(ROLE_ATTEMPTS - 1):
        with suppress(Conflict):
            _ensure_role_once(cluster, namespace, name, build)
            return
    _ensure_role_once(cluster, namespace, name, build)


def _ensure_role_once(
    cluster: KubernetesClient, namespace: str, name: str, build: Callable[[list[Json]], Json]
) -> None:
    path = api_paths.roles(namespace, name)
    try:
        existing = cluster.get(path)
    except NotFound:
        cluster.create(api_paths.roles(namespace), build([]))
        return
    role = build(existing.get("rules") or [])
    owners, meta = role["metadata"]["ownerReferences"], existing["metadata"]
    if existing.get("rules") != role["rules"] or meta.get("ownerReferences") != owners:
        require_managed(existing, f"Role {name} in namespace {namespace}")
        changes = {"resourceVersion": meta["resourceVersion"], "ownerReferences": owners}
        cluster.patch(path, {"metadata": changes, "rules": role["rules"]})


def role_binding_exists(cluster: KubernetesClient, namespace: str, name: str) -> bool:
    try:
        cluster.get(api_paths.role_bindings(namespace, name))
    except NotFound:
        return False
    return True


def remove_role_binding(
    cluster: KubernetesClient, namespace: str, name: str, accounts: Set[tuple[str, str]] | None = None
) -> bool:
    """Deletes a RoleBinding of ours. Returns whether it was deleted.

    `accounts`: deletes it only if it grants rights to one of these service accounts, given as name and namespace.
    """
    path = api_paths.role_bindings(namespace, name)
    try:
        existing = cluster.get(path)
    except NotFound:
        return False
    granted = {(item["name"], item.get("namespace", "")) for item in existing.get("subjects") or ()}
    if not is_managed(existing) or (accounts is not None and not accounts & granted):
        return False
    cluster.delete(path, uid=existing["metadata"]["uid"])
    return True


def remove_role(cluster: KubernetesClient, namespace: str, name: str) -> None:
    """Deletes a Role of ours."""
    delete_managed(cluster, api_paths.roles(namespace, name))


def post_event(cluster: KubernetesClient, event: Json) -> None:
    """Creates an event on an object of ours; `eventTime` is the time of the call."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    reporter = {"reportingController": MANAGER, "reportingInstance": MANAGER}
    cluster.create(api_paths.events(event["metadata"]["namespace"]), {**event, **reporter, "eventTime": now})


def namespace_exists(cluster: KubernetesClient, name: str) -> bool:
    try:
        body = cluster.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        return False
    return bool(body.get("status", {}).get("phase") != "Terminating")

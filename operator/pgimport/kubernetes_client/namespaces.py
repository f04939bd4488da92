"""Objects in the namespace of a Project: RoleBindings and Roles for the operator and the API, and events."""

from collections.abc import Callable, Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.ownership import delete_managed, is_managed, require_managed
from pgimport.model.errors import Conflict, NotFound, PgimportError
from pgimport.model.names import MANAGER
from pgimport.model.observations import EVENT_NO_PULL_KEY

# Events after which an earlier Warning says nothing any more. All of them are of type Normal.
_PROGRESS = {"SuccessfulCreate", "Scheduled", "SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started"}
# Warnings that keep no pod from starting: of the kubelet, and of policies that only report. A policy that denies a pod
# causes a FailedCreate.
_NO_OBSTACLES = {"DNSConfigForming", "PolicyViolation"}
_FAILED_PULL, _NEW_PULL = "Failed", "Pulling"
_REFUSED_POD, _NEW_POD = "FailedCreate", "SuccessfulCreate"
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


def read_start_warning(cluster: KubernetesClient, namespace: str, objects: tuple[str, ...]) -> str | None:
    """Returns the newest Warning event on the Job or its pods, which tells why nothing starts.

    Returns None if a later event says that the obstacle is gone: that the pod was created, or that a node took it.
    Events that cannot be read do not keep an import from its deadlines.
    """
    warnings: list[tuple[datetime, str, str]] = []
    progress: list[tuple[datetime, str]] = []
    for name in objects:
        try:
            body = cluster.get(api_paths.core(namespace, "events"), fieldSelector=f"involvedObject.name={name}")
        except PgimportError:
            return None
        for item in body["items"]:
            # Of an event in a series, the first time: a later one would hide what has happened since.
            text = item.get("lastTimestamp") or item.get("eventTime") or item["metadata"]["creationTimestamp"]
            # Some reporters give whole seconds, so events of one second have no order.
            at, reason = datetime.fromisoformat(text).replace(microsecond=0), item.get("reason") or ""
            if item.get("type") == "Warning" and reason not in _NO_OBSTACLES:
                warnings.append((at, reason, item.get("message") or ""))
            elif reason in _PROGRESS:
                progress.append((at, reason))
    if not warnings:
        return None
    if any(reason == EVENT_NO_PULL_KEY for _, reason, _ in warnings):  # why the pull failed
        warnings = [warning for warning in warnings if warning[1] != _FAILED_PULL]
    since, reason, message = max(warnings)
    over = any(_ends(later, at - since, reason) for at, later in progress)
    return None if over else f"{reason}: {message}"


def _ends(progress: str, later: timedelta, warning: str) -> bool:
    """Tells whether an event of progress, which is this much later, ends the obstacle of a warning."""
    if (progress == _NEW_PULL and warning == _FAILED_PULL) or (progress == _NEW_POD and warning != _REFUSED_POD):
        return False  # the pull is only repeated, or the warning is about the new pod
    # Each pull follows the search for its Secrets at once. Without them it succeeds if the image is public.
    first = timedelta(0) if progress == _NEW_PULL and warning == EVENT_NO_PULL_KEY else timedelta(seconds=1)
    return later >= first


def namespace_exists(cluster: KubernetesClient, name: str) -> bool:
    try:
        body = cluster.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        return False
    return bool(body.get("status", {}).get("phase") != "Terminating")

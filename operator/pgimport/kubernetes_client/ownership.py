"""Tells whether an existing Kubernetes object belongs to the operator, and changes nothing that does not."""

from collections.abc import Set
from typing import NoReturn

from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Conflict, NotFound, Refused
from pgimport.model.names import LABEL_MANAGED_BY, MANAGER
from pgimport.model.reasons import Failure, Reason


def is_owned(body: Json, uids: Set[str]) -> bool:
    """Tells whether an owner reference has one of these uids."""
    return bool(uids & {owner["uid"] for owner in body["metadata"].get("ownerReferences") or ()})


def owner_uids(manifest: Json) -> set[str]:
    """Returns the uids of the owners that a manifest names."""
    return {owner["uid"] for owner in manifest["metadata"]["ownerReferences"]}


def refuse_name(existing: Json, manifest: Json) -> NoReturn:
    """Raises Conflict if Kubernetes is about to delete the existing object, and else Refused (NameTaken).

    Kubernetes will delete it if its owner is gone (an earlier object of the same name), or if it has a
    deletionTimestamp.
    """
    meta = existing["metadata"]
    title = f"{manifest['kind']} {meta['name']} in namespace {meta.get('namespace', '')}"
    earlier = {(owner["kind"], owner["name"]) for owner in meta.get("ownerReferences") or ()}
    ours = {(owner["kind"], owner["name"]) for owner in manifest["metadata"]["ownerReferences"]}
    if "deletionTimestamp" in meta or earlier & ours:
        raise Conflict(f"{title} of an earlier object is not deleted yet")
    raise _name_taken(title)


def is_managed(body: Json) -> bool:
    """Tells whether the object has our label."""
    return (body["metadata"].get("labels") or {}).get(LABEL_MANAGED_BY) == MANAGER


def require_managed(existing: Json, title: str) -> None:
    """Raises Refused (NameTaken) unless the object has our label."""
    if not is_managed(existing):
        raise _name_taken(title)


def _name_taken(title: str) -> Refused:
    return Refused(Failure(Reason.NAME_TAKEN, f"{title} exists and was not created by the operator"))


def delete_managed(cluster: KubernetesClient, path: str) -> None:
    """Deletes an object that has our label; does nothing if it has not, or if it does not exist."""
    try:
        existing = cluster.get(path)
    except NotFound:
        return
    if is_managed(existing):
        cluster.delete(path, uid=existing["metadata"]["uid"])

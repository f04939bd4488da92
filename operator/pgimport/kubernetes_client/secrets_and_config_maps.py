"""Secrets and ConfigMaps, read and written by name; they are never listed or watched."""

import base64
from collections.abc import Mapping, Set

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Conflict, NotFound


def read_secret(cluster: KubernetesClient, namespace: str, name: str) -> dict[str, bytes] | None:
    """Returns the decoded entries, or None if the Secret does not exist."""
    try:
        body = cluster.get(api_paths.core(namespace, "secrets", name))
    except NotFound:
        return None
    return {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}


def read_config_map(cluster: KubernetesClient, namespace: str, name: str) -> set[str]:
    """Returns the keys of the entries; no keys if the ConfigMap does not exist."""
    try:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
    except NotFound:
        return set()
    return {*body.get("data", {}), *body.get("binaryData", {})}


def read_config_map_entry(cluster: KubernetesClient, namespace: str, name: str, key: str, owner_uid: str) -> str | None:
    """Returns the text of one entry, or None if the ConfigMap or its entry does not exist, or has another owner."""
    try:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
    except NotFound:
        return None
    entry = body.get("data", {}).get(key)
    return entry if _is_owned(body, {owner_uid}) else None


def write_config_map(cluster: KubernetesClient, manifest: Json) -> None:
    """Creates a ConfigMap, or replaces its entries. Raises Conflict if a ConfigMap of this name has another owner."""
    meta = manifest["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    try:
        cluster.create(api_paths.core(namespace, "configmaps"), manifest)
    except Conflict:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
        if not _is_owned(body, {owner["uid"] for owner in meta["ownerReferences"]}):
            raise
        cluster.patch(api_paths.core(namespace, "configmaps", name), {"data": manifest["data"]})


def delete_config_map(cluster: KubernetesClient, namespace: str, name: str) -> None:
    cluster.delete(api_paths.core(namespace, "configmaps", name))


def _is_owned(body: Json, uids: Set[str]) -> bool:
    return bool(uids & {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())})


def create_secret(
    cluster: KubernetesClient, namespace: str, manifest: Json, data: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Creates a Secret and returns its entries; returns the existing entries if the Secret exists and is ours.

    Raises Conflict if the Secret has another owner.
    """
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    try:
        cluster.create(api_paths.core(namespace, "secrets"), {**manifest, "data": encoded})
    except Conflict:
        body = cluster.get(api_paths.core(namespace, "secrets", manifest["metadata"]["name"]))
        if not _is_owned(body, {owner["uid"] for owner in manifest["metadata"]["ownerReferences"]}):
            raise
        return {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}
    return dict(data)


def delete_secret(cluster: KubernetesClient, namespace: str, name: str) -> None:
    cluster.delete(api_paths.core(namespace, "secrets", name))


def ensure_entry(cluster: KubernetesClient, manifest: Json, key: str, value: bytes | None) -> None:
    """Sets one entry of a Secret and keeps the others; creates the Secret if needed. None removes the entry.

    Two concurrent calls both succeed, because a merge patch changes no other entry.
    """
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    data = {key: base64.b64encode(value).decode() if value is not None else None}
    try:
        cluster.patch(api_paths.core(namespace, "secrets", name), {"data": data})
    except NotFound:
        if value is None:
            return
        try:
            cluster.create(api_paths.core(namespace, "secrets"), {**manifest, "data": data})
        except Conflict:
            cluster.patch(api_paths.core(namespace, "secrets", name), {"data": data})

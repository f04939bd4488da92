"""Secrets and ConfigMaps, read and written by name; they are never listed or watched."""

import base64
from collections.abc import Mapping

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
        owner_uids = {owner["uid"] for owner in manifest["metadata"]["ownerReferences"]}
        if not owner_uids & {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())}:
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

"""Secrets and ConfigMaps, read and written by name; they are never listed or watched."""

import base64
from collections.abc import Mapping

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.ownership import is_managed, is_owned, owner_uids, refuse_name
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import LABEL_IMPORT_UID


def read_secret(cluster: KubernetesClient, namespace: str, name: str) -> dict[str, bytes] | None:
    """Returns the decoded entries, or None if the Secret does not exist."""
    try:
        body = cluster.get(api_paths.core(namespace, "secrets", name))
    except NotFound:
        return None
    return _decode(body)


def read_owned_secret(cluster: KubernetesClient, namespace: str, name: str, owner_uid: str) -> dict[str, bytes] | None:
    """Returns the decoded entries, or None if the Secret does not exist or has another owner."""
    try:
        body = cluster.get(api_paths.core(namespace, "secrets", name))
    except NotFound:
        return None
    return _decode(body) if is_owned(body, {owner_uid}) else None


def _decode(body: Json) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}


def read_config_map(cluster: KubernetesClient, namespace: str, name: str) -> set[str] | None:
    """Returns the keys of the entries, or None if the ConfigMap does not exist."""
    try:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
    except NotFound:
        return None
    return {*(body.get("data") or {}), *(body.get("binaryData") or {})}


def read_config_map_entries(cluster: KubernetesClient, namespace: str, name: str) -> dict[str, str] | None:
    """Returns the texts of the entries, or None if the ConfigMap does not exist."""
    try:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
    except NotFound:
        return None
    return dict(body.get("data") or {})


def patch_config_map(cluster: KubernetesClient, namespace: str, name: str, entries: Mapping[str, str | None]) -> None:
    """Sets entries, removes those whose text is None, and keeps the others. Raises NotFound."""
    cluster.patch(api_paths.core(namespace, "configmaps", name), {"data": dict(entries)})


def read_config_map_entry(cluster: KubernetesClient, namespace: str, name: str, key: str, owner_uid: str) -> str | None:
    """Returns the text of one entry, or None if the ConfigMap or its entry does not exist, or has another owner."""
    try:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
    except NotFound:
        return None
    entry = body.get("data", {}).get(key)
    return entry if is_owned(body, {owner_uid}) else None


def write_config_map(cluster: KubernetesClient, manifest: Json) -> None:
    """Creates a ConfigMap, or replaces its entries. Raises Conflict if a ConfigMap of this name has another owner."""
    meta = manifest["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    try:
        cluster.create(api_paths.core(namespace, "configmaps"), manifest)
    except Conflict:
        body = cluster.get(api_paths.core(namespace, "configmaps", name))
        if not is_owned(body, owner_uids(manifest)):
            raise
        cluster.patch(api_paths.core(namespace, "configmaps", name), {"data": manifest["data"]})


def delete_config_map(cluster: KubernetesClient, namespace: str, name: str) -> None:
    cluster.delete(api_paths.core(namespace, "configmaps", name))


def create_secret(
    cluster: KubernetesClient, namespace: str, manifest: Json, data: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Creates a Secret and returns its entries; returns the existing entries if the Secret exists and is ours.

    Raises Refused (NameTaken) if the Secret has another owner: its entries may be known to others. Raises Conflict if
    it belongs to an earlier object of the same name.
    """
    name = manifest["metadata"]["name"]
    try:
        cluster.create(api_paths.core(namespace, "secrets"), {**manifest, "data": _encode(data)})
    except Conflict:
        body = cluster.get(api_paths.core(namespace, "secrets", name))
        if not is_owned(body, owner_uids(manifest)):
            refuse_name(body, manifest)
        return _decode(body)
    return dict(data)


def _encode(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def replace_entries(cluster: KubernetesClient, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
    """Replaces these entries of a Secret and keeps the others."""
    cluster.patch(api_paths.core(namespace, "secrets", name), {"data": _encode(data)})


def delete_secret_of_job(cluster: KubernetesClient, namespace: str, name: str) -> None:
    """Deletes the Secret of an import's Job. Keeps a Secret without the labels of one.

    Whoever may create Jobs can choose the name of a Job, but need not have a right on Secrets.
    """
    path = api_paths.core(namespace, "secrets", name)
    try:
        body = cluster.get(path)
    except NotFound:
        return
    if is_managed(body) and LABEL_IMPORT_UID in body["metadata"]["labels"]:
        cluster.delete(path, uid=body["metadata"]["uid"])


def delete_owned_secret(cluster: KubernetesClient, namespace: str, name: str, owner_uid: str) -> None:
    """Deletes a Secret, unless it has another owner."""
    try:
        body = cluster.get(api_paths.core(namespace, "secrets", name))
    except NotFound:
        return
    if is_owned(body, {owner_uid}):
        cluster.delete(api_paths.core(namespace, "secrets", name), uid=body["metadata"]["uid"])


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

"""Secrets and ConfigMaps: is an entry there, read one by name, create one that we own. None is listed or watched."""

import base64
from collections.abc import Mapping

from pgimport.cluster import paths
from pgimport.cluster.rest import Cluster, Json
from pgimport.model.errors import Absent, Conflict


def read_secret(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes] | None:
    """Every entry, decoded; None where there is no such Secret."""
    try:
        body = cluster.get(paths.core(namespace, "secrets", name))
    except Absent:
        return None
    return {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}


def read_config_map(cluster: Cluster, namespace: str, name: str) -> set[str]:
    """The keys of its entries; none where there is no such ConfigMap."""
    try:
        body = cluster.get(paths.core(namespace, "configmaps", name))
    except Absent:
        return set()
    return {*body.get("data", {}), *body.get("binaryData", {})}


def create_secret(cluster: Cluster, namespace: str, manifest: Json, data: Mapping[str, bytes]) -> dict[str, bytes]:
    """The Secret's entries: ours where it was made now, those that are there where it is ours already.

    Raises Conflict where a Secret of this name has another owner.
    """
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    try:
        cluster.create(paths.core(namespace, "secrets"), {**manifest, "data": encoded})
    except Conflict:
        body = cluster.get(paths.core(namespace, "secrets", manifest["metadata"]["name"]))
        wanted = {owner["uid"] for owner in manifest["metadata"]["ownerReferences"]}
        if not wanted & {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())}:
            raise
        return {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}
    return dict(data)


def delete_secret(cluster: Cluster, namespace: str, name: str) -> None:
    cluster.delete(paths.core(namespace, "secrets", name))


def ensure_entry(cluster: Cluster, manifest: Json, key: str, value: bytes | None) -> None:
    """One entry of a Secret that may hold others, and may not be there yet; None takes the entry away.

    Two at once both come through: a merge patch touches no other entry.
    """
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    data = {key: base64.b64encode(value).decode() if value is not None else None}
    try:
        cluster.patch(paths.core(namespace, "secrets", name), {"data": data})
    except Absent:
        if value is None:
            return
        try:
            cluster.create(paths.core(namespace, "secrets"), {**manifest, "data": data})
        except Conflict:
            cluster.patch(paths.core(namespace, "secrets", name), {"data": data})

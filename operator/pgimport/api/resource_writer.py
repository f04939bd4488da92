"""Resources come in; they are in Kubernetes, and in what is remembered, so that the next read sees them."""

from typing import Any

from pgimport.api.api_context import ApiContext
from pgimport.api.error_responses import ApiError
from pgimport.api.resource_manifests import ANNOTATION_BODY, build_source_secret
from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.resources import ObjectMeta

Json = dict[str, Any]


def create_once(context: ApiContext, kind: str, body: Json) -> Json:
    """Made now, or before by the same request. Raises 409 where another one has the name."""
    meta = body["metadata"]
    path = api_paths.resource(kind, meta["namespace"])
    try:
        made = context.cluster.create(path, body)
    except Conflict:
        made = context.cluster.get(f"{path}/{meta['name']}")
        wanted = meta["annotations"].get(ANNOTATION_BODY)
        if wanted is None or made["metadata"].get("annotations", {}).get(ANNOTATION_BODY) != wanted:
            raise ApiError(409, _taken(wanted, meta["name"])) from None
    context.cache.remember(kind, made)
    return made


def _taken(wanted: str | None, name: str) -> str:
    if wanted is None:
        return f"{name} exists already"
    return "this Idempotency-Key was used for another request"


def ensure_source_secret(context: ApiContext, owner: Json, url: str) -> None:
    """May be repeated: one that is there came from the same request."""
    namespace = owner["metadata"]["namespace"]
    try:
        context.cluster.create(api_paths.core(namespace, "secrets"), build_source_secret(owner, url))
    except Conflict:
        return


def change(context: ApiContext, kind: str, meta: ObjectMeta, patch: Json, what: str) -> Json:
    """A merge patch of the very object that was read. Raises 404 where it is gone."""
    patch = {**patch, "metadata": {"uid": meta.uid}}
    try:
        made = context.cluster.patch(api_paths.resource(kind, meta.namespace, meta.name), patch)
    except NotFound:
        raise ApiError(404, f"no such {what}") from None
    context.cache.remember(kind, made)
    return made


def delete(context: ApiContext, kind: str, meta: ObjectMeta) -> Json | None:
    """What is left of it while its finalizers work; None where it is gone at once."""
    path = api_paths.resource(kind, meta.namespace, meta.name)
    context.cluster.delete(path, meta.uid)
    try:
        left = context.cluster.get(path)
    except NotFound:
        return None
    context.cache.remember(kind, left)
    return left

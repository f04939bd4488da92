"""Writes objects to Kubernetes and to the cache, so that the next read of this replica returns them."""

import logging
from typing import Any

from pgimport.api.api_context import ApiContext
from pgimport.api.error_responses import ApiError
from pgimport.api.import_plan import ImportPlan
from pgimport.api.resource_manifests import ANNOTATION_BODY, build_source_secret
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.custom_resources import is_terminal, parse_import, parse_meta
from pgimport.model.errors import Conflict, NotFound, PgimportError
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.resources import ImportObject, ObjectMeta

Json = dict[str, Any]
_log = logging.getLogger(__name__)


def write_import(context: ApiContext, plan: ImportPlan) -> ImportObject:
    """Creates the objects of a plan and returns the import. Can be repeated with the same Idempotency-Key.

    If the import has ended, only returns it: its preview database may have been deleted since.
    """
    body = create_object(context, IMPORTS, plan.import_object)
    if is_terminal(body):
        return parse_import(body)
    preview: Json | None = None
    try:
        if plan.preview is not None:
            preview = create_object(context, PREVIEWS, plan.preview)
        if plan.source_url is not None:
            _ensure_source_secret(context, body, plan.source_url)
    except (PgimportError, ApiError):
        if ANNOTATION_BODY not in plan.import_object["metadata"]["annotations"]:
            _withdraw(context, body, preview)
        raise
    return parse_import(body)


def _withdraw(context: ApiContext, import_body: Json, preview: Json | None) -> None:
    """Cancels the import and deletes the preview of a request that failed.

    Without an Idempotency-Key, no other request completes them.
    """
    try:
        patch_object(context, IMPORTS, parse_meta(import_body), {"spec": {"cancel": True}}, "job")
        if preview is not None:
            delete_object(context, PREVIEWS, parse_meta(preview))
    except (PgimportError, ApiError) as error:
        _log.warning("the import of a request that failed cannot be cancelled: %s", error)


def create_object(context: ApiContext, resource: str, manifest: Json) -> Json:
    """Creates an object and returns it. If the same request created it before, returns the existing object.

    Raises ApiError 409 if the name or the Idempotency-Key belongs to another request.
    """
    meta = manifest["metadata"]
    path = api_paths.resource(resource, meta["namespace"])
    try:
        body = context.cluster.create(path, manifest)
    except Conflict:
        body = context.cluster.get(f"{path}/{meta['name']}")
        body_hmac = meta["annotations"].get(ANNOTATION_BODY)
        if body_hmac is None:
            raise ApiError(409, f"{meta['name']} already exists") from None
        if body["metadata"].get("annotations", {}).get(ANNOTATION_BODY) != body_hmac:
            raise ApiError(409, "this Idempotency-Key was already used for another request") from None
    context.cache.remember(resource, body)
    return body


def _ensure_source_secret(context: ApiContext, owner: Json, url: str) -> None:
    """Creates the Secret if it does not exist.

    If the Secret exists, an earlier call for the same request created it: its name contains the import's name.
    """
    namespace = owner["metadata"]["namespace"]
    try:
        context.cluster.create(api_paths.core(namespace, "secrets"), build_source_secret(owner, url))
    except Conflict:
        return


def patch_object(context: ApiContext, resource: str, meta: ObjectMeta, patch: Json, kind: str) -> Json:
    """Applies a merge patch. Raises ApiError 404 if the object of this uid is gone."""
    try:
        body = context.cluster.patch(
            api_paths.resource(resource, meta.namespace, meta.name), {**patch, "metadata": {"uid": meta.uid}}
        )
    except NotFound:
        raise ApiError(404, f"no such {kind}") from None
    context.cache.remember(resource, body)
    return body


def delete_object(context: ApiContext, resource: str, meta: ObjectMeta) -> Json | None:
    """Deletes an object. Returns it if finalizers still hold it, else None."""
    path = api_paths.resource(resource, meta.namespace, meta.name)
    context.cluster.delete(path, meta.uid)
    try:
        body = context.cluster.get(path)
    except NotFound:
        return None
    context.cache.remember(resource, body)
    return body

"""Adds and removes the operator's finalizers."""

from pgimport.kubernetes_client.custom_resources import write_finalizers
from pgimport.model.errors import NotFound
from pgimport.model.resources import ObjectMeta, ResourceKey
from pgimport.reconcile.reconcile_context import ReconcileContext


def write_finalizer(
    context: ReconcileContext, key: ResourceKey, meta: ObjectMeta, finalizer: str, present: bool
) -> None:
    """Adds or removes one finalizer and keeps all others. Raises Conflict if the object changed since `meta`."""
    others = [name for name in meta.finalizers if name != finalizer]
    try:
        body = write_finalizers(context.cluster, key, meta, [*others, finalizer] if present else others)
    except NotFound:
        return
    context.lists.remember(key.kind, body)

"""Sweeps: lists our three kinds every few seconds and enqueues objects that an event may have missed."""

import logging
import threading
from typing import Any

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.kubernetes_client.custom_resources import list_objects
from pgimport.model.errors import PgimportError
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey
from pgimport.model.watch_scope import EVERYWHERE, WatchScope
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.work_queue import WorkQueue
from pgimport.settings import Settings

logger = logging.getLogger(__name__)
TERMINAL_STATES = ("completed", "failed", "cancelled")
SETTLED_STATES = ("ready", "expired")


def build_key(kind: str, body: Any) -> ResourceKey:
    """Builds the key of an object as the API server returned it."""
    return ResourceKey(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])


def is_settled(body: Any) -> bool:
    """Tells whether nothing is to be done for this generation of an object.

    A terminal object is settled after its clean-up, if it is not ephemeral. Others are settled when they are ready
    or expired.
    """
    metadata, status = body["metadata"], body.get("status") or {}
    if "deletionTimestamp" in metadata or status.get("observedGeneration") != metadata.get("generation"):
        return False
    if status.get("state") in TERMINAL_STATES:
        return bool(status.get("cleanedUp")) and LABEL_EPHEMERAL not in metadata.get("labels", {})
    return status.get("state") in SETTLED_STATES or bool(status.get("ready"))


def sweep_once(
    context: ReconcileContext, queue: WorkQueue, versions: ObservedVersions, scope: WatchScope = EVERYWHERE
) -> None:
    """Enqueues every object of the scope that is not settled or whose newest version no event has shown.

    Raises KubernetesUnavailable.
    """
    listed: dict[ResourceKey, int] = {}
    for kind in (PROJECTS, PREVIEWS, IMPORTS):
        for body in list_objects(context.cluster, kind)["items"]:
            if not scope.includes(kind, body):
                continue
            key = build_key(kind, body)
            listed[key] = int(body["metadata"]["resourceVersion"])
            if not is_settled(body):
                queue.add(key)
    for key in versions.compare(listed):
        queue.add(key)


def run_sweeps(
    context: ReconcileContext,
    queue: WorkQueue,
    versions: ObservedVersions,
    settings: Settings,
    stop: threading.Event,
) -> None:
    """Sweeps every few seconds until `stop` is set."""
    scope = WatchScope(settings.watch_namespaces)
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep_once(context, queue, versions, scope)
        except PgimportError as error:
            logger.warning("The sweep failed and is repeated: %s", error)
        except Exception:
            logger.exception("The sweep failed unexpectedly and is repeated")

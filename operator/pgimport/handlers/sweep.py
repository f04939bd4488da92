"""The sweep: lists our kinds every few seconds and enqueues what an event may have missed."""

import logging
import threading
from typing import Any

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.kubernetes_client.custom_resources import list_raw
from pgimport.model.errors import PgimportError
from pgimport.model.names import IMPORTS, LABEL_EPHEMERAL, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.work_queue import WorkQueue

logger = logging.getLogger(__name__)
SETTLED_STATES = {"completed", "failed", "cancelled", "ready", "expired"}


def key_of(kind: str, body: Any) -> ResourceKey:
    return ResourceKey(kind, body["metadata"].get("namespace", ""), body["metadata"]["name"])


def is_settled(body: Any) -> bool:
    """Nothing is to be done for it: terminal and cleaned up, or ready, and of the generation that was looked at."""
    meta, status = body["metadata"], body.get("status") or {}
    if "deletionTimestamp" in meta or status.get("observedGeneration") != meta.get("generation"):
        return False
    if status.get("state") in ("completed", "failed", "cancelled"):
        return bool(status.get("cleanedUp")) and LABEL_EPHEMERAL not in meta.get("labels", {})
    return status.get("state") in SETTLED_STATES or bool(status.get("ready"))


def sweep_once(context: ReconcileContext, queue: WorkQueue, versions: ObservedVersions) -> None:
    """Raises KubernetesUnavailable where the lists cannot be had."""
    listed: dict[ResourceKey, int] = {}
    for kind in (PROJECTS, PREVIEWS, IMPORTS):
        for body in list_raw(context.cluster, kind)["items"]:
            key = key_of(kind, body)
            listed[key] = int(body["metadata"]["resourceVersion"])
            if not is_settled(body):
                queue.add(key)
    for key in versions.compare(listed):
        queue.add(key)


def run_sweeps(
    context: ReconcileContext, queue: WorkQueue, versions: ObservedVersions, seconds: float, stop: threading.Event
) -> None:
    """Until `stop`."""
    while not stop.wait(seconds):
        try:
            sweep_once(context, queue, versions)
        except PgimportError as away:
            logger.warning("sweep: %s", away)
        except Exception:
            logger.exception("sweep: unexpected")

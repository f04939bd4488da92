"""Sweeps: asks the API server every few seconds for changes whose event was lost.

Finished imports are left out, and of the others only the metadata is read. So a sweep costs little, however many
imports have ended. The cache lists all objects again every ten minutes.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.resource_lists import ACTIVE
from pgimport.model.errors import Forbidden, NotFound, PgimportError
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ResourceKey
from pgimport.model.watch_scope import EVERYWHERE, WatchScope
from pgimport.reconcile.work_queue import WorkQueue

logger = logging.getLogger(__name__)
# The API server answers from its memory. The answer may be a little old, which only delays what the sweep finds.
FROM_MEMORY = {"resourceVersion": "0"}


def sweep_once(
    cluster: KubernetesClient, queue: WorkQueue, versions: ObservedVersions, scope: WatchScope = EVERYWHERE
) -> None:
    """Enqueues every object of the scope whose newest version no watch has shown.

    Raises KubernetesUnavailable.
    """
    listed = {
        build_key(kind, body["metadata"]): int(body["metadata"]["resourceVersion"])
        for kind, body in _list_unfinished(cluster)
        if scope.includes(kind, body)
    }
    for key in versions.compare(listed):
        queue.add(key)


def build_key(kind: str, meta: Json) -> ResourceKey:
    """Builds the key of an object from its metadata."""
    return ResourceKey(kind, meta.get("namespace", ""), meta["name"])


def _list_unfinished(cluster: KubernetesClient) -> Iterator[tuple[str, Json]]:
    """Yields Projects, and the metadata of previews, schedules and imports that have not ended.

    The CRD of schedules, or the right to list them, may be missing after an upgrade.
    """
    for body in cluster.get(api_paths.resource(PROJECTS), **FROM_MEMORY)["items"]:
        yield PROJECTS, body
    for meta in cluster.list_metadata(api_paths.resource(PREVIEWS), **FROM_MEMORY):
        yield PREVIEWS, {"metadata": meta}
    for meta in cluster.list_metadata(api_paths.resource(IMPORTS), fieldSelector=ACTIVE, **FROM_MEMORY):
        yield IMPORTS, {"metadata": meta}
    with suppress(NotFound, Forbidden):
        for meta in cluster.list_metadata(api_paths.resource(SCHEDULES), **FROM_MEMORY):
            yield SCHEDULES, {"metadata": meta}


def run_sweeps(
    cluster: KubernetesClient,
    queue: WorkQueue,
    versions: ObservedVersions,
    scope: WatchScope,
    seconds: float,
    stop: threading.Event,
) -> None:
    """Sweeps every few seconds until `stop` is set."""
    while not stop.wait(seconds):
        try:
            sweep_once(cluster, queue, versions, scope)
        except PgimportError as error:
            logger.warning("The sweep failed and is repeated: %s", error)
        except Exception:
            logger.exception("The sweep failed unexpectedly and is repeated")

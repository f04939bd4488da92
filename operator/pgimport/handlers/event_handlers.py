"""Handles events: each handler puts the key of the changed object into the work queue and does nothing else.

kopf watches Jobs and pods, and the operator's cache our own kinds. kopf's `on.event` adds neither annotations nor
finalizers to an object. The sweep finds objects whose event was lost.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import kopf

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.handlers.sweep import build_key
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import has_pending_delivery
from pgimport.kubernetes_client.pods import parse_pod
from pgimport.kubernetes_client.resource_cache import CachedResource
from pgimport.model.names import GROUP, IMPORTS, LABEL_EPHEMERAL, LABEL_IMPORT, LABEL_IMPORT_UID, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportOwner, ResourceKey
from pgimport.model.status import TERMINAL_STATES
from pgimport.model.watch_scope import EVERYWHERE, WatchScope
from pgimport.reconcile.pod_history import PodHistory
from pgimport.reconcile.work_queue import WorkQueue

# Seconds between two watch requests if a connection stalls. The API server sends a bookmark every minute.
WATCH_SERVER_TIMEOUT = 300  # an integer: the API server rejects 300.0
WATCH_CONNECT_TIMEOUT = 10.0  # seconds
# At start-up every object causes an event. Settled objects (`is_settled`) wait this long, so that others come first.
SETTLED_DELAY = 5.0  # seconds
# Previews wait longer, and not all as long: there are as many of them as of imports.
PREVIEW_DELAY, PREVIEW_SPREAD = 15.0, 15  # seconds
SETTLED_STATES = ("ready", "expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTargets:
    """Objects that the handlers pass events to."""

    queue: WorkQueue
    versions: ObservedVersions
    pod_history: PodHistory
    scope: WatchScope = EVERYWHERE


def register(registry: kopf.OperatorRegistry, targets: EventTargets) -> None:
    """Registers all handlers in the operator's own registry."""

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure_kopf(settings)

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    def job_changed(body: kopf.Body, **_: Any) -> None:
        enqueue_owner(targets, body)

    @kopf.on.event("", "v1", "pods", registry=registry)
    def pod_changed(body: kopf.Body, **_: Any) -> None:
        if targets.scope.includes(IMPORTS, body):
            targets.pod_history.remember(parse_pod(dict(body)))
        enqueue_owner(targets, body)

    @kopf.on.probe(registry=registry, id="watches")
    def watches(**_: Any) -> str:
        if targets.versions.stalled is not None:
            raise kopf.PermanentError(targets.versions.stalled)
        return "alive"


def is_settled(body: Json) -> bool:
    """Tells whether nothing is to be done for this generation of an object.

    A terminal object is settled after its clean-up, if it is not ephemeral and its upload is deleted. Others are
    settled when they are ready or expired. A schedule has no state, so its condition Ready counts. An object with a
    pending delivery to a webhook is not settled.
    """
    metadata, status = body["metadata"], body.get("status") or {}
    if "deletionTimestamp" in metadata or status.get("observedGeneration") != metadata.get("generation"):
        return False
    if has_pending_delivery(body):
        return False
    if status.get("state") in TERMINAL_STATES:
        source = (body.get("spec") or {}).get("source") or {}
        keeps_upload = "uploadKey" in source and not status.get("uploadDeleted")
        ephemeral = LABEL_EPHEMERAL in metadata.get("labels", {})
        return bool(status.get("cleanedUp")) and not keeps_upload and not ephemeral
    if "state" in status or "ready" in status:
        return status.get("state") in SETTLED_STATES or bool(status.get("ready"))
    return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions", ()))


def enqueue(targets: EventTargets, kind: str, body: Json) -> None:
    """Enqueues one of our objects that has changed, or that existed when the operator started."""
    if not targets.scope.includes(kind, body):
        return
    key = build_key(kind, body["metadata"])
    if not is_settled(body):
        targets.queue.add(key)
    elif kind != IMPORTS:  # a settled import needs no reconcile, but previews expire and schedules become due
        targets.queue.add(key, after=find_settled_delay(key))


def find_settled_delay(key: ResourceKey) -> float:
    """Returns the seconds after which an object is reconciled for which nothing is to be done now."""
    return PREVIEW_DELAY + crc32(key.name.encode()) % PREVIEW_SPREAD if key.kind == PREVIEWS else SETTLED_DELAY


def enqueue_removed(targets: EventTargets, key: ResourceKey, last: CachedResource | None) -> None:
    """Enqueues an object in the namespace of a Project that is gone, unless it owned nothing any more."""
    owned_nothing = isinstance(last, ImportOwner) and last.cleaned_up and not last.undelivered
    if key.kind != PROJECTS and not owned_nothing and targets.scope.includes_namespace(key.namespace):
        targets.queue.add(key)


def enqueue_owner(targets: EventTargets, body: kopf.Body) -> None:
    """Enqueues the import of a Job or a pod.

    The import's name is in a label. If it is too long for a label, the Job's owner reference has it.
    """
    if not targets.scope.includes(IMPORTS, body):
        return
    metadata = body["metadata"]
    owners = [owner["name"] for owner in metadata.get("ownerReferences", ()) if owner["kind"] != "Job"]
    name = owners[0] if owners else metadata.get("labels", {}).get(LABEL_IMPORT)
    if name is not None:
        targets.queue.add(ResourceKey(IMPORTS, metadata["namespace"], name))


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last state of objects. kopf would copy each object on each event, and no handler takes a diff."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None:
        pass

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def configure_kopf(settings: kopf.OperatorSettings) -> None:
    """Turns off kopf's own events, annotations, finalizers and discovery, and watches Jobs and pods by label."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = WATCH_SERVER_TIMEOUT
    settings.watching.connect_timeout = WATCH_CONNECT_TIMEOUT
    settings.watching.label_selectors["", "v1", "pods"] = LABEL_IMPORT_UID
    settings.watching.label_selectors["batch", "v1", "jobs"] = LABEL_IMPORT_UID
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NoDiffBase()

"""kopf's handlers: each takes an event, hands a key on, and nothing else.

`on.event` adds no annotation and no finalizer to an object, and an event that is lost is found by the sweep.
"""

from dataclasses import dataclass
from typing import Any

import kopf

from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.handlers.sweep import is_settled, key_of
from pgimport.kubernetes_client.pods import parse_pod
from pgimport.model.names import GROUP, IMPORTS, LABEL_IMPORT, LABEL_IMPORT_UID, PREVIEWS, PROJECTS, VERSION
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.context import PodHistory
from pgimport.reconcile.work_queue import WorkQueue

# Between two watch requests of a stalled connection; the API server sends a bookmark every minute.
WATCH_SERVER_TIMEOUT = 300  # an integer: the API server refuses 300.0
WATCH_CONNECT_TIMEOUT = 10.0
# A start brings an event for each object: what has settled is looked at after what is at work.
SETTLED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTargets:
    """Where events go."""

    queue: WorkQueue
    versions: ObservedVersions
    pod_history: PodHistory


def register(registry: kopf.OperatorRegistry, watched: EventTargets) -> None:
    """All handlers into a registry of this operator's own."""

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure_kopf(settings)

    @kopf.on.login(registry=registry)
    def login(**words: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**words) or kopf.login_with_kubeconfig(**words)

    for kind in (PROJECTS, PREVIEWS, IMPORTS):
        register_kind(registry, watched, kind)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    def job_changed(body: kopf.Body, **_: Any) -> None:
        enqueue_owner(watched, body)

    @kopf.on.event("", "v1", "pods", registry=registry)
    def pod_changed(body: kopf.Body, **_: Any) -> None:
        watched.pod_history.remember(parse_pod(dict(body)))
        enqueue_owner(watched, body)

    @kopf.on.probe(registry=registry, id="watches")
    def watches(**_: Any) -> str:
        if watched.versions.stalled is not None:
            raise kopf.PermanentError(watched.versions.stalled)
        return "alive"


def register_kind(registry: kopf.OperatorRegistry, watched: EventTargets, kind: str) -> None:
    @kopf.on.event(GROUP, VERSION, kind, registry=registry, id=f"{kind}-changed")
    def changed(body: kopf.Body, **_: Any) -> None:
        enqueue(watched, kind, body)


def enqueue(watched: EventTargets, kind: str, body: kopf.Body) -> None:
    """An object of ours has changed, or was there when the operator started."""
    key = key_of(kind, body)
    watched.versions.saw(key, body["metadata"]["resourceVersion"])
    if not is_settled(body):
        watched.queue.add(key)
    elif kind != IMPORTS:  # an import that has settled is over; the others have clocks to keep
        watched.queue.add(key, after=SETTLED_SECONDS)


class _NothingKept(kopf.DiffBaseStorage):
    """For handlers that take no diff: else kopf copies each object of each event to compare it with its last state."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None:
        pass

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def enqueue_owner(watched: EventTargets, body: kopf.Body) -> None:
    """The import's name is on its Job and pods; one that is too long for a label is found by the owner."""
    owner = next((one["name"] for one in body["metadata"].get("ownerReferences", ()) if one["kind"] != "Job"), None)
    name = owner or body["metadata"].get("labels", {}).get(LABEL_IMPORT)
    if name is not None:
        watched.queue.add(ResourceKey(IMPORTS, body["metadata"]["namespace"], name))


def configure_kopf(settings: kopf.OperatorSettings) -> None:
    """No events, annotations or finalizers of kopf's own; no listing of namespaces and CRDs; watches by label."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = WATCH_SERVER_TIMEOUT
    settings.watching.connect_timeout = WATCH_CONNECT_TIMEOUT
    settings.watching.label_selectors["", "v1", "pods"] = LABEL_IMPORT_UID
    settings.watching.label_selectors["batch", "v1", "jobs"] = LABEL_IMPORT_UID
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NothingKept()

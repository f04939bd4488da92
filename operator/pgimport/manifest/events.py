"""Builds Kubernetes events."""

from pgimport.manifest.metadata import Json
from pgimport.model.names import (
    API_VERSION,
)
from pgimport.model.resources import ObjectMeta
from pgimport.model.visible_text import show_controls

# The API server refuses an event about an object without a namespace in any other namespace, except kube-system.
NAMESPACE_OF_CLUSTER_EVENTS = "default"
NOTE_LIMIT = 1024  # bytes of UTF-8


def build_event(kind: str, meta: ObjectMeta, reason: str, note: str, *, warning: bool) -> Json:
    """Builds an event about a change of state. The API server chooses its name, and refuses a longer note."""
    namespace = meta.namespace or NAMESPACE_OF_CLUSTER_EVENTS
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta.name[:200].rstrip('-.')}-", "namespace": namespace},
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "note": _cut(show_controls(note)),
        "action": "Reconcile",
    }


def _cut(note: str) -> str:
    """Cuts a note to the limit, which counts bytes and not characters."""
    return note.encode()[:NOTE_LIMIT].decode(errors="ignore")

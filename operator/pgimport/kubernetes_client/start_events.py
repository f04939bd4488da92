"""Events on an import's Job and pods: read to show why no container starts."""

from datetime import datetime, timedelta

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import PgimportError
from pgimport.model.observations import EVENT_NO_PULL_KEY

# Events after which an earlier Warning says nothing any more. All of them are of type Normal.
_PROGRESS = {"SuccessfulCreate", "Scheduled", "SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started"}
# Warnings that keep no pod from starting: of the kubelet, and of policies that only report. A policy that denies a pod
# causes a FailedCreate.
_NO_OBSTACLES = {"DNSConfigForming", "PolicyViolation"}
_FAILED_PULL, _NEW_PULL = "Failed", "Pulling"
_REFUSED_POD, _NEW_POD = "FailedCreate", "SuccessfulCreate"


def read_start_warning(cluster: KubernetesClient, namespace: str, objects: tuple[str, ...]) -> str | None:
    """Returns the newest Warning event on the Job or its pods, which tells why nothing starts.

    Returns None if a later event says that the obstacle is gone: that the pod was created, or that a node took it.
    Events that cannot be read do not keep an import from its deadlines.
    """
    warnings: list[tuple[datetime, str, str]] = []
    progress: list[tuple[datetime, str]] = []
    for name in objects:
        try:
            body = cluster.get(api_paths.core(namespace, "events"), fieldSelector=f"involvedObject.name={name}")
        except PgimportError:
            return None
        for item in body["items"]:
            # Of an event in a series, the first time: a later one would hide what has happened since.
            text = item.get("lastTimestamp") or item.get("eventTime") or item["metadata"]["creationTimestamp"]
            # Some reporters give whole seconds, so events of one second have no order.
            at, reason = datetime.fromisoformat(text).replace(microsecond=0), item.get("reason") or ""
            if item.get("type") == "Warning" and reason not in _NO_OBSTACLES:
                warnings.append((at, reason, item.get("message") or ""))
            elif reason in _PROGRESS:
                progress.append((at, reason))
    if not warnings:
        return None
    if any(reason == EVENT_NO_PULL_KEY for _, reason, _ in warnings):  # why the pull failed
        warnings = [warning for warning in warnings if warning[1] != _FAILED_PULL]
    since, reason, message = max(warnings)
    over = any(_ends(later, at - since, reason) for at, later in progress)
    return None if over else f"{reason}: {message}"


def _ends(progress: str, later: timedelta, warning: str) -> bool:
    """Tells whether an event of progress, which is this much later, ends the obstacle of a warning."""
    if (progress == _NEW_PULL and warning == _FAILED_PULL) or (progress == _NEW_POD and warning != _REFUSED_POD):
        return False  # the pull is only repeated, or the warning is about the new pod
    # Each pull follows the search for its Secrets at once. Without them it succeeds if the image is public.
    first = timedelta(0) if progress == _NEW_PULL and warning == EVENT_NO_PULL_KEY else timedelta(seconds=1)
    return later >= first

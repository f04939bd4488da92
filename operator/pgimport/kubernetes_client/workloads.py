"""Kueue's Workload of a Job: read to show why a queue holds an import."""

from collections.abc import Sequence

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Forbidden, NotFound
from pgimport.model.names import LABEL_JOB_UID
from pgimport.model.observations import ObservedWorkload

VERSIONS = ("v1beta2", "v1beta1")  # Kueue serves the first one since 0.15
# Conditions that say why a Workload is not admitted, with the status that they have then.
_OBSTACLES = (("QuotaReserved", "False"), ("Admitted", "False"), ("Evicted", "True"))


def read_workload(cluster: KubernetesClient, namespace: str, job_uid: str) -> ObservedWorkload | None:
    """Returns the Job's newest Workload. Returns None if there is none, or no Kueue, or no right to read it."""
    for version in VERSIONS:
        try:
            path = api_paths.workloads(namespace, version)
            listed = cluster.get(path, labelSelector=f"{LABEL_JOB_UID}={job_uid}")["items"]
        except NotFound:
            continue
        except Forbidden:  # only the message would be more exact
            return None
        return parse_newest_workload(listed)
    return None


def parse_newest_workload(listed: Sequence[Json]) -> ObservedWorkload | None:
    """Parses the newest of a Job's Workloads, and the first message that says why it is not admitted."""
    if not listed:
        return None
    body = max(listed, key=lambda item: str(item["metadata"]["creationTimestamp"]))
    conditions = {item["type"]: item for item in body.get("status", {}).get("conditions", ())}
    messages = [
        str(conditions[kind].get("message") or "")
        for kind, status in _OBSTACLES
        if kind in conditions and conditions[kind]["status"] == status
    ]
    return ObservedWorkload(name=body["metadata"]["name"], message=next(filter(None, messages), None))

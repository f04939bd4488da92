"""Kueue's Workload of a Job: read to show why a queue holds an import."""

from collections.abc import Iterator, Sequence

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import NotFound, PgimportError
from pgimport.model.names import LABEL_JOB_UID
from pgimport.model.observations import ObservedWorkload

VERSIONS = ("v1beta2", "v1beta1")  # Kueue serves the first one since 0.15
_DEACTIVATED = "The workload is deactivated"  # Kueue's own words


def read_workload(cluster: KubernetesClient, namespace: str, job_uid: str) -> ObservedWorkload | None:
    """Returns the Job's newest Workload, or None if there is none or it cannot be read.

    It only makes a message more exact. Without its controller, Kueue's API may answer 500, because the controller
    converts Workloads of another version. Cancel and suspend must work then, too.
    """
    for version in VERSIONS:
        try:
            path = api_paths.workloads(namespace, version)
            listed = cluster.get(path, labelSelector=f"{LABEL_JOB_UID}={job_uid}")["items"]
        except NotFound:
            continue
        except PgimportError:
            return None
        return parse_newest_workload(listed)
    return None


def parse_newest_workload(listed: Sequence[Json]) -> ObservedWorkload | None:
    """Parses the newest of a Job's Workloads, and the first message that says why it is not admitted."""
    if not listed:
        return None
    body = max(listed, key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return ObservedWorkload(name=body["metadata"]["name"], message=next(filter(None, _list_obstacles(body)), None))


def _list_obstacles(body: Json) -> Iterator[str]:
    """Yields what keeps a Workload from being admitted, in Kueue's words, the decisive obstacle first.

    Kueue leaves old messages in other conditions: a deactivated Workload may still say that it waits for quota, and one
    that has its quota that it has none.
    """
    status = body.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", ())}

    def say(kind: str, value: str) -> str:
        condition = conditions.get(kind, {})
        return str(condition.get("message") or "") if condition.get("status") == value else ""

    if body.get("spec", {}).get("active") is False:
        yield say("Evicted", "True") or _DEACTIVATED
    yield say("QuotaReserved", "False")
    if say("QuotaReserved", "True") and not say("Admitted", "True"):
        for check in status.get("admissionChecks", ()):
            if check.get("state") != "Ready":
                yield f"admission check {check['name']} is {check.get('state')}: {check.get('message', '')}".rstrip(
                    ": "
                )
    yield say("Admitted", "False")
    yield say("Evicted", "True")

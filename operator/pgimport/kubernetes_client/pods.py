"""The pods of an import's Job: JSON in, `ObservedPod` out; and the last progress line of a running one."""

import json
from datetime import datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import PgimportError
from pgimport.model.names import CONTAINER_IMPORT, CONTAINER_PREFLIGHT, LABEL_IMPORT_UID
from pgimport.model.observations import ObservedContainer, ObservedPod
from pgimport.model.result import parse_worker_result
from pgimport.model.status import Progress

LOG_LINES = 20  # of the tail; a worker prints a progress line every two seconds at most


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def parse_container(body: Json) -> ObservedContainer:
    state = body.get("state", {})
    ended, waiting = state.get("terminated", {}), state.get("waiting", {})
    return ObservedContainer(
        name=body["name"],
        running_since=_time(state.get("running", {}).get("startedAt")),
        waiting_reason=waiting.get("reason"),
        waiting_message=waiting.get("message"),
        ended_at=_time(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        ended_reason=ended.get("reason"),
        result=parse_worker_result(ended.get("message", "")),
    )


def parse_pod(body: Json) -> ObservedPod:
    """A dry run's only container is its preflight, wherever in the pod it stands."""
    meta, status = body["metadata"], body.get("status", {})
    containers = {
        found["name"]: parse_container(found)
        for found in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    }
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        job_uid=next((owner["uid"] for owner in meta.get("ownerReferences", ()) if owner["kind"] == "Job"), ""),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        started_at=_time(status.get("startTime")),
        deleting="deletionTimestamp" in meta,
        disrupted=any(
            found["type"] == "DisruptionTarget" and found["status"] == "True" for found in status.get("conditions", ())
        ),
        reason=status.get("reason"),
        message=status.get("message"),
        preflight=containers.get(CONTAINER_PREFLIGHT),
        import_=containers.get(CONTAINER_IMPORT) or _not_started(body),
    )


def _not_started(body: Json) -> ObservedContainer | None:
    """A pod without a status yet has its containers all the same: it is no dry run."""
    names = [found["name"] for found in body.get("spec", {}).get("containers", ())]
    return ObservedContainer(name=CONTAINER_IMPORT) if CONTAINER_IMPORT in names else None


def list_pods(cluster: KubernetesClient, namespace: str, import_uid: str) -> list[ObservedPod]:
    """Oldest first."""
    body = cluster.get(api_paths.core(namespace, "pods"), labelSelector=f"{LABEL_IMPORT_UID}={import_uid}")
    return sorted((parse_pod(item) for item in body["items"]), key=lambda pod: (pod.created_at, pod.name))


def read_progress(cluster: KubernetesClient, namespace: str, pod: str, container: str) -> Progress | None:
    """The newest progress line in the container's log; None where there is none yet or the log is away."""
    try:
        log = cluster.get_text(
            f"{api_paths.core(namespace, 'pods', pod)}/log", container=container, tailLines=str(LOG_LINES)
        )
    except PgimportError:
        return None
    for line in reversed(log.splitlines()):
        try:
            return Progress.model_validate(json.loads(line)["progress"])
        except (ValueError, KeyError, TypeError):
            continue
    return None

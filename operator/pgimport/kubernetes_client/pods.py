"""The pods of an import's Job, and the progress that their containers log."""

import json
from datetime import datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import PgimportError
from pgimport.model.names import CONTAINER_IMPORT, CONTAINER_PREFLIGHT, LABEL_IMPORT_UID, scratch_claim_name
from pgimport.model.observations import ObservedContainer, ObservedPod
from pgimport.model.report_carrier import PART_CHARACTERS, decode_report
from pgimport.model.result import ReportDigest
from pgimport.model.status import Progress
from pgimport.model.termination_message import parse_worker_result

OWN_CONTAINERS = (CONTAINER_PREFLIGHT, CONTAINER_IMPORT)
LOG_LINES = 20  # a worker writes at most one progress line in two seconds
LINES_AFTER_A_REPORT = 100  # the worker writes one more; its threads may write to stderr
MAX_LOG_BYTES = 8 * 1024**2
MAX_REPORT_LINES = MAX_LOG_BYTES // PART_CHARACTERS


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def parse_container(body: Json) -> ObservedContainer:
    state = body.get("state", {})
    ended, waiting = state.get("terminated", {}), state.get("waiting", {})
    message = ended.get("message", "")
    result = parse_worker_result(message)
    return ObservedContainer(
        name=body["name"],
        running_since=_time(state.get("running", {}).get("startedAt")),
        waiting_reason=waiting.get("reason"),
        waiting_message=waiting.get("message"),
        ended_at=_time(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        ended_reason=ended.get("reason"),
        # What begins like JSON is a result of the worker that is cut.
        ended_message=message.strip() or None if result is None and not message.startswith("{") else None,
        result=result,
    )


def parse_pod(body: Json) -> ObservedPod:
    """Parses a pod. The preflight of a dry run is its only container; otherwise it is an init container."""
    meta, status = body["metadata"], body.get("status", {})
    containers = {
        container["name"]: parse_container(container)
        for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    }
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        job_uid=_find_job(meta),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        started_at=_time(status.get("startTime")),
        deleting="deletionTimestamp" in meta,
        disrupted=any(
            condition["type"] == "DisruptionTarget" and condition["status"] == "True"
            for condition in status.get("conditions", ())
        ),
        reason=status.get("reason"),
        message=status.get("message"),
        unscheduled=_find_unscheduled(status),
        preflight=containers.get(CONTAINER_PREFLIGHT),
        import_=containers.get(CONTAINER_IMPORT) or _not_started(body),
        broken_by=_find_foreign_failure(status),
        kept_by=_list_foreign(status),
    )


def _find_unscheduled(status: Json) -> str | None:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {condition.get('message')}"
    return None


def _find_foreign_failure(status: Json) -> str | None:
    """Describes the first container that failed and is not the operator's: an init container comes first."""
    for body in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        ended = body.get("state", {}).get("terminated", {})
        if body["name"] not in OWN_CONTAINERS and ended.get("exitCode", 0) != 0:
            words = f": {ended['message'].strip()}" if ended.get("message") else ""
            return f"container {body['name']}, which others have added, ended with exit code {ended['exitCode']}{words}"
    return None


def _list_foreign(status: Json) -> tuple[str, ...]:
    """Lists running containers that are not the operator's. Kubernetes itself ends native sidecars, which are init
    containers.
    """
    return tuple(
        container["name"]
        for container in status.get("containerStatuses", ())
        if container["name"] not in OWN_CONTAINERS and "running" in container.get("state", {})
    )


def _find_job(meta: Json) -> str:
    """Returns the uid of the Job that controls the pod, or an empty text. The Job's controller adopts no other pod."""
    owners = (owner for owner in meta.get("ownerReferences", ()) if owner["kind"] == "Job" and owner.get("controller"))
    return next((str(owner["uid"]) for owner in owners), "")


def _not_started(body: Json) -> ObservedContainer | None:
    """Returns the import container of a pod that has no status yet, or None for a dry run."""
    names = [container["name"] for container in body.get("spec", {}).get("containers", ())]
    return ObservedContainer(name=CONTAINER_IMPORT) if CONTAINER_IMPORT in names else None


def list_pods(cluster: KubernetesClient, namespace: str, import_uid: str) -> list[ObservedPod]:
    """Lists the pods of an import, oldest first."""
    body = cluster.get(api_paths.core(namespace, "pods"), labelSelector=f"{LABEL_IMPORT_UID}={import_uid}")
    return sorted((parse_pod(item) for item in body["items"]), key=lambda pod: (pod.created_at, pod.name))


def read_report(
    cluster: KubernetesClient, namespace: str, pod: str, container: str, digest: ReportDigest
) -> str | None:
    """Returns the report that a container logged at its end, or None if the log lacks a part of it.

    Raises PgimportError if the log cannot be read.
    """
    log = cluster.get_text(
        f"{api_paths.core(namespace, 'pods', pod)}/log",
        container=container,
        tailLines=str(min(digest.parts, MAX_REPORT_LINES) + LINES_AFTER_A_REPORT),
        limitBytes=str(MAX_LOG_BYTES),
    )
    return decode_report(digest, log.split("\n"))


def read_progress(cluster: KubernetesClient, namespace: str, pod: str, container: str) -> Progress | None:
    """Returns the newest progress in the log of a container, or None if there is none or the log cannot be read."""
    try:
        log = cluster.get_text(
            f"{api_paths.core(namespace, 'pods', pod)}/log", container=container, tailLines=str(LOG_LINES)
        )
    except PgimportError:
        return None
    for line in reversed(log.splitlines()):
        try:
            return Progress.model_validate(json.loads(line)["progress"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return None


def delete_scratch_claim(cluster: KubernetesClient, namespace: str, pod: str) -> None:
    """Deletes the PersistentVolumeClaim of the pod's scratch volume. A running pod keeps it until its end."""
    cluster.delete(api_paths.core(namespace, "persistentvolumeclaims", scratch_claim_name(pod)))

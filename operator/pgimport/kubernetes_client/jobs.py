"""The Job of an import: created, read, stopped and deleted."""

from collections.abc import Collection
from datetime import datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.ownership import is_owned, refuse_name
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import LABEL_IMPORT_UID, LABEL_QUEUE
from pgimport.model.observations import ObservedJob, OrphanedJob


def parse_job(body: Json, import_uid: str) -> ObservedJob:
    """Parses a Job. `ours` compares the owner's uid, because an earlier import of the same name may own the Job."""
    meta, spec, status = body["metadata"], body["spec"], body.get("status", {})
    conditions = {
        condition["type"]: condition for condition in status.get("conditions", ()) if condition["status"] == "True"
    }
    failed = conditions.get("FailureTarget") or conditions.get("Failed") or {}
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        ours=any(owner["uid"] == import_uid for owner in meta.get("ownerReferences", ())),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        queue=meta.get("labels", {}).get(LABEL_QUEUE),
        suspended=bool(spec.get("suspend")),
        started_at=datetime.fromisoformat(status["startTime"]) if status.get("startTime") else None,
        complete="Complete" in conditions,
        failed_reason=failed.get("reason"),
        failed_message=failed.get("message"),
        ttl_set="ttlSecondsAfterFinished" in spec,
        deleting="deletionTimestamp" in meta,
    )


def read_job(cluster: KubernetesClient, namespace: str, name: str, import_uid: str) -> ObservedJob | None:
    try:
        return parse_job(cluster.get(api_paths.jobs(namespace, name)), import_uid)
    except NotFound:
        return None


def list_orphans(
    cluster: KubernetesClient, namespace: str, cleaned_up_uids: Collection[str]
) -> tuple[OrphanedJob, ...]:
    """Lists the operator's Jobs that no import will clean up.

    These are Jobs without an owner, whose import was deleted with `--cascade=orphan`, and Jobs without a TTL that were
    created after the clean-up of their import. `cleaned_up_uids`: the uids of imports that were cleaned up.
    """
    pages = cluster.list_pages(api_paths.jobs(namespace), labelSelector=LABEL_IMPORT_UID)
    return tuple(
        OrphanedJob(item["metadata"]["name"], item["metadata"]["uid"])
        for page in pages
        for item in page["items"]
        if not item["metadata"].get("ownerReferences")
        or (
            item["metadata"]["labels"][LABEL_IMPORT_UID] in cleaned_up_uids
            and "ttlSecondsAfterFinished" not in item["spec"]
        )
    )


def create_job(cluster: KubernetesClient, namespace: str, manifest: Json, import_uid: str) -> None:
    """Creates the Job; does nothing if it exists and is ours.

    Raises Refused (NameTaken) if it belongs to another owner, and Conflict if an earlier one of ours is not gone yet.
    """
    try:
        cluster.create(api_paths.jobs(namespace), manifest)
    except Conflict:
        existing = cluster.get(api_paths.jobs(namespace, manifest["metadata"]["name"]))
        if not is_owned(existing, {import_uid}) or "deletionTimestamp" in existing["metadata"]:
            refuse_name(existing, manifest)


def stop_job(cluster: KubernetesClient, namespace: str, name: str) -> None:
    """Ends the pods of the Job at once, and keeps the Job with the logs of its attempts until its TTL ends."""
    _patch(cluster, namespace, name, {"activeDeadlineSeconds": 1})


def set_job_ttl(cluster: KubernetesClient, namespace: str, name: str, seconds: int) -> None:
    """Sets the TTL of a Job. Call this after the terminal status is written, because the Job contains the result."""
    _patch(cluster, namespace, name, {"ttlSecondsAfterFinished": seconds})


def delete_job(cluster: KubernetesClient, namespace: str, name: str, uid: str) -> None:
    """Deletes the Job with this uid, not a new one with the same name."""
    cluster.delete(api_paths.jobs(namespace, name), uid=uid)


def _patch(cluster: KubernetesClient, namespace: str, name: str, spec: Json) -> None:
    try:
        cluster.patch(api_paths.jobs(namespace, name), {"spec": spec})
    except NotFound:
        return

"""An import's Job: read, create, stop, let go; a Job's JSON in, `ObservedJob` out."""

from collections.abc import Collection
from datetime import datetime

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.observations import ObservedJob, OrphanedJob


def parse_job(body: Json, import_uid: str) -> ObservedJob:
    """`ours` compares the owner's uid: a Job of the same name may belong to an earlier import."""
    meta, spec, status = body["metadata"], body["spec"], body.get("status", {})
    true = {found["type"]: found for found in status.get("conditions", ()) if found["status"] == "True"}
    failed = true.get("FailureTarget") or true.get("Failed") or {}
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        ours=any(owner["uid"] == import_uid for owner in meta.get("ownerReferences", ())),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        suspended=bool(spec.get("suspend")),
        complete="Complete" in true,
        failed_reason=failed.get("reason"),
        failed_message=failed.get("message"),
        failed_count=status.get("failed", 0),
        ttl_set="ttlSecondsAfterFinished" in spec,
        deleting="deletionTimestamp" in meta,
    )


def read_job(cluster: KubernetesClient, namespace: str, name: str, import_uid: str) -> ObservedJob | None:
    try:
        return parse_job(cluster.get(api_paths.jobs(namespace, name)), import_uid)
    except NotFound:
        return None


def list_orphans(cluster: KubernetesClient, namespace: str, cleaned: Collection[str]) -> tuple[OrphanedJob, ...]:
    """Our Jobs without an owner, of imports that were deleted with `--cascade=orphan`: no others lose theirs.

    And those of imports that were cleaned up (their uids), made since by somebody who came late: no clean-up has given
    them a time to live.
    """
    listed = cluster.get(api_paths.jobs(namespace), labelSelector=LABEL_IMPORT_UID)["items"]
    return tuple(
        OrphanedJob(item["metadata"]["name"], item["metadata"]["uid"])
        for item in listed
        if not item["metadata"].get("ownerReferences")
        or (item["metadata"]["labels"][LABEL_IMPORT_UID] in cleaned and "ttlSecondsAfterFinished" not in item["spec"])
    )


def create_job(cluster: KubernetesClient, namespace: str, manifest: Json, import_uid: str) -> None:
    """May be repeated: one that exists is success if it is ours, else Conflict."""
    try:
        cluster.create(api_paths.jobs(namespace), manifest)
    except Conflict:
        found = read_job(cluster, namespace, manifest["metadata"]["name"], import_uid)
        if found is None or not found.ours or found.deleting:
            raise


def stop_job(cluster: KubernetesClient, namespace: str, name: str) -> None:
    """Ends its pods at once and keeps the Job, with the logs of the attempts that ended, for its TTL."""
    _patch(cluster, namespace, name, {"activeDeadlineSeconds": 1})


def set_job_ttl(cluster: KubernetesClient, namespace: str, name: str, seconds: int) -> None:
    """Only after the terminal status is written: a Job may vanish with its result otherwise."""
    _patch(cluster, namespace, name, {"ttlSecondsAfterFinished": seconds})


def delete_job(cluster: KubernetesClient, namespace: str, name: str, uid: str) -> None:
    """This one, and no successor of its name."""
    cluster.delete(api_paths.jobs(namespace, name), uid=uid)


def _patch(cluster: KubernetesClient, namespace: str, name: str, spec: Json) -> None:
    try:
        cluster.patch(api_paths.jobs(namespace, name), {"spec": spec})
    except NotFound:
        return

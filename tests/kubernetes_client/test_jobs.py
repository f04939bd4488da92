"""Tests of the Job of an import."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pgimport.kubernetes_client import api_paths, jobs
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict, Refused
from pgimport.model.names import LABEL_QUEUE

METADATA = {"uid": "job-uid", "creationTimestamp": "2026-01-01T11:00:00Z"}


def a_job(name: str, owner: str = "import-uid", **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "ownerReferences": [{"kind": "PostgresImport", "name": "debian", "uid": owner}]},
        "spec": {"backoffLimit": 2},
        "status": status,
    }


def test_our_job_may_be_created_again(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert (job.ours, job.suspended, job.complete, job.failed_reason) == (True, False, False, None)


def test_the_job_of_an_earlier_import_of_the_name_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name, "an-earlier-import"), "an-earlier-import")
    with pytest.raises(Conflict):
        jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert not job.ours


@pytest.mark.isolation
def test_a_foreign_job_with_the_name_is_refused(cluster: KubernetesClient, name: str) -> None:
    foreign = a_job(name)
    foreign["metadata"]["ownerReferences"] = []
    cluster.create(api_paths.jobs("shop"), foreign)
    with pytest.raises(Refused, match=f"Job {name} in namespace shop exists"):
        jobs.create_job(cluster, "shop", a_job(name), "import-uid")


def test_a_job_that_is_being_deleted_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    body = a_job(name)
    body["metadata"] |= {"deletionTimestamp": "2026-01-01T12:00:00Z", "finalizers": ["foregroundDeletion"]}
    cluster.create(api_paths.jobs("shop"), body)
    with pytest.raises(Conflict):
        jobs.create_job(cluster, "shop", a_job(name), "import-uid")


@pytest.mark.parametrize(
    ("conditions", "complete", "failed"),
    [
        pytest.param([], False, None, id="running"),
        pytest.param([{"type": "Complete", "status": "True"}], True, None, id="complete"),
        pytest.param(
            [{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}],
            False,
            "PodFailurePolicy",
            id="about to fail",
        ),
        pytest.param(
            [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}],
            False,
            "DeadlineExceeded",
            id="failed",
        ),
        pytest.param([{"type": "Failed", "status": "False", "reason": "x"}], False, None, id="not failed"),
    ],
)
def test_the_end_of_a_job_is_read_from_its_conditions(
    cluster: KubernetesClient, name: str, conditions: list[dict[str, str]], complete: bool, failed: str | None
) -> None:
    cluster.create(api_paths.jobs("shop"), a_job(name, conditions=conditions))
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert (job.complete, job.failed_reason) == (complete, failed)


def test_a_job_is_stopped_gets_a_ttl_and_is_deleted(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    jobs.stop_job(cluster, "shop", name)
    jobs.set_job_ttl(cluster, "shop", name, 60)
    spec = cluster.get(api_paths.jobs("shop", name))["spec"]
    assert spec == {"backoffLimit": 2, "activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 60}
    jobs.delete_job(cluster, "shop", name, "uid-of-an-earlier-job")
    uid = cluster.get(api_paths.jobs("shop", name))["metadata"]["uid"]
    jobs.delete_job(cluster, "shop", name, uid)
    assert jobs.read_job(cluster, "shop", name, "import-uid") is None


def test_stopping_a_missing_job_does_nothing(cluster: KubernetesClient, name: str) -> None:
    jobs.stop_job(cluster, "shop", name)
    jobs.set_job_ttl(cluster, "shop", name, 60)
    jobs.delete_job(cluster, "shop", name, "uid")
    assert jobs.read_job(cluster, "shop", name, "import-uid") is None


def test_the_queue_of_a_job_is_read_from_its_label(cluster: KubernetesClient, name: str) -> None:
    body = a_job(name)
    body["metadata"]["labels"] = {LABEL_QUEUE: "imports"}
    body["spec"]["suspend"] = True
    cluster.create(api_paths.jobs("shop"), body)
    held = jobs.read_job(cluster, "shop", name, "import-uid")
    assert held is not None
    assert (held.queue, held.suspended, held.started_at) == ("imports", True, None)
    resumed = {"spec": {"suspend": False}, "status": {"startTime": "2026-01-01T12:00:00Z"}}
    admitted = jobs.parse_job({**body, **resumed, "metadata": {**body["metadata"], **METADATA}}, "import-uid")
    assert (admitted.suspended, admitted.started_at) == (False, datetime(2026, 1, 1, 12, tzinfo=UTC))

"""Tests of Kueue's Workload of a Job."""

from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.workloads import parse_newest_workload, read_workload
from pgimport.model.names import LABEL_JOB_UID


def a_workload(name: str, job_uid: str = "job-uid", at: str = "2026-01-01T12:00:00Z", **conditions: Any) -> Any:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {"name": name, "labels": {LABEL_JOB_UID: job_uid}, "creationTimestamp": at},
        "spec": {"queueName": "imports"},
        "status": {
            "conditions": [
                {"type": kind, "status": status, "reason": "Pending", "message": message}
                for kind, (status, message) in conditions.items()
            ]
        },
    }


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        pytest.param({"QuotaReserved": ("False", "no quota")}, "no quota", id="waits for quota"),
        pytest.param(
            {"QuotaReserved": ("True", "Quota reserved"), "Admitted": ("False", "checks are not ready")},
            "checks are not ready",
            id="waits for a check",
        ),
        pytest.param({"Evicted": ("True", "The workload is deactivated")}, "The workload is deactivated", id="evicted"),
        pytest.param({"QuotaReserved": ("True", "Quota reserved"), "Admitted": ("True", "yes")}, None, id="admitted"),
        pytest.param({"QuotaReserved": ("False", "")}, None, id="no message"),
        pytest.param({}, None, id="not considered yet"),
    ],
)
def test_the_message_says_why_a_workload_is_not_admitted(conditions: Any, message: str | None) -> None:
    workload = parse_newest_workload([a_workload("first", **conditions)])
    assert workload is not None
    assert (workload.name, workload.message) == ("first", message)


CHECKS = [
    {"name": "budget", "state": "Ready", "message": ""},
    {"name": "nodes", "state": "Pending", "message": "Waiting for provisioning request"},
]
STALE = {"QuotaReserved": ("True", "Quota reserved in ClusterQueue imports"), "Admitted": ("False", "no reservation")}


@pytest.mark.parametrize(
    "conditions",
    [pytest.param({"QuotaReserved": STALE["QuotaReserved"]}, id="for the first time"), pytest.param(STALE, id="again")],
)
def test_a_workload_with_quota_names_the_check_that_it_waits_for(conditions: Any) -> None:
    """Kueue adds no condition Admitted before the first admission. After an eviction, it keeps the earlier one."""
    body = a_workload("first", **conditions)
    body["status"]["admissionChecks"] = CHECKS
    workload = parse_newest_workload([body])
    assert workload is not None
    assert workload.message == "admission check nodes is Pending: Waiting for provisioning request"


@pytest.mark.parametrize(
    ("evicted", "message"),
    [
        pytest.param({}, "The workload is deactivated", id="at once"),
        pytest.param(
            {"Evicted": ("True", "The workload is deactivated due to exceeding the maximum number of re-queuings")},
            "The workload is deactivated due to exceeding the maximum number of re-queuings",
            id="with its cause",
        ),
    ],
)
def test_a_deactivated_workload_does_not_say_that_it_waits_for_quota(evicted: Any, message: str) -> None:
    body = a_workload("first", QuotaReserved=("False", "insufficient unused quota"), **evicted)
    body["spec"]["active"] = False
    workload = parse_newest_workload([body])
    assert workload is not None
    assert workload.message == message


def test_the_newest_workload_counts() -> None:
    older = a_workload("older", at="2026-01-01T12:00:00Z")
    newer = a_workload("newer", at="2026-01-01T12:00:01Z")
    workload = parse_newest_workload([newer, older])
    assert workload is not None
    assert workload.name == "newer"
    assert parse_newest_workload([]) is None


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
def test_the_workload_of_a_job_is_found_by_the_jobs_uid(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str, version: str
) -> None:
    if version == "v1beta1":  # as an older Kueue answers
        kubernetes.refuse("GET", "/kueue.x-k8s.io/v1beta2/", 404)
    for uid in (name, f"{name}-2"):
        body = a_workload(f"job-{uid}", uid, QuotaReserved=("False", f"message of {uid}"))
        cluster.create(api_paths.workloads("shop", version), body)
    workload = read_workload(cluster, "shop", name)
    assert workload is not None
    assert workload.message == f"message of {name}"


@pytest.mark.parametrize("status", [404, 403, 500])
def test_no_kueue_no_right_and_no_answer_mean_no_workload(
    kubernetes: Kubernetes, cluster: KubernetesClient, status: int
) -> None:
    kubernetes.refuse("GET", "/kueue.x-k8s.io/", status, times=2)
    assert read_workload(cluster, "shop", "job-uid") is None

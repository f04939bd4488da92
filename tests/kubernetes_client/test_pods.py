"""Tests of parsed pods, and of the progress in their logs."""

import json
import secrets
from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes
from tests.support.samples import a_result

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.pods import delete_scratch_claim, list_pods, parse_pod, read_progress
from pgimport.model.errors import NotFound
from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.status import ImportPhase
from pgimport.model.termination_message import build_termination_message

AT = "2026-01-01T12:00:05Z"
ENDED = {"startedAt": "2026-01-01T12:00:01Z", "finishedAt": AT}
REPORT = build_termination_message(a_result("preflight"))


def a_status(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": 0, "image": "worker", "state": state}


def a_body(name: str = "pod-1", job: str = "job-uid", import_uid: str = "import-uid", **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"{name}-uid",
            "creationTimestamp": "2026-01-01T12:00:00Z",
            "labels": {LABEL_IMPORT_UID: import_uid},
            "ownerReferences": [{"kind": "Job", "name": "pgi", "uid": job, "controller": True}],
        },
        "spec": {"initContainers": [{"name": "preflight"}], "containers": [{"name": "import"}]},
        "status": status,
    }


def test_a_pod_that_only_names_the_job_as_an_owner_is_not_the_jobs() -> None:
    body = a_body()
    del body["metadata"]["ownerReferences"][0]["controller"]
    assert parse_pod(body).job_uid == ""


def test_a_pod_without_a_status_has_its_containers() -> None:
    pod = parse_pod(a_body())
    assert (pod.phase, pod.started_at, pod.has_ended, pod.job_uid) == ("Pending", None, False, "job-uid")
    assert pod.preflight is None
    assert pod.import_ is not None
    assert not pod.import_.ended


def test_a_finished_preflight_is_read_while_the_pod_runs() -> None:
    pod = parse_pod(
        a_body(
            phase="Running",
            initContainerStatuses=[a_status("preflight", terminated={"exitCode": 0, "message": REPORT, **ENDED})],
            containerStatuses=[a_status("import", running={"startedAt": AT})],
        )
    )
    assert pod.preflight is not None
    assert (pod.preflight.exit_code, pod.preflight.result) == (0, a_result("preflight"))
    assert pod.import_ is not None
    assert pod.import_.running_since is not None
    assert not pod.has_ended


def test_the_preflight_of_a_dry_run_is_its_only_container() -> None:
    body = a_body(
        phase="Running",
        containerStatuses=[a_status("preflight", terminated={"exitCode": 0, "message": REPORT, **ENDED})],
    )
    body["spec"] = {"containers": [{"name": "preflight"}]}
    pod = parse_pod(body)
    assert pod.import_ is None
    assert pod.has_ended


def test_a_waiting_container_has_a_reason() -> None:
    waiting = {"reason": "ErrImagePull", "message": "no such tag"}
    pod = parse_pod(a_body(phase="Pending", initContainerStatuses=[a_status("preflight", waiting=waiting)]))
    assert pod.preflight is not None
    assert (pod.preflight.waiting_reason, pod.preflight.waiting_message) == ("ErrImagePull", "no such tag")


def test_a_container_that_was_killed_for_its_memory() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", **ENDED}
    pod = parse_pod(a_body(phase="Failed", containerStatuses=[a_status("import", terminated=ended)]))
    assert pod.import_ is not None
    assert (pod.import_.exit_code, pod.import_.ended_reason, pod.import_.result) == (137, "OOMKilled", None)


@pytest.mark.parametrize(
    ("conditions", "disrupted"),
    [
        pytest.param([{"type": "DisruptionTarget", "status": "True"}], True, id="evicted"),
        pytest.param([{"type": "DisruptionTarget", "status": "False"}], False, id="not after all"),
        pytest.param([{"type": "Ready", "status": "True"}], False, id="something else"),
    ],
)
def test_a_disruption_is_a_condition(conditions: list[dict[str, str]], disrupted: bool) -> None:
    assert parse_pod(a_body(conditions=conditions)).disrupted is disrupted


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("failed to create containerd task\n", "failed to create containerd task", id="of the runtime"),
        pytest.param(REPORT[: len(REPORT) // 2], None, id="of the worker, and cut"),
        pytest.param(REPORT, None, id="a result"),
        pytest.param("", None, id="none"),
    ],
)
def test_a_container_keeps_the_words_of_kubernetes_about_its_end(message: str, shown: str | None) -> None:
    ended = {"exitCode": 128, "reason": "StartError", "message": message, **ENDED}
    pod = parse_pod(a_body(phase="Failed", containerStatuses=[a_status("import", terminated=ended)]))
    assert pod.import_ is not None
    assert pod.import_.ended_message == shown


def test_a_sidecar_that_runs_on_is_seen() -> None:
    running = {"running": {"startedAt": AT}}
    ended = {"terminated": {"exitCode": 0, **ENDED}}
    pod = parse_pod(
        a_body(
            phase="Running",
            initContainerStatuses=[a_status("native-sidecar", **running), a_status("preflight", **ended)],
            containerStatuses=[
                a_status("import", **running),
                a_status("agent", **ended),
                a_status("istio-proxy", **running),
            ],
        )
    )
    assert pod.kept_by == ("istio-proxy",)


@pytest.mark.parametrize("message", ["", "iptables: permission denied\n"])
def test_a_failed_container_of_others_is_seen(message: str) -> None:
    failed = {"terminated": {"exitCode": 255, "message": message, **ENDED}}
    waiting = {"waiting": {"reason": "PodInitializing"}}
    pod = parse_pod(
        a_body(
            phase="Failed",
            initContainerStatuses=[a_status("istio-init", **failed), a_status("preflight", **waiting)],
            containerStatuses=[a_status("import", **waiting)],
        )
    )
    words = f": {message.strip()}" if message else ""
    assert pod.broken_by == f"container istio-init, which others have added, ended with exit code 255{words}"


def test_a_pod_says_why_no_node_takes_it() -> None:
    gated = {"type": "PodScheduled", "reason": "SchedulingGated", "message": "Scheduling is blocked"}
    pods = [parse_pod(a_body(conditions=[{**gated, "status": status}])) for status in ("False", "True")]
    assert [pod.unscheduled for pod in pods] == ["SchedulingGated: Scheduling is blocked", None]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(REPORT[: len(REPORT) // 2], id="cut"),
        pytest.param("", id="empty"),
        pytest.param("Traceback (most recent call last):", id="a crash"),
        pytest.param('{"something": "else"}', id="somebody else's JSON"),
        pytest.param("[]", id="not an object"),
    ],
)
def test_a_foreign_termination_message_is_no_result(message: str) -> None:
    ended = {"exitCode": 0, "message": message, **ENDED}
    pod = parse_pod(a_body(phase="Succeeded", containerStatuses=[a_status("import", terminated=ended)]))
    assert pod.import_ is not None
    assert pod.import_.result is None
    assert pod.has_ended


def test_the_pods_of_an_import_are_listed_oldest_first(cluster: KubernetesClient) -> None:
    uid = secrets.token_hex(4)
    for name, second in (("young", "09"), ("old", "01")):
        body = a_body(f"{name}-{uid}", import_uid=uid)
        body["metadata"]["creationTimestamp"] = f"2026-01-01T12:00:{second}Z"
        cluster.create(api_paths.core("shop", "pods"), body)
    cluster.create(api_paths.core("shop", "pods"), a_body(f"other-{uid}", import_uid="other"))
    assert [pod.name for pod in list_pods(cluster, "shop", uid)] == [f"old-{uid}", f"young-{uid}"]


def a_line(percent: int, **more: Any) -> str:
    return json.dumps({"progress": {"phase": "data", "percent": percent, "tablesDone": 3, **more}})


@pytest.mark.parametrize(
    ("log", "percent"),
    [
        pytest.param(a_line(10) + "\n" + a_line(20) + "\n", 20, id="the newest"),
        pytest.param(a_line(10) + '\n{"message": "pg_dump: warning"}\nnot JSON\n[1]\n', 10, id="other lines after it"),
        pytest.param(a_line(10) + "\n" + a_line(20)[:-4], 10, id="a line that is not whole yet"),
        pytest.param(a_line(10) + '\n{"progress": {"phase": "a new phase"}}', 10, id="a phase that nobody knows"),
        pytest.param(a_line(10, fromAnotherVersion=1), 10, id="a field of another version"),
        pytest.param("", None, id="nothing yet"),
        pytest.param(None, None, id="no log"),
    ],
)
def test_progress_is_read_from_the_last_complete_line_of_the_log(
    kubernetes: Kubernetes, cluster: KubernetesClient, log: str | None, percent: int | None
) -> None:
    kubernetes.emulator.faults.logs.clear()
    if log is not None:
        kubernetes.emulator.faults.logs["pod-1"] = log
    progress = read_progress(cluster, "shop", "pod-1", "import")
    assert (progress.percent if progress else None) == percent
    if progress is not None:
        assert (progress.phase, progress.tables_done) == (ImportPhase.DATA, 3)
    request = kubernetes.requests("GET", "/pod-1/log")[-1]
    assert request.params["container"] == "import"
    assert int(request.params["tailLines"]) > 0


@pytest.mark.isolation
def test_the_claim_of_a_pods_scratch_volume_is_deleted_and_may_be_gone(cluster: KubernetesClient, name: str) -> None:
    path = api_paths.core("shop", "persistentvolumeclaims", f"{name}-scratch")
    cluster.create(
        api_paths.core("shop", "persistentvolumeclaims"),
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": f"{name}-scratch"}},
    )
    delete_scratch_claim(cluster, "shop", name)
    with pytest.raises(NotFound):
        cluster.get(path)
    delete_scratch_claim(cluster, "shop", name)

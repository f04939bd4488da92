"""Pods that are remembered after their deletion."""

import pytest
from tests.support.samples import BORN, a_container, a_copying_pod, a_failed_pod, a_finished_pod, a_pod

from pgimport.model.observations import ObservedPod
from pgimport.reconcile import pod_history as pod_history_module
from pgimport.reconcile import reconcile_context
from pgimport.reconcile.pod_history import PodHistory


def remembering(*pods: ObservedPod) -> PodHistory:
    pod_history = PodHistory()
    for pod in pods:
        pod_history.remember(pod)
    return pod_history


def test_a_pod_that_ended_is_returned_after_its_deletion() -> None:
    gone = a_finished_pod("gone")
    assert remembering(gone).merge("job-uid", []) == [gone]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_copying_pod("gone"), id="it was at work when it was last observed"),
        pytest.param(a_finished_pod("gone", job_uid="an earlier Job"), id="it was another Job's"),
    ],
)
def test_a_pod_that_did_not_end_or_that_has_another_job_is_not_returned(pod: ObservedPod) -> None:
    assert remembering(pod).merge("job-uid", []) == []


def test_a_listed_pod_replaces_the_remembered_one() -> None:
    listed = a_failed_pod("one")
    assert remembering(a_finished_pod("one")).merge("job-uid", [listed]) == [listed]


def test_the_last_status_of_a_pod_counts() -> None:
    last = a_failed_pod("one")
    assert remembering(a_pod("one"), last).merge("job-uid", []) == [last]


def test_pods_of_another_job_are_excluded_and_the_oldest_comes_first() -> None:
    old = a_failed_pod("old", created_at=BORN.replace(hour=1), import_=a_container("import", exit_code=1))
    young, other = a_pod("young"), a_pod("other", job_uid="an earlier Job")
    assert remembering(old).merge("job-uid", [young, other]) == [old, young]


def test_the_number_of_remembered_pods_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_history_module, "REMEMBERED_PODS", 2)
    pods = [a_finished_pod(uid) for uid in ("one", "two", "three")]
    assert [pod.uid for pod in remembering(*pods).merge("job-uid", [])] == ["three", "two"]


def test_imports_of_one_namespace_start_one_at_a_time() -> None:
    shared = reconcile_context.ReconcileContext(cluster=None, lists=None, policy=None)  # type: ignore[arg-type]
    assert shared.start_lock("shop") is shared.start_lock("shop")
    assert shared.start_lock("shop") is not shared.start_lock("other")

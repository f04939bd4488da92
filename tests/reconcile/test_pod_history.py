"""What is remembered of pods that are gone."""

import pytest
from tests.support.samples import BORN, a_container, a_copying_pod, a_failed_pod, a_finished_pod, a_pod

from pgimport.model.observations import ObservedPod
from pgimport.reconcile import context
from pgimport.reconcile import pod_history as pod_history_module
from pgimport.reconcile.pod_history import PodHistory


def remembering(*pods: ObservedPod) -> PodHistory:
    pod_history = PodHistory()
    for pod in pods:
        pod_history.remember(pod)
    return pod_history


def test_a_pod_that_was_seen_to_end_is_shown_after_it_has_gone() -> None:
    gone = a_finished_pod("gone")
    assert remembering(gone).merge("job-uid", []) == [gone]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_copying_pod("gone"), id="it was at work when it was last observed"),
        pytest.param(a_finished_pod("gone", job_uid="an earlier Job"), id="it was another Job's"),
    ],
)
def test_nothing_is_made_up(pod: ObservedPod) -> None:
    assert remembering(pod).merge("job-uid", []) == []


def test_what_is_there_says_more_than_what_is_remembered() -> None:
    now = a_failed_pod("one")
    assert remembering(a_finished_pod("one")).merge("job-uid", [now]) == [now]


def test_the_last_sight_of_a_pod_counts() -> None:
    last = a_failed_pod("one")
    assert remembering(a_pod("one"), last).merge("job-uid", []) == [last]


def test_pods_of_another_job_are_left_out_and_the_oldest_comes_first() -> None:
    old = a_failed_pod("old", created_at=BORN.replace(hour=1), import_=a_container("import", exit_code=1))
    young, other = a_pod("young"), a_pod("other", job_uid="an earlier Job")
    assert remembering(old).merge("job-uid", [young, other]) == [old, young]


def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_history_module, "REMEMBERED_PODS", 2)
    pods = [a_finished_pod(uid) for uid in ("one", "two", "three")]
    assert [pod.uid for pod in remembering(*pods).merge("job-uid", [])] == ["three", "two"]


def test_imports_of_one_namespace_start_one_at_a_time() -> None:
    made = context.ReconcileContext(cluster=None, policy=None)  # type: ignore[arg-type]
    assert made.start_lock("shop") is made.start_lock("shop")
    assert made.start_lock("shop") is not made.start_lock("other")

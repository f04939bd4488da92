"""Attempts: which pods count, how each ended, and when another one follows."""

from datetime import timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import RECENT, decide, reason
from tests.support.samples import (
    BORN,
    NOW,
    POD_UID,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_failed_result,
    a_finished_pod,
    a_pod,
    a_result,
    a_running_status,
    a_shadow,
    an_attempt,
    observed_running_import,
)

from pgimport.decide.attempts import pod_outcome
from pgimport.decide.decision import (
    DropAttempt,
)
from pgimport.model.observations import ObservedPod
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.status import ImportState

REPEATED = [
    pytest.param(
        a_failed_pod(), Reason.SOURCE_UNREACHABLE, RetryClassification.TRANSIENT, id="the source does not answer"
    ),
    pytest.param(
        a_failed_pod(reason=Reason.SCRATCH_FULL), Reason.SCRATCH_FULL, RetryClassification.RESOURCE, id="scratch full"
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="OOMKilled"),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="the kernel killed the worker",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=40, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="an exit code of ours without a result",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=1, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.WORKER_FAILED,
        RetryClassification.TRANSIENT,
        id="a crash",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            import_=a_container("import", exit_code=143, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="terminated from outside",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            deleting=True,
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="killed while it was being deleted",
    ),
    pytest.param(
        a_copying_pod(
            phase="Failed",
            reason="Evicted",
            message='Usage of EmptyDir volume "scratch" exceeds the limit "10Gi".',
            import_=a_container("import", exit_code=137, ended_at=RECENT, ended_reason="Error"),
        ),
        Reason.SCRATCH_FULL,
        RetryClassification.RESOURCE,
        id="evicted for its scratch",
    ),
    pytest.param(
        a_copying_pod(phase="Failed", reason="NodeLost", message="the node is gone", import_=None, preflight=None),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="ended without a container status",
    ),
    pytest.param(
        a_pod(
            phase="Failed",
            import_=a_container("import"),
            preflight=a_container(
                "preflight",
                exit_code=10,
                ended_at=RECENT,
                ended_reason="Error",
                result=a_failed_result(Reason.SOURCE_UNREACHABLE, step="preflight"),
            ),
        ),
        Reason.SOURCE_UNREACHABLE,
        RetryClassification.TRANSIENT,
        id="its preflight did not reach the source",
    ),
    pytest.param(
        a_copying_pod(phase="Failed", reason="Evicted", message="evicted", import_=a_container("import")),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="ended from outside between its two containers",
    ),
    pytest.param(
        a_finished_pod(import_=a_container("import", exit_code=0, ended_at=RECENT)),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="it completed without a result",
    ),
]


@pytest.mark.parametrize(("pod", "expected", "kind"), REPEATED)
def test_an_attempt_that_may_succeed_next_time_is_repeated(
    pod: ObservedPod, expected: Reason, kind: RetryClassification
) -> None:
    decision = decide(observed_running_import(status=a_running_status(shadow=a_shadow()), pods=(pod,)))
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, Reason.RETRYING)
    assert decision.message.startswith("Attempt 1 of 3 failed and is repeated: ")
    assert decision.actions == (DropAttempt(POD_UID),)
    attempt = decision.status.attempt_history[0]
    assert (attempt.reason, attempt.retry_classification, attempt.number) == (expected, kind, 1)
    assert attempt.ended_at is not None
    assert decision.status.retry_classification is kind


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        pytest.param(
            {"exit_code": 128, "ended_reason": "StartError", "ended_message": "no such file"},
            "container import of pod pod-pod-uid-1 ended with exit code 128 and no result: StartError: no such file",
            id="it never ran",
        ),
        pytest.param(
            {"exit_code": 137, "ended_reason": "ContainerStatusUnknown", "ended_message": "could not be located"},
            "pod pod-pod-uid-1 ended before its work was done: ContainerStatusUnknown: could not be located",
            id="its node was restarted",
        ),
        pytest.param(
            {"exit_code": 1, "ended_reason": "Error"},
            "container import of pod pod-pod-uid-1 ended with exit code 1 and no result",
            id="without a word",
        ),
    ],
)
def test_an_end_without_a_result_has_the_words_of_kubernetes(ended: dict[str, Any], message: str) -> None:
    outcome = pod_outcome(a_copying_pod(phase="Failed", import_=a_container("import", **ended)))
    assert outcome.failure is not None
    assert outcome.failure.message == message


@pytest.mark.parametrize(
    ("pod", "cause"),
    [
        pytest.param(a_failed_pod(), "Attempt 1 of 3 failed: it went wrong", id="failed"),
        pytest.param(
            a_copying_pod(phase="Failed", disrupted=True, message="node drain"),
            "An attempt was disrupted, which does not count: pod pod-pod-uid-1 was disrupted: node drain",
            id="disrupted",
        ),
    ],
)
def test_a_repeated_attempt_says_why_its_pod_is_refused(pod: ObservedPod, cause: str) -> None:
    status, refusal = a_running_status(shadow=a_shadow()), "FailedCreate: exceeded quota: small"
    observed = observed_running_import(status=status, pods=(pod,), waiting_since=BORN, start_warning=refusal)
    decision = decide(observed)
    assert reason(decision) == Reason.RETRYING
    assert decision.message == f"The next attempt does not start: {refusal}. {cause}"


def test_a_repeated_attempt_names_the_container_that_keeps_the_pod_of_the_last_one() -> None:
    pod = a_failed_pod(phase="Running", kept_by=("istio-proxy",))
    decision = decide(
        observed_running_import(status=a_running_status(shadow=a_shadow()), pods=(pod,), waiting_since=BORN)
    )
    assert reason(decision) == Reason.RETRYING
    expected = "pod pod-pod-uid-1 does not end, because container istio-proxy, which others have added, still runs"
    assert expected in decision.message


def test_a_container_of_others_that_fails_before_the_preflight_is_named() -> None:
    broken = "container istio-init, which others have added, ended with exit code 255"
    pod = a_pod(phase="Failed", broken_by=broken, preflight=a_container("preflight", waiting_reason="PodInitializing"))
    failure = pod_outcome(pod).failure
    assert failure is not None
    assert (failure.reason, failure.message) == (
        Reason.POD_GONE,
        f"pod pod-pod-uid-1 ended before its work was done: {broken}",
    )


def test_a_disrupted_pod_does_not_count_as_an_attempt() -> None:
    pod = a_copying_pod(phase="Failed", disrupted=True, message="node drain")
    decision = decide(observed_running_import(pods=(pod, a_pod("two"))))
    assert decision.status.state is ImportState.RUNNING
    assert [(attempt.number, attempt.reason) for attempt in decision.status.attempt_history] == [
        (0, "Disrupted"),
        (1, None),
    ]
    assert decision.status.attempts == 1


def test_a_pod_that_completed_before_its_disruption_is_a_success() -> None:
    decision = decide(observed_running_import(pods=(a_finished_pod(disrupted=True),)))
    assert decision.status.shadow == a_shadow(verified=True, verified_at=NOW)


def test_a_pod_that_vanished_reads_pod_gone_and_another_one_is_awaited() -> None:
    status = a_running_status(attempt_history=[an_attempt()], shadow=a_shadow())
    decision = decide(observed_running_import(status=status, pods=()), BORN + timedelta(hours=1))
    attempt = decision.status.attempt_history[0]
    assert decision.status.state is ImportState.RUNNING
    assert (attempt.reason, attempt.ended_at) == ("PodGone", BORN + timedelta(hours=1))
    assert decision.actions == (DropAttempt(POD_UID),)


def test_a_pod_that_is_deleted_late_in_an_import_is_no_start_timeout() -> None:
    status = a_running_status(attempt_history=[an_attempt()], shadow=a_shadow(), progress=None)
    decision = decide(
        observed_running_import(status=status, pods=(a_copying_pod(deleting=True),)), BORN + timedelta(hours=1)
    )
    assert decision.status.state is ImportState.RUNNING


def test_the_output_of_the_last_container_is_kept() -> None:
    ended = a_container(
        "import", exit_code=76, ended_at=NOW, result=a_result(ok=False, stdout_tail="out", stderr_tail="err")
    )
    shown = decide(observed_running_import(pods=(a_copying_pod(phase="Failed", import_=ended),))).status
    assert (shown.last_stdout, shown.last_stderr, shown.last_exit_code) == ("out", "err", 76)


def test_an_attempt_keeps_its_error_hint_and_output_after_the_next_one_has_begun() -> None:
    failed = a_container(
        "import",
        exit_code=13,
        ended_at=RECENT,
        result=a_failed_result(Reason.WORKER_FAILED, "KeyError: 'users' (SQLSTATE 42P01)").model_copy(
            update={"stdout_tail": "o" * 900 + " the end", "stderr_tail": "pg_dump: the last"}
        ),
    )
    pods = (a_copying_pod("one", phase="Failed", import_=failed), a_pod("two"))
    first, second = decide(observed_running_import(pods=pods)).status.attempt_history
    assert (first.number, first.pod, first.exit_code, first.reason) == (1, "pod-one", 13, Reason.WORKER_FAILED)
    assert (first.started_at, first.ended_at) == (BORN, RECENT)
    assert (first.error, first.hint) == ("KeyError: 'users' (SQLSTATE 42P01)", Failure(Reason.WORKER_FAILED, "").hint)
    assert (first.last_stderr, (first.last_stdout or "")[-8:]) == ("pg_dump: the last", " the end")
    assert len(first.last_stdout or "") == 400
    assert (second.number, second.reason, second.hint, second.last_stdout) == (2, None, None, None)

"""Failures that end a running import."""

from datetime import timedelta

import pytest
from tests.decide.import_decisions import decide, reason
from tests.support.samples import (
    BORN,
    NOW,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_failed_result,
    a_finished_pod,
    a_job,
    a_pod,
    a_preview,
    a_project,
    a_project_spec,
    a_running_status,
    an_attempt,
    an_import_spec,
    observed_running_import,
)

from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.reasons import Reason, RetryClassification
from pgimport.model.status import ImportState

FINAL_FAILURES = [
    pytest.param(
        observed_running_import(pods=(a_failed_pod(reason=Reason.SOURCE_AUTH_FAILED),)),
        Reason.SOURCE_AUTH_FAILED,
        RetryClassification.PERMANENT,
        id="the password is wrong",
    ),
    pytest.param(
        observed_running_import(
            pods=(
                a_pod(
                    phase="Failed",
                    preflight=a_container(
                        "preflight",
                        exit_code=73,
                        ended_at=NOW,
                        result=a_failed_result(Reason.EXTENSION_NOT_ALLOWED, step="preflight"),
                    ),
                ),
            )
        ),
        Reason.EXTENSION_NOT_ALLOWED,
        RetryClassification.PERMANENT,
        id="the preflight failed",
    ),
    pytest.param(
        observed_running_import(
            pods=(a_copying_pod(phase="Failed", import_=a_container("import", exit_code=77, ended_at=NOW)),)
        ),
        Reason.VERIFICATION_FAILED,
        RetryClassification.PERMANENT,
        id="a final exit code without a result",
    ),
    pytest.param(
        observed_running_import(an_import_spec(maxAttempts=2), pods=(a_failed_pod("one"), a_failed_pod("two"))),
        Reason.SOURCE_UNREACHABLE,
        RetryClassification.TRANSIENT,
        id="the last attempt failed",
    ),
    pytest.param(
        observed_running_import(
            an_import_spec(maxAttempts=1), a_running_status(attempt_history=[an_attempt()]), pods=()
        ),
        Reason.POD_GONE,
        RetryClassification.TRANSIENT,
        id="the last attempt's pod vanished",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                attempt_history=[an_attempt(f"n{at}", 0, reason="Disrupted", ended_at=BORN) for at in range(10)]
            )
        ),
        Reason.DISRUPTED,
        RetryClassification.TRANSIENT,
        id="too many disruptions",
    ),
    pytest.param(
        observed_running_import(job=None, pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job was deleted",
    ),
    pytest.param(
        observed_running_import(job=a_job(ours=False), pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job of this name is somebody else's",
    ),
    pytest.param(
        observed_running_import(job=a_job(complete=True), pods=()),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job is complete and its pod is gone",
    ),
    pytest.param(
        observed_running_import(
            job=a_job(complete=True), pods=(a_finished_pod(import_=a_container("import", exit_code=0, ended_at=NOW)),)
        ),
        Reason.RESULT_LOST,
        RetryClassification.TRANSIENT,
        id="the job is complete and its pod left no result",
    ),
    pytest.param(
        observed_running_import(job=a_job(failed_reason="DeadlineExceeded"), pods=()),
        Reason.DEADLINE_EXCEEDED,
        RetryClassification.TRANSIENT,
        id="the job's own deadline",
    ),
    pytest.param(
        observed_running_import(job=a_job(failed_reason="BackoffLimitExceeded", failed_message="no more"), pods=()),
        Reason.WORKER_FAILED,
        RetryClassification.TRANSIENT,
        id="the job failed and nobody knows expected",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                attempt_history=[an_attempt(reason="WorkerOutOfMemory", error="it ran out of memory", ended_at=BORN)]
            ),
            job=a_job(failed_reason="BackoffLimitExceeded"),
            pods=(),
        ),
        Reason.WORKER_OUT_OF_MEMORY,
        RetryClassification.RESOURCE,
        id="the job failed and the history knows expected",
    ),
    pytest.param(
        observed_running_import(
            project=a_project(a_project_spec(storageLimitBytes=1000)), shadow_bytes=1001, pods=(a_copying_pod(),)
        ),
        Reason.SOURCE_TOO_LARGE,
        RetryClassification.PERMANENT,
        id="the copy exceeds the storage limit",
    ),
    pytest.param(
        observed_running_import(preview=None, pods=(a_copying_pod(),)),
        Reason.TARGET_GONE,
        RetryClassification.PERMANENT,
        id="the preview was deleted during the copy",
    ),
    pytest.param(
        observed_running_import(preview=a_preview(deleting=True)),
        Reason.TARGET_GONE,
        RetryClassification.PERMANENT,
        id="the preview is being deleted during the copy",
    ),
]


@pytest.mark.parametrize(("observed", "expected", "kind"), FINAL_FAILURES)
def test_a_final_failure_ends_the_import_with_its_reason(
    observed: ObservedImport, expected: Reason, kind: RetryClassification
) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, expected)
    assert decision.status.retry_classification is kind
    assert decision.status.completed_at == NOW
    assert decision.actions == ()  # the next reconcile cleans up
    assert decision.requeue_after == timedelta(0)


def test_the_error_is_the_workers_message_and_a_hint() -> None:
    failed = a_container(
        "import",
        exit_code=76,
        ended_at=NOW,
        result=a_failed_result(Reason.RESTORE_FAILED, 'relation "users" does not exist (42P01)'),
    )
    shown = decide(observed_running_import(pods=(a_copying_pod(phase="Failed", import_=failed),))).status
    assert shown.error is not None
    assert shown.error.startswith('relation "users" does not exist (42P01) (hint: ')

"""Timeouts that the operator measures with its own clock."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import COPYING, NEW_PROGRESS, decide, reason
from tests.support.samples import (
    BORN,
    NOW,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_job,
    a_pod,
    a_policy,
    a_project,
    a_project_spec,
    a_running_status,
    a_shadow,
    an_attempt,
    an_import,
    an_import_spec,
    observed_import,
    observed_running_import,
    passed_preflight,
)

from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.timeouts import awaited_stage
from pgimport.model.observations import ObservedJob, ObservedPod
from pgimport.model.reasons import Reason, RetryClassification
from pgimport.model.status import ImportPhase, ImportState, ImportStatus, Progress

WAITING_POD = a_pod(
    preflight=a_container("preflight", waiting_reason="ImagePullBackOff", waiting_message="no such tag")
)
TIMEOUTS = [
    pytest.param(
        observed_running_import(),
        timedelta(hours=6, seconds=1),
        Reason.DEADLINE_EXCEEDED,
        "spec.timeout (6h)",
        id="the timeout",
    ),
    pytest.param(
        observed_running_import(pods=(), waiting_since=BORN),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "Kubernetes gives no reason",
        id="no pod",
    ),
    pytest.param(
        observed_running_import(pods=(), waiting_since=BORN, start_warning="FailedCreate: exceeded quota"),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "exceeded quota",
        id="no pod, and an event says expected",
    ),
    pytest.param(
        observed_running_import(pods=(WAITING_POD,), waiting_since=BORN),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "ImagePullBackOff: no such tag",
        id="a container waits",
    ),
    pytest.param(
        observed_running_import(
            pods=(WAITING_POD,), waiting_since=BORN, start_warning="FailedToRetrieveImagePullSecret: no regcred"
        ),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "ImagePullBackOff: no such tag. FailedToRetrieveImagePullSecret: no regcred",
        id="a container waits for lack of a Secret",
    ),
    pytest.param(
        observed_running_import(
            status=COPYING,
            waiting_since=BORN,
            pods=(a_copying_pod(import_=a_container("import", waiting_reason="CrashLoop")),),
        ),
        timedelta(minutes=5, seconds=1),
        Reason.START_TIMEOUT,
        "CrashLoop",
        id="the second container never starts",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(attempt_history=[an_attempt(reason="SourceUnreachable", cleaned_up=True)]),
            pods=(),
            waiting_since=BORN,
        ),
        timedelta(minutes=12, seconds=1),
        Reason.START_TIMEOUT,
        "no container was running",
        id="no second attempt",
    ),
    pytest.param(
        observed_running_import(pods=(a_pod(),), waiting_since=BORN),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress in phase preflight within spec.stallTimeout (10m)",
        id="a preflight without an end",
    ),
    pytest.param(
        observed_running_import(status=COPYING, pods=(a_copying_pod(),)),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress in phase data within spec.stallTimeout (10m)",
        id="no progress",
    ),
    pytest.param(
        observed_running_import(status=COPYING, pods=(a_copying_pod(deleting=True),)),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "within spec.stallTimeout (10m): pod pod-pod-uid-1 is being deleted, and its node has not confirmed",
        id="a pod that a dead node never ends",
    ),
    pytest.param(
        observed_running_import(
            status=a_running_status(
                shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN + timedelta(hours=1))
            ),
            pods=(a_copying_pod(),),
            observed_since=BORN,
        ),
        timedelta(minutes=10, seconds=1),
        Reason.STALLED,
        "no progress",
        id="no progress since an operator whose clock was ahead of ours",
    ),
]


@pytest.mark.parametrize(("observed", "after", "expected", "text"), TIMEOUTS)
def test_an_import_that_exceeds_a_timeout_fails(
    observed: ObservedImport, after: timedelta, expected: Reason, text: str
) -> None:
    decision = decide(observed, BORN + after)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, expected)
    assert text in (decision.status.error or "")


@pytest.mark.parametrize(("observed", "after", "expected", "text"), TIMEOUTS)
def test_an_import_within_its_timeouts_goes_on(
    observed: ObservedImport, after: timedelta, expected: Reason, text: str
) -> None:
    assert decide(observed, BORN + after - timedelta(seconds=2)).status.state is ImportState.RUNNING


AN_HOUR = timedelta(hours=1)
NO_SECRET = (Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")
WAITING = ImportStatus(state=ImportState.PENDING, pending_since=BORN)
PATIENT = an_import_spec(pendingTimeout="1h")


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        pytest.param({"missing_mount": NO_SECRET}, "waits for Secret source with the key url", id="Secret"),
        pytest.param({"project": None}, "waits for Project shop, which does not exist", id="Project"),
        pytest.param({"preview": None}, "waits for PreviewDatabase pr-42, which does not exist", id="target"),
        pytest.param(
            {
                "project": a_project(a_project_spec(limits={"maxConcurrentImports": 1})),
                "other_imports": (
                    an_import(an_import_spec(target={"previewDatabase": "pr-1"}), a_running_status(), uid="other"),
                ),
            },
            "waits for a free slot",
            id="slot",
        ),
    ],
)
def test_an_import_that_waits_longer_than_it_may_fails(changes: dict[str, Any], obstacle: str) -> None:
    observed = observed_import(PATIENT, WAITING, **changes)
    almost, over = decide(observed, BORN + AN_HOUR - timedelta(seconds=3)), decide(observed, BORN + AN_HOUR)
    assert (almost.status.state, almost.requeue_after) == (ImportState.PENDING, timedelta(seconds=3))
    assert (over.status.state, reason(over)) == (ImportState.FAILED, Reason.PENDING_TIMEOUT)
    assert f"within spec.pendingTimeout (1h): the import {obstacle}" in (over.status.error or "")
    assert over.status.retry_classification is RetryClassification.TRANSIENT


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(observed_import(status=WAITING, missing_mount=NO_SECRET), id="without a limit"),
        pytest.param(
            observed_import(an_import_spec(pendingTimeout="1h", suspend=True), WAITING, missing_mount=NO_SECRET),
            id="while it is suspended",
        ),
    ],
)
def test_an_import_may_wait_for_ever(observed: ObservedImport) -> None:
    decision = decide(observed, BORN + timedelta(days=365))
    assert decision.status.state is ImportState.PENDING
    assert decision.requeue_after == a_policy().longest_waiting_interval


@pytest.mark.parametrize(
    ("waited", "seconds"),
    [
        pytest.param(timedelta(0), 1, id="new"),
        pytest.param(timedelta(minutes=2), 15, id="for a short time"),
        pytest.param(timedelta(minutes=10), 60, id="for a while"),
        pytest.param(timedelta(days=30), 120, id="for very long"),
    ],
)
def test_an_import_that_waits_for_long_is_looked_at_less_often(waited: timedelta, seconds: int) -> None:
    """Seen before: 300 imports that waited for Secrets kept the operator busy, each with a look every 10 s."""
    observed = observed_import(status=WAITING, missing_mount=NO_SECRET)
    assert decide(observed, BORN + waited).requeue_after == timedelta(seconds=seconds)


QUEUED_JOB = a_job(suspended=True, queue="tenants")


@pytest.mark.parametrize(("queued_for", "seconds"), [(timedelta(0), 15), (timedelta(hours=5), 120)])
def test_an_import_that_is_queued_for_long_is_looked_at_less_often(queued_for: timedelta, seconds: int) -> None:
    status = a_running_status(state=ImportState.PENDING, started_at=None, progress=None, queued=True)
    observed = observed_running_import(status=status, job=replace(QUEUED_JOB, created_at=NOW - queued_for), pods=())
    assert decide(observed, NOW).requeue_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("changes", "waited", "seconds"),
    [
        pytest.param({"pods": (a_copying_pod(),)}, None, 5, id="it copies"),
        pytest.param({"pods": (WAITING_POD,)}, timedelta(seconds=20), 5, id="no container runs yet"),
        pytest.param({"pods": (WAITING_POD,)}, timedelta(minutes=4), 24, id="no container runs for a while"),
        pytest.param({"pods": (WAITING_POD,)}, timedelta(minutes=4, seconds=55), 6, id="almost too long"),
        pytest.param({"pods": ()}, timedelta(minutes=4, seconds=50), 11, id="almost too long without a pod"),
        pytest.param({"pods": (a_pod(),)}, timedelta(minutes=9, seconds=50), 11, id="a preflight almost hangs"),
    ],
)
def test_a_running_import_is_looked_at_often_while_it_may_report_progress(
    changes: dict[str, Any], waited: timedelta | None, seconds: int
) -> None:
    """A limit is found one second after it."""
    waiting_since = NOW - waited if waited is not None else None
    observed = observed_running_import(waiting_since=waiting_since, observed_since=NOW, **changes)
    assert decide(observed, NOW).requeue_after == timedelta(seconds=seconds)


def test_a_start_of_the_operator_does_not_make_it_look_at_all_waiting_imports_often() -> None:
    """`waiting_since` begins anew with each start."""
    status = a_running_status(updated_at=NOW - timedelta(minutes=10))
    spec = an_import_spec(startTimeout="24h")
    observed = observed_running_import(spec, status, pods=(WAITING_POD,), waiting_since=NOW)
    assert decide(observed, NOW).requeue_after == timedelta(seconds=60)


def test_the_timeout_of_an_import_without_a_container_is_found_on_time() -> None:
    spec = an_import_spec(startTimeout="24h", timeout="2h")
    observed = observed_running_import(spec, pods=(), waiting_since=BORN)
    almost = decide(observed, BORN + timedelta(hours=1, minutes=59))
    assert almost.requeue_after == timedelta(seconds=61)
    assert reason(decide(observed, BORN + timedelta(hours=2, seconds=1))) == Reason.DEADLINE_EXCEEDED


def test_an_import_that_can_start_does_so_after_its_limit() -> None:
    """The operator may have been down when the Secret appeared."""
    assert decide(observed_import(PATIENT, WAITING), BORN + 2 * AN_HOUR).status.state is ImportState.RUNNING


def test_a_running_import_has_no_limit_to_its_wait() -> None:
    started = decide(observed_import(PATIENT, WAITING)).status
    assert started.pending_since is None
    observed = observed_running_import(PATIENT, a_running_status(), pods=(a_copying_pod(),), observed_since=BORN)
    assert decide(observed, BORN + timedelta(minutes=9)).status.pending_since is None


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(None, NOW, id="its first reconcile"),
        pytest.param(BORN, BORN, id="a later one"),
        pytest.param(NOW + AN_HOUR, NOW, id="after an operator whose clock was ahead of ours"),
    ],
)
def test_the_wait_begins_with_the_first_reconcile(shown: datetime | None, expected: datetime) -> None:
    created = {"created_at": NOW - timedelta(days=1)}  # by the API server's clock
    observed = observed_import(PATIENT, ImportStatus(pending_since=shown), missing_mount=NO_SECRET, meta=created)
    decision = decide(observed)
    assert (decision.status.state, decision.status.pending_since) == (ImportState.PENDING, expected)


def test_the_wait_begins_anew_after_a_suspension() -> None:
    suspended = decide(observed_import(an_import_spec(pendingTimeout="1h", suspend=True), WAITING)).status
    assert suspended.pending_since is None
    resumed = decide(observed_import(PATIENT, suspended, missing_mount=NO_SECRET), BORN + 2 * AN_HOUR).status
    assert (resumed.state, resumed.pending_since) == (ImportState.PENDING, BORN + 2 * AN_HOUR)


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(
            observed_running_import(pods=(a_pod(),), waiting_since=BORN + AN_HOUR - timedelta(minutes=6)),
            id="a preflight that runs",
        ),
        pytest.param(
            observed_running_import(
                status=COPYING, pods=(a_copying_pod(),), observed_since=BORN + AN_HOUR - timedelta(minutes=1)
            ),
            id="an operator that has just started",
        ),
        pytest.param(
            observed_running_import(status=COPYING, pods=(a_copying_pod(),), progress=NEW_PROGRESS),
            id="a worker that has just logged progress",
        ),
        pytest.param(
            observed_running_import(
                status=a_running_status(
                    attempt_history=[an_attempt(reason="SourceUnreachable", ended_at=BORN, cleaned_up=True)]
                ),
                pods=(),
                waiting_since=BORN + AN_HOUR - timedelta(minutes=6),
            ),
            id="the Job controller's own pause between two attempts",
        ),
    ],
)
def test_a_pause_with_a_reason_is_no_stall(observed: ObservedImport) -> None:
    assert decide(observed, BORN + AN_HOUR).status.state is ImportState.RUNNING


@pytest.mark.parametrize(
    ("skew", "job", "pods"),
    [
        (skew, job, pods)
        for skew in (-AN_HOUR, AN_HOUR)
        for job, pods in (
            (a_job(created_at=NOW + skew), ()),
            (a_job(), (a_pod(created_at=NOW + skew, started_at=NOW + skew),)),
            (a_job(), (a_copying_pod(preflight=passed_preflight(NOW + skew)),)),
            (a_job(), (a_failed_pod(import_=a_container("import", exit_code=10, ended_at=NOW + skew)),)),
        )
    ],
)
def test_clocks_of_nodes_and_of_the_api_server_may_be_an_hour_off(
    skew: timedelta, job: ObservedJob, pods: tuple[ObservedPod, ...]
) -> None:
    observed = observed_running_import(status=COPYING, job=job, pods=pods, waiting_since=NOW, observed_since=NOW)
    assert decide(observed, NOW + timedelta(minutes=4)).status.state is ImportState.RUNNING
    logged = Progress(phase=ImportPhase.DATA, percent=6, at=NOW + skew)
    observed = observed_running_import(status=COPYING, pods=(a_copying_pod(),), progress=logged)
    shown = decide(observed).status.progress
    assert shown == logged.model_copy(update={"at": NOW, "said_at": NOW + skew})


STAGES = [
    pytest.param(None, (), None, id="no Job"),
    pytest.param(a_job(suspended=True), (), None, id="a Job that a queue holds"),
    pytest.param(a_job(), (), "a pod", id="no pod yet"),
    pytest.param(a_job(), (a_failed_pod("one"),), "a pod after one", id="no second pod yet"),
    pytest.param(a_job(), (a_pod("one"),), "end of preflight of one", id="its preflight runs"),
    pytest.param(a_job(), (a_pod("one", preflight=None),), "preflight of one", id="no container of it runs"),
    pytest.param(
        a_job(),
        (a_pod("one", preflight=passed_preflight()),),
        "import of one",
        id="its import container has not started",
    ),
    pytest.param(a_job(), (a_copying_pod("one"),), None, id="it copies"),
    pytest.param(a_job(), (a_pod("one", preflight=None, deleting=True),), "preflight of one", id="it never ran"),
]


@pytest.mark.parametrize(("job", "pods", "stage"), STAGES)
def test_the_awaited_stage_follows_from_job_and_pods(
    job: ObservedJob | None, pods: tuple[ObservedPod, ...], stage: str | None
) -> None:
    assert awaited_stage(job, pods) == stage

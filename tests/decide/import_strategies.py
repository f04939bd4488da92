"""Hypothesis strategies for observations of an import and for sequences of events."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_finished_pod,
    a_job,
    a_meta,
    a_pod,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    a_server,
    a_shadow,
    a_swap,
    a_workload,
    an_attempt,
    an_import,
    an_import_spec,
    passed_preflight,
)

from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.observations import EVENT_NO_PULL_KEY, Unreachable
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject
from pgimport.model.status import (
    Condition,
    ConditionStatus,
    ImportPhase,
    ImportState,
    ImportStatus,
    PreviewState,
    Progress,
)

UNREACHABLE = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "no answer"))

specs = st.one_of(
    st.none(),
    st.builds(
        an_import_spec,
        suspend=st.booleans(),
        cancel=st.booleans(),
        recreate=st.booleans(),
        dryRun=st.booleans(),
        maxAttempts=st.integers(1, 10),
        timeout=st.sampled_from(["1m", "6h"]),
        pendingTimeout=st.sampled_from([None, "1s", "144h"]),
        engine=st.sampled_from(["auto", "dump", "relay"]),
    ),
)
uids = st.sampled_from(["one", "two", "three"])
times = st.sampled_from([BORN, NOW, NOW + timedelta(hours=7)])
containers = st.one_of(
    st.none(),
    st.builds(
        a_container,
        st.sampled_from(["preflight", "import"]),
        running_since=st.none() | times,
        waiting_reason=st.none() | st.just("ErrImagePull"),
        exit_code=st.none() | st.sampled_from([0, 1, 10, 40, 66, 77, 137, 143, 255]),
        ended_at=st.none() | times,
        ended_reason=st.sampled_from([None, "OOMKilled", "Error", "StartError", "ContainerStatusUnknown"]),
        ended_message=st.sampled_from([None, "container init was OOM-killed"]),
    ),
)
pods = st.one_of(
    st.builds(
        a_pod,
        uids,
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        deleting=st.booleans(),
        disrupted=st.booleans(),
        reason=st.sampled_from([None, "Evicted"]),
        broken_by=st.sampled_from([None, "container istio-init failed"]),
        kept_by=st.sampled_from([(), ("istio-proxy",)]),
        preflight=containers | st.just(passed_preflight()),
        import_=containers,
        created_at=times,
    ),
    st.builds(a_finished_pod, uids, disrupted=st.booleans(), kept_by=st.sampled_from([(), ("istio-proxy",)])),
    st.builds(a_failed_pod, uids, st.sampled_from([Reason.SOURCE_UNREACHABLE, Reason.RESTORE_FAILED])),
    st.builds(a_copying_pod, uids),
)
attempts = st.lists(
    st.builds(
        an_attempt,
        uids,
        st.integers(0, 10),
        ended_at=st.none() | times,
        cleaned_up=st.none() | st.booleans(),
        reason=st.sampled_from([None, "Disrupted", "Preempted", "PodGone", "SourceUnreachable", "FromAnotherVersion"]),
        error=st.none() | st.just("it went wrong"),
    ),
    max_size=2,
    unique_by=lambda item: item.pod_uid,
)
conditions = st.lists(
    st.builds(
        Condition,
        type=st.sampled_from(["Ready", "Stalled", "Else"]),
        status=st.sampled_from(list(ConditionStatus)),
        reason=st.sampled_from(["WaitingForSlot", "Else"]),
        last_transition_time=times,
    ),
    max_size=2,
    unique_by=lambda item: item.type,
)
progresses = st.none() | st.builds(
    Progress, phase=st.sampled_from(list(ImportPhase)), percent=st.integers(0, 100), at=times, said_at=st.none() | times
)
statuses = st.builds(
    a_running_status,
    state=st.none() | st.sampled_from(list(ImportState)),
    started_at=st.none() | times,
    pending_since=st.none() | times,
    job=st.none() | st.just("pgi-debian"),
    attempt_history=attempts,
    conditions=conditions,
    progress=progresses,
    shadow=st.none() | st.builds(a_shadow, uids, verified=st.booleans(), oid=st.none() | st.just(200)),
    cleaned_up=st.none() | st.booleans(),
    completed_at=st.none() | times,
    updated_at=st.none() | times,
    upload_signed_at=st.none() | times,
    error=st.none() | st.just("the first error"),
    observed_generation=st.integers(-1, 3),
)
projects: st.SearchStrategy[ProjectObject | None] = st.one_of(
    st.none(),
    st.builds(
        a_project,
        st.builds(
            a_project_spec,
            limits=st.builds(dict, maxConcurrentImports=st.integers(1, 2)),
            namespace=st.sampled_from(["shop", "other"]),
            queueName=st.none() | st.just("imports"),
            storageLimitBytes=st.just(1000),
        ),
        st.builds(ProjectStatus, ready=st.none() | st.booleans()),
    ),
    st.just(ProjectObject(meta=a_meta("shop"), spec=None, spec_error="spec.server: wrong")),
)
previews: st.SearchStrategy[PreviewObject | None] = st.one_of(
    st.none(),
    st.builds(
        a_preview,
        status=st.builds(
            a_ready_status,
            state=st.none() | st.sampled_from(list(PreviewState)),
            active_import=st.sampled_from([None, IMPORT_UID, "somebody"]),
            database=st.none() | st.just("db"),
        ),
        deleting=st.booleans(),
    ),
)


def build_object(spec: Any, status: ImportStatus, generation: int, deleting: bool, age: int = 0) -> ImportObject:
    meta = a_meta(generation=generation, deleting=deleting, created_at=BORN - timedelta(seconds=age))
    error = None if spec else "spec: cannot be read"
    return ImportObject(meta=meta, spec=spec, spec_error=error, status=status)


objects = st.builds(build_object, specs, statuses, st.integers(1, 3), st.booleans())
others = st.lists(
    st.builds(
        an_import,
        specs.filter(bool),
        statuses,
        name=st.just("other"),
        uid=uids,
        created_at=st.sampled_from([BORN - timedelta(seconds=1), BORN + timedelta(seconds=1)]),
    ),
    max_size=1,
).map(tuple)


@st.composite
def any_observation(draw: st.DrawFn) -> ObservedImport:
    item = draw(objects)
    starting = item.status.state is ImportState.RUNNING and item.status.job is None
    return ObservedImport(
        object=item,
        observed_since=draw(times),
        waiting_since=draw(st.none() | times),
        project=draw(projects),
        preview=draw(previews),
        other_imports=draw(others),
        missing_mount=draw(st.sampled_from([None, (Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")])),
        job=draw(
            st.none()
            | st.builds(
                a_job,
                ours=st.booleans(),
                complete=st.booleans(),
                queue=st.none() | st.just("imports"),
                suspended=st.booleans(),
                started_at=st.none() | times,
                ttl_set=st.booleans(),
                failed_reason=st.sampled_from([None, "DeadlineExceeded", "BackoffLimitExceeded"]),
            )
        ),
        workload=draw(st.sampled_from([None, a_workload(), a_workload(message=None)])),
        pods=tuple(draw(st.lists(pods, max_size=2, unique_by=lambda pod: pod.uid))),
        progress=draw(progresses),
        start_warning=draw(st.sampled_from([None, "FailedMount: no such Secret", f"{EVENT_NO_PULL_KEY}: no key"])),
        swap_refusal=draw(st.none() | st.just(Failure(Reason.TARGET_NOT_REPLACEABLE, "it has another owner"))),
        server=draw(st.just(a_server()) | st.just(UNREACHABLE)) if starting else None,
        target_objects=draw(st.none() | st.just(()) | st.just(("table public.users",)) | st.just(UNREACHABLE)),
        swap=draw(
            st.none()
            | st.just(UNREACHABLE)
            | st.builds(
                a_swap,
                target_oid=st.sampled_from([None, 100, 200]),
                shadow_oid=st.sampled_from([None, 200]),
                target_open=st.booleans(),
            )
        ),
        shadow_bytes=draw(st.none() | st.sampled_from([1, 10_000])),
    )


events = st.one_of(
    st.sampled_from(
        [
            ("pod_appears",),
            ("pod_appears",),
            ("pod_appears",),
            ("preflight_passes",),
            ("preflight_passes",),
            ("pod_completes",),
            ("pod_completes",),
            ("pod_is_disrupted",),
            ("pod_vanishes",),
            ("queue_admits",),
            ("queue_admits",),
            ("queue_preempts",),
            ("preempted_pods_end", True),
            ("preempted_pods_end", False),
            ("job_vanishes",),
            ("preview_is_deleted",),
            ("source_changes", False),
            ("source_changes", True),
            ("set_option", "cancel", True),
            ("set_option", "suspend", True),
            ("set_option", "suspend", False),
            ("set_option", "suspend", False),
            ("attempt_fails", Reason.SOURCE_UNREACHABLE),
            ("attempt_fails", Reason.SOURCE_UNREACHABLE),
            ("attempt_fails", Reason.RESTORE_FAILED),
            ("time_passes", 2),
            ("time_passes", 400),
            ("time_passes", 7 * 3600),
            ("crash_in_reconcile", 0),
            ("crash_in_reconcile", 1),
            ("crash_in_reconcile", 2),
            ("repeat_actions",),
        ]
    )
)
specs_of_simulations = st.fixed_dictionaries(
    {
        "maxAttempts": st.integers(1, 3),
        "recreate": st.booleans(),
        "dryRun": st.sampled_from([False, False, True]),
        "pendingTimeout": st.sampled_from([None, "6h"]),
    }
)

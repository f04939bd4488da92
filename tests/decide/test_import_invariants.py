"""What holds for every import, whatever is observed and whatever happens."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.decide.simulation import OLD_TARGET, Simulation
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
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    a_server,
    a_shadow,
    a_swap,
    an_attempt,
    an_import,
    an_import_spec,
    passed_preflight,
)

from pgimport.decide.conditions import READY, RECONCILING, STALLED
from pgimport.decide.decision import Decision
from pgimport.decide.imports import decide_import
from pgimport.decide.observed import ObservedImport
from pgimport.model.observations import Unreachable
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
    ProjectStatus,
)

POLICY = a_policy()
TERMINAL = (ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED)
AWAY = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "away"))

# --- anything that may be observed ---

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
        ended_reason=st.sampled_from([None, "OOMKilled", "Error"]),
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
        preflight=containers | st.just(passed_preflight()),
        import_=containers,
        created_at=times,
    ),
    st.builds(a_finished_pod, uids, disrupted=st.booleans()),
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
        reason=st.sampled_from([None, "Disrupted", "PodGone", "SourceUnreachable", "FromAnotherVersion"]),
        error=st.none() | st.just("it went wrong"),
    ),
    max_size=2,
    unique_by=lambda found: found.pod_uid,
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
    unique_by=lambda found: found.type,
)
progresses = st.none() | st.builds(
    Progress, phase=st.sampled_from(list(ImportPhase)), percent=st.integers(0, 100), at=times, said_at=st.none() | times
)
statuses = st.builds(
    a_running_status,
    state=st.none() | st.sampled_from(list(ImportState)),
    started_at=st.none() | times,
    job=st.none() | st.just("pgi-debian"),
    attempt_history=attempts,
    conditions=conditions,
    progress=progresses,
    shadow=st.none() | st.builds(a_shadow, uids, verified=st.booleans(), oid=st.none() | st.just(200)),
    cleaned_up=st.none() | st.booleans(),
    completed_at=st.none() | times,
    updated_at=st.none() | times,
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
def anything_seen(draw: st.DrawFn) -> ObservedImport:
    found = draw(objects)
    starting = found.status.state is ImportState.RUNNING and found.status.job is None
    return ObservedImport(
        object=found,
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
                suspended=st.booleans(),
                ttl_set=st.booleans(),
                failed_reason=st.sampled_from([None, "DeadlineExceeded", "BackoffLimitExceeded"]),
            )
        ),
        pods=tuple(draw(st.lists(pods, max_size=2, unique_by=lambda pod: pod.uid))),
        progress=draw(progresses),
        start_warning=draw(st.none() | st.just("FailedMount: no such Secret")),
        server=draw(st.just(a_server()) | st.just(AWAY)) if starting else None,
        target_objects=draw(st.none() | st.just(()) | st.just(("table public.users",)) | st.just(AWAY)),
        swap=draw(
            st.none()
            | st.just(AWAY)
            | st.builds(
                a_swap,
                target_oid=st.sampled_from([None, 100, 200]),
                shadow_oid=st.sampled_from([None, 200]),
                target_open=st.booleans(),
            )
        ),
        shadow_bytes=draw(st.none() | st.sampled_from([1, 10_000])),
    )


def by_type(decision: Decision[ImportStatus]) -> dict[str, Condition]:
    return {found.type: found for found in decision.status.conditions}


# One law after the other over the same examples: to draw one takes longer than to check it.
@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(anything_seen(), times, st.sampled_from(TERMINAL))
def test_whatever_is_seen_the_laws_hold(observed: ObservedImport, now: datetime, terminal: ImportState) -> None:
    decision = decide_import(observed, now, POLICY)
    check_it_says_why(decision)
    if not observed.object.meta.deleting and not observed.object.status.terminal:
        check_conditions_say_what_the_state_says(observed, decision)
    check_a_terminal_state_never_changes(observed, now, terminal)


def check_it_says_why(decision: Decision[ImportStatus]) -> None:
    assert decision.message
    assert decision.requeue_after is None or decision.requeue_after >= timedelta(0)
    assert not [action for action in decision.actions if decision.actions.count(action) > 1]


def check_a_terminal_state_never_changes(observed: ObservedImport, now: datetime, state: ImportState) -> None:
    status = observed.object.status.model_copy(update={"state": state})
    ended = replace(observed, object=replace(observed.object, status=status))
    after = decide_import(ended, now, POLICY).status
    spoken = {"observed_generation": None}
    before, later = ([one.model_copy(update=spoken) for one in found.conditions] for found in (status, after))
    assert later == before
    for name in ("state", "completed_at", "error", "verification", "retry_classification", "shadow"):
        assert getattr(after, name) == getattr(status, name), name


def check_conditions_say_what_the_state_says(observed: ObservedImport, decision: Decision[ImportStatus]) -> None:
    found = {one.type: one for one in decision.status.conditions}
    assert len(found) == len(decision.status.conditions)
    assert {one.observed_generation for one in found.values()} == {observed.object.meta.generation}
    assert decision.status.observed_generation == observed.object.meta.generation
    said = {kind: one.status for kind, one in found.items() if kind in (READY, RECONCILING, STALLED)}
    match decision.status.state:
        case ImportState.COMPLETED:
            assert said == {READY: ConditionStatus.TRUE}
        case ImportState.FAILED | ImportState.CANCELLED:
            assert said == {READY: ConditionStatus.FALSE, STALLED: ConditionStatus.TRUE}
        case _:
            assert said == {READY: ConditionStatus.UNKNOWN, RECONCILING: ConditionStatus.TRUE}


# --- anything that may happen ---

events = st.one_of(
    st.sampled_from(
        [
            ("pod_appears",),
            ("pod_appears",),
            ("pod_appears",),
            ("preflight_passes",),
            ("preflight_passes",),
            ("copy_ends_well",),
            ("copy_ends_well",),
            ("pod_is_disrupted",),
            ("pod_vanishes",),
            ("job_vanishes",),
            ("preview_goes",),
            ("wish", "cancel", True),
            ("wish", "suspend", True),
            ("wish", "suspend", False),
            ("wish", "suspend", False),
            ("attempt_fails", Reason.SOURCE_UNREACHABLE),
            ("attempt_fails", Reason.SOURCE_UNREACHABLE),
            ("attempt_fails", Reason.RESTORE_FAILED),
            ("time_passes", 2),
            ("time_passes", 400),
            ("time_passes", 7 * 3600),
            ("cut_look", 0),
            ("cut_look", 1),
            ("cut_look", 2),
            ("stale_look",),
        ]
    )
)
wishes = st.fixed_dictionaries(
    {"maxAttempts": st.integers(1, 3), "recreate": st.booleans(), "dryRun": st.sampled_from([False, False, True])}
)
GOOD = [("pod_appears",), ("preflight_passes",), ("copy_ends_well",)]


def happen(world: Simulation, event: tuple[Any, ...]) -> None:
    getattr(world, event[0])(*event[1:])
    world.now += timedelta(seconds=1)


def check_promises(world: Simulation) -> None:
    status = world.status
    assert (status.attempts or 0) <= world.spec["maxAttempts"]  # type: ignore[operator]
    if status.state is ImportState.COMPLETED and not world.spec["dryRun"]:
        assert status.shadow is not None
        assert world.target == status.shadow.oid != OLD_TARGET
    else:
        assert world.target == OLD_TARGET
    if status.terminal:
        left = (world.shadows, world.holder, world.secret, world.replaced, status.cleaned_up)
        assert left == ({}, None, False, False, True)
        assert world.job is None or world.job.ttl_set


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(wishes, st.lists(events, max_size=30), st.booleans())
@example({"maxAttempts": 1, "recreate": False, "dryRun": False}, list(GOOD), True)
@example({"maxAttempts": 1, "recreate": False, "dryRun": True}, list(GOOD), True)
@example({"maxAttempts": 2, "recreate": True, "dryRun": False}, [*GOOD[:2], ("pod_vanishes",), *GOOD], True)
@example(
    {"maxAttempts": 2, "recreate": False, "dryRun": False},
    [*GOOD[:2], ("wish", "suspend", True), ("wish", "cancel", True)],
    True,
)
def test_whatever_happens_the_promises_hold_and_every_look_comes_to_rest(
    spec: dict[str, object], happenings: list[tuple[Any, ...]], attentive: bool
) -> None:
    """`attentive`: the operator looks after every event, else only after every third."""
    world = Simulation(dict(spec))
    world.settle()
    ended: ImportStatus | None = None
    for count, event in enumerate(happenings):
        happen(world, event)
        if not attentive and count % 3:
            continue
        looks = world.settle()
        for first, second in pairwise(looks):
            assert not [action for action in second.actions if action in first.actions]
        check_promises(world)
        if ended is not None:
            assert (world.status.state, world.status.error, world.status.completed_at) == (
                ended.state,
                ended.error,
                ended.completed_at,
            )
        ended = world.status if world.status.terminal else None


@settings(max_examples=60, deadline=None)
@given(wishes, st.lists(events, max_size=10))
def test_every_import_that_may_run_ends_within_its_timeout(
    spec: dict[str, object], happenings: list[tuple[Any, ...]]
) -> None:
    world = Simulation(dict(spec))
    for event in happenings:
        happen(world, event)
        world.settle()
    if world.preview_deleting and world.status.started_at is None:
        return  # it waits for a preview that its user has taken away
    world.wish("suspend", False)
    world.settle()
    world.time_passes(7 * 3600)
    world.settle()
    assert world.status.terminal
    check_promises(world)


def test_a_good_import_completes_in_the_simulation_as_well() -> None:
    world = Simulation({"maxAttempts": 1, "recreate": False, "dryRun": False})
    world.settle()
    for event in GOOD:
        happen(world, event)
        world.settle()
    assert world.status.state is ImportState.COMPLETED
    assert (world.status.attempts, world.status.cleaned_up) == (1, True)

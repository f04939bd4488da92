"""Invariants of every import, for any observation and any sequence of events."""

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
UNREACHABLE = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "no answer"))

# --- any observation ---

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
                suspended=st.booleans(),
                ttl_set=st.booleans(),
                failed_reason=st.sampled_from([None, "DeadlineExceeded", "BackoffLimitExceeded"]),
            )
        ),
        pods=tuple(draw(st.lists(pods, max_size=2, unique_by=lambda pod: pod.uid))),
        progress=draw(progresses),
        start_warning=draw(st.none() | st.just("FailedMount: no such Secret")),
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


def by_type(decision: Decision[ImportStatus]) -> dict[str, Condition]:
    return {condition.type: condition for condition in decision.status.conditions}


# All invariants are checked for each example: drawing an example takes longer than checking it.
@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(any_observation(), times, st.sampled_from(TERMINAL))
def test_every_observation_leads_to_a_valid_decision(
    observed: ObservedImport, now: datetime, terminal: ImportState
) -> None:
    decision = decide_import(observed, now, POLICY)
    check_message_and_actions(decision)
    if not observed.object.meta.deleting and not observed.object.status.terminal:
        check_conditions_match_the_state(observed, decision)
    check_a_terminal_state_never_changes(observed, now, terminal)


def check_message_and_actions(decision: Decision[ImportStatus]) -> None:
    assert decision.message
    assert decision.requeue_after is None or decision.requeue_after >= timedelta(0)
    assert not [action for action in decision.actions if decision.actions.count(action) > 1]


def check_a_terminal_state_never_changes(observed: ObservedImport, now: datetime, state: ImportState) -> None:
    status = observed.object.status.model_copy(update={"state": state})
    ended = replace(observed, object=replace(observed.object, status=status))
    after = decide_import(ended, now, POLICY).status
    without_generation = {"observed_generation": None}
    before, later = (
        [condition.model_copy(update=without_generation) for condition in checked.conditions]
        for checked in (status, after)
    )
    assert later == before
    for name in ("state", "completed_at", "error", "verification", "retry_classification", "shadow"):
        assert getattr(after, name) == getattr(status, name), name


def check_conditions_match_the_state(observed: ObservedImport, decision: Decision[ImportStatus]) -> None:
    conditions = by_type(decision)
    assert len(conditions) == len(decision.status.conditions)
    assert {condition.observed_generation for condition in conditions.values()} == {observed.object.meta.generation}
    assert decision.status.observed_generation == observed.object.meta.generation
    shown = {kind: item.status for kind, item in conditions.items() if kind in (READY, RECONCILING, STALLED)}
    match decision.status.state:
        case ImportState.COMPLETED:
            assert shown == {READY: ConditionStatus.TRUE}
        case ImportState.FAILED | ImportState.CANCELLED:
            assert shown == {READY: ConditionStatus.FALSE, STALLED: ConditionStatus.TRUE}
        case _:
            assert shown == {READY: ConditionStatus.UNKNOWN, RECONCILING: ConditionStatus.TRUE}


# --- any sequence of events ---

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
            ("preview_is_deleted",),
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
    {"maxAttempts": st.integers(1, 3), "recreate": st.booleans(), "dryRun": st.sampled_from([False, False, True])}
)
GOOD = [("pod_appears",), ("preflight_passes",), ("copy_ends_well",)]


def apply_event(simulation: Simulation, event: tuple[Any, ...]) -> None:
    getattr(simulation, event[0])(*event[1:])
    simulation.now += timedelta(seconds=1)


def check_guarantees(simulation: Simulation) -> None:
    status = simulation.status
    assert (status.attempts or 0) <= simulation.spec["maxAttempts"]  # type: ignore[operator]
    if status.state is ImportState.COMPLETED and not simulation.spec["dryRun"]:
        assert status.shadow is not None
        assert simulation.target == status.shadow.oid != OLD_TARGET
    else:
        assert simulation.target == OLD_TARGET
    if status.terminal:
        remaining = (
            simulation.shadows,
            simulation.claimant,
            simulation.secret_exists,
            simulation.replaced,
            status.cleaned_up,
        )
        assert remaining == ({}, None, False, False, True)
        assert simulation.job is None or simulation.job.ttl_set


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(specs_of_simulations, st.lists(events, max_size=30), st.booleans())
@example({"maxAttempts": 1, "recreate": False, "dryRun": False}, list(GOOD), True)
@example({"maxAttempts": 1, "recreate": False, "dryRun": True}, list(GOOD), True)
@example({"maxAttempts": 2, "recreate": True, "dryRun": False}, [*GOOD[:2], ("pod_vanishes",), *GOOD], True)
@example(
    {"maxAttempts": 2, "recreate": False, "dryRun": False},
    [*GOOD[:2], ("set_option", "suspend", True), ("set_option", "cancel", True)],
    True,
)
def test_any_sequence_of_events_keeps_all_guarantees_and_settles(
    spec: dict[str, object], sequence: list[tuple[Any, ...]], reconciles_always: bool
) -> None:
    """`reconciles_always`: after every event, else only after every third."""
    simulation = Simulation(dict(spec))
    simulation.settle()
    ended: ImportStatus | None = None
    for count, event in enumerate(sequence):
        apply_event(simulation, event)
        if not reconciles_always and count % 3:
            continue
        decisions = simulation.settle()
        for first, second in pairwise(decisions):
            assert not [action for action in second.actions if action in first.actions]
        check_guarantees(simulation)
        if ended is not None:
            assert (simulation.status.state, simulation.status.error, simulation.status.completed_at) == (
                ended.state,
                ended.error,
                ended.completed_at,
            )
        ended = simulation.status if simulation.status.terminal else None


@settings(max_examples=60, deadline=None)
@given(specs_of_simulations, st.lists(events, max_size=10))
def test_every_import_that_may_run_ends_within_its_timeout(
    spec: dict[str, object], sequence: list[tuple[Any, ...]]
) -> None:
    simulation = Simulation(dict(spec))
    for event in sequence:
        apply_event(simulation, event)
        simulation.settle()
    if simulation.preview_is_deleting and simulation.status.started_at is None:
        return  # it waits for a preview that its user has deleted
    simulation.set_option("suspend", False)
    simulation.settle()
    simulation.time_passes(7 * 3600)
    simulation.settle()
    assert simulation.status.terminal
    check_guarantees(simulation)


def test_an_undisturbed_import_completes_in_the_simulation() -> None:
    simulation = Simulation({"maxAttempts": 1, "recreate": False, "dryRun": False})
    simulation.settle()
    for event in GOOD:
        apply_event(simulation, event)
        simulation.settle()
    assert simulation.status.state is ImportState.COMPLETED
    assert (simulation.status.attempts, simulation.status.cleaned_up) == (1, True)

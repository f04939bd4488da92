"""Invariants of every import, for any observation and any sequence of events."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.decide.import_strategies import any_observation, events, specs_of_simulations, times
from tests.decide.simulation import OLD_TARGET, Simulation
from tests.support.samples import (
    IMPORT_UID,
    a_policy,
)

from pgimport.decide.conditions import FINISHED, READY, RECONCILING, STALLED
from pgimport.decide.decision import Decision
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.status import (
    Condition,
    ConditionStatus,
    ImportState,
    ImportStatus,
)

POLICY = a_policy()
TERMINAL = (ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED)


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
    finished = conditions[FINISHED].status if FINISHED in conditions else None
    assert finished == (ConditionStatus.TRUE if decision.status.terminal else None)
    if decision.status.terminal:
        assert not [item for item in decision.status.attempt_history if not item.ended_at and not item.reason]
    match decision.status.state:
        case ImportState.COMPLETED:
            assert shown == {READY: ConditionStatus.TRUE}
        case ImportState.FAILED | ImportState.CANCELLED:
            assert shown == {READY: ConditionStatus.FALSE, STALLED: ConditionStatus.TRUE}
        case _:
            assert shown == {READY: ConditionStatus.UNKNOWN, RECONCILING: ConditionStatus.TRUE}


GOOD = [("pod_appears",), ("preflight_passes",), ("pod_completes",)]


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
    waits = status.state is ImportState.PENDING
    if status.queued:
        holder = None if simulation.spec["dryRun"] else IMPORT_UID
        assert (simulation.claimant, status.shadow, simulation.shadows) == (holder, None, {})
        assert status.started_at is None
    elif waits:
        assert (simulation.claimant, simulation.job, simulation.shadows) == (None, None, {})
    if not status.terminal:
        counts = waits and not status.queued and not simulation.spec.get("suspend")
        assert (status.pending_since is not None) == counts
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
@given(specs_of_simulations, st.sampled_from([None, None, "imports"]), st.lists(events, max_size=30), st.booleans())
@example({"maxAttempts": 1, "recreate": False, "dryRun": False}, None, list(GOOD), True)
@example({"maxAttempts": 1, "recreate": False, "dryRun": False}, "imports", [("queue_admits",), *GOOD], True)
@example(
    {"maxAttempts": 1, "recreate": False, "dryRun": False},
    None,
    [*GOOD[:2], ("queue_preempts",), ("preempted_pods_end", True), ("queue_admits",), *GOOD],
    False,
)
@example(
    {"maxAttempts": 1, "recreate": False, "dryRun": False, "pendingTimeout": "6h"},
    None,
    [("set_option", "suspend", True), ("source_changes", False), ("set_option", "suspend", False)],
    True,
)
@example({"maxAttempts": 1, "recreate": False, "dryRun": True}, None, list(GOOD), True)
@example({"maxAttempts": 2, "recreate": True, "dryRun": False}, None, [*GOOD[:2], ("pod_vanishes",), *GOOD], True)
@example(
    {"maxAttempts": 2, "recreate": False, "dryRun": False},
    None,
    [*GOOD[:2], ("set_option", "suspend", True), ("set_option", "cancel", True)],
    True,
)
def test_any_sequence_of_events_keeps_all_guarantees_and_settles(
    spec: dict[str, object], queue: str | None, sequence: list[tuple[Any, ...]], reconciles_always: bool
) -> None:
    """`reconciles_always`: after every event, else only after every third."""
    simulation = Simulation(dict(spec), queue)
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
@given(specs_of_simulations, st.sampled_from([None, None, "imports"]), st.lists(events, max_size=10))
@example(
    {"maxAttempts": 1, "recreate": False, "dryRun": False, "pendingTimeout": "6h"},
    None,
    [("set_option", "suspend", True), ("source_changes", False)],
)
def test_every_import_that_may_run_ends_within_its_timeout(
    spec: dict[str, object], queue: str | None, sequence: list[tuple[Any, ...]]
) -> None:
    simulation = Simulation(dict(spec), queue)
    for event in sequence:
        apply_event(simulation, event)
        simulation.settle()
    simulation.set_option("suspend", False)
    simulation.settle()
    simulation.queue_admits()
    simulation.settle()
    if simulation.status.state is ImportState.PENDING and simulation.spec["pendingTimeout"] is None:
        return  # it waits for its Secret, or for a preview that its user has deleted
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

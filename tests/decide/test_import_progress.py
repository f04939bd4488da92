"""Progress of a running import, from the worker to the status."""

from datetime import timedelta

from tests.decide.import_decisions import COPYING, LOGGED_AT, NEW_PROGRESS, RECENT, decide, reason
from tests.support.samples import (
    BORN,
    NOW,
    a_copying_pod,
    observed_running_import,
)

from pgimport.model.reasons import Reason
from pgimport.model.status import ImportPhase, Progress


def test_progress_is_written_at_most_once_in_an_interval() -> None:
    early = COPYING.model_copy(update={"updated_at": NOW - timedelta(seconds=1)})
    late = COPYING.model_copy(update={"updated_at": NOW - timedelta(seconds=5)})
    assert (
        decide(observed_running_import(status=early, pods=(a_copying_pod(),), progress=NEW_PROGRESS)).status.progress
        == COPYING.progress
    )
    shown = decide(observed_running_import(status=late, pods=(a_copying_pod(),), progress=NEW_PROGRESS)).status.progress
    assert shown == NEW_PROGRESS.model_copy(update={"at": NOW, "said_at": NEW_PROGRESS.at})


def test_a_new_phase_is_shown_at_once() -> None:
    logged = Progress(phase=ImportPhase.INDEXES, percent=60, at=LOGGED_AT)
    early = COPYING.model_copy(update={"updated_at": NOW})
    shown = decide(observed_running_import(status=early, pods=(a_copying_pod(),), progress=logged)).status.progress
    assert shown is not None
    assert (shown.phase, shown.at) == (ImportPhase.INDEXES, NOW)


def test_a_repeated_line_is_no_progress() -> None:
    assert COPYING.progress is not None
    again = COPYING.progress.model_copy(update={"at": LOGGED_AT, "said_at": None})
    observed = observed_running_import(status=COPYING, pods=(a_copying_pod(),), progress=again)
    assert decide(observed, BORN + timedelta(minutes=9)).status.progress == COPYING.progress
    assert reason(decide(observed, BORN + timedelta(minutes=11))) == Reason.STALLED


def test_a_new_line_with_the_same_numbers_is_progress() -> None:
    assert COPYING.progress is not None
    logged = COPYING.progress.model_copy(update={"at": LOGGED_AT + timedelta(seconds=1), "said_at": None})
    late = BORN + timedelta(minutes=11)
    shown = decide(
        observed_running_import(status=COPYING, pods=(a_copying_pod(),), progress=logged), late
    ).status.progress
    assert shown == COPYING.progress.model_copy(update={"at": late, "said_at": logged.at})


def test_a_pod_whose_node_is_lost_is_shown() -> None:
    decision = decide(observed_running_import(status=COPYING, pods=(a_copying_pod(deleting=True),)), RECENT)
    assert reason(decision) == Reason.RUNNING
    assert decision.message == "Pod pod-pod-uid-1 is being deleted, and its node has not confirmed the end of the pod."

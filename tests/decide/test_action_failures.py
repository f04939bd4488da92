"""Imports whose action fails or whose server does not answer during an action."""

import pytest
from tests.decide.import_decisions import POLICY, reason
from tests.support.samples import (
    BORN,
    NOW,
    POD_UID,
    a_running_status,
    observed_import,
    observed_running_import,
)

from pgimport.decide.decision import Swap
from pgimport.decide.imports import decide_action_failure, decide_unreachable_server
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportState, ImportStatus

UNREACHABLE = Failure(Reason.SERVER_UNREACHABLE, "the target server pg.internal:5432 cannot be reached")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param(ImportStatus(), ImportState.PENDING, id="pending"),
        pytest.param(a_running_status(), ImportState.RUNNING, id="running"),
    ],
)
def test_a_server_that_stops_answering_during_an_action_is_shown_and_retried(
    status: ImportStatus, state: ImportState
) -> None:
    decision = decide_unreachable_server(observed_import(status=status), UNREACHABLE, NOW, POLICY)
    assert (decision.status.state, reason(decision)) == (state, Reason.SERVER_UNREACHABLE)
    assert (decision.actions, decision.requeue_after) == ((), POLICY.retry_interval)


def test_a_server_that_does_not_answer_during_the_clean_up_is_retried_without_a_status_change() -> None:
    observed = observed_import(status=ImportStatus(state=ImportState.FAILED, completed_at=BORN, error="as it was"))
    decision = decide_unreachable_server(observed, UNREACHABLE, NOW, POLICY)
    assert (decision.status, decision.requeue_after) == (observed.object.status, POLICY.retry_interval)


def test_a_final_failure_of_an_action_ends_the_import() -> None:
    failure = Failure(Reason.TARGET_BUSY, "a prepared transaction holds the target")
    decision = decide_action_failure(observed_running_import(), Swap(POD_UID), failure, NOW)
    assert (decision.status.state, reason(decision)) == (ImportState.FAILED, Reason.TARGET_BUSY)
    assert decision.status.error == failure.format_with_hint()

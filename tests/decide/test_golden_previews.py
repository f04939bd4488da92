"""Golden previews: they hold data to copy from, nobody can log in, and they never expire."""

from datetime import timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import decide as decide_import
from tests.support.samples import (
    BORN,
    DATABASE,
    IMPORT_UID,
    NOW,
    a_policy,
    a_preview,
    a_preview_spec,
    a_ready_status,
    observed_import,
    observed_preview,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import ClaimServer, ClaimTarget, Decision, EnsurePreview
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.previews import decide_preview, loses_database
from pgimport.model.names import owner_role_name
from pgimport.model.observations import ObservedContent
from pgimport.model.reasons import Reason
from pgimport.model.status import PreviewState, PreviewStatus

POLICY = a_policy()
GOLDEN = a_preview_spec(golden=True)
RESET = a_preview_spec(golden=True, resetAt="2026-01-01T12:05:00Z")
EMPTY, FULL = ObservedContent(), ObservedContent(imported=True, data_as_of=BORN)
CREATED = PreviewStatus(state=PreviewState.PENDING, database=DATABASE, role=owner_role_name(DATABASE))


def decide(observed: ObservedPreview, now: object = NOW) -> Decision[PreviewStatus]:
    return decide_preview(observed, now, POLICY)  # type: ignore[arg-type]


def observed_golden(status: PreviewStatus, content: ObservedContent | None, **changes: Any) -> ObservedPreview:
    """Builds a golden preview, which has no connection Secret."""
    given: dict[str, Any] = {"spec": GOLDEN, "secret_exists": False}
    return observed_preview(status=status, content=content, **(given | changes))


def test_a_new_golden_preview_gets_a_database_and_no_secret() -> None:
    decision = decide(observed_golden(PreviewStatus(observed_generation=-1), None))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    shown = decision.status
    assert (shown.state, shown.database, shown.connection_secret, shown.expires_at) == (
        PreviewState.PENDING,
        DATABASE,
        None,
        None,
    )


def test_it_is_pending_until_an_import_has_filled_it() -> None:
    decision = decide(observed_golden(CREATED, EMPTY))
    assert (decision.status.state, ready_reason(decision.status.conditions)) == (PreviewState.PENDING, Reason.NO_DATA)
    assert decision.actions == ()


def test_it_is_ready_with_the_age_of_its_data_after_the_first_import() -> None:
    decision = decide(observed_golden(CREATED, FULL))
    assert (decision.status.state, ready_reason(decision.status.conditions)) == (PreviewState.READY, Reason.READY)
    assert (decision.status.data_as_of, decision.actions) == (BORN, ())


def test_it_is_ready_after_the_import_of_a_dump_file_too() -> None:
    decision = decide(observed_golden(CREATED, ObservedContent(imported=True)))
    assert (decision.status.state, decision.status.data_as_of) == (PreviewState.READY, None)


def test_it_never_expires() -> None:
    observed = observed_golden(a_ready_status(connection_secret=None), FULL)
    decision = decide(observed, BORN + timedelta(days=365))
    assert (decision.status.state, decision.status.expires_at, decision.actions) == (PreviewState.READY, None, ())
    assert not loses_database(observed.object, BORN + timedelta(days=365))


@pytest.mark.parametrize("content", [EMPTY, FULL], ids=["the import failed", "the import was completed"])
def test_the_server_says_what_an_import_left_that_was_deleted(content: ObservedContent) -> None:
    """The first reconcile opens the database, which an interrupted swap may have closed."""
    claimed = CREATED.model_copy(update={"active_import": "gone", "active_import_name": "gone"})
    decision = decide(observed_golden(claimed, content))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    following = decide(observed_golden(decision.status, content))
    assert following.actions == ()
    assert following.status.state is (PreviewState.READY if content.imported else PreviewState.PENDING)


def test_a_database_that_is_gone_is_created_again_without_data() -> None:
    decision = decide(observed_golden(a_ready_status(), ObservedContent(exists=False)))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False))
    assert ready_reason(decision.status.conditions) == Reason.DATABASE_GONE
    assert decide(observed_golden(decision.status, EMPTY)).status.state is PreviewState.PENDING


def test_a_reset_empties_it_once() -> None:
    decision = decide(observed_golden(a_ready_status(data_as_of=BORN), FULL, spec=RESET, database_oid=100))
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=True, oid=100))
    assert (decision.status.state, decision.status.data_as_of) == (PreviewState.PENDING, None)
    following = decide(observed_golden(decision.status, EMPTY, spec=RESET))
    assert (following.actions, following.status.state) == ((), PreviewState.PENDING)


def test_a_reset_waits_for_the_import_that_has_claimed_it() -> None:
    claimed = a_ready_status(active_import=IMPORT_UID)
    decision = decide(observed_golden(claimed, FULL, spec=RESET, active_import_exists=True))
    assert (decision.actions, decision.status.state) == ((), PreviewState.READY)


def test_a_refresh_keeps_it_ready() -> None:
    claimed = a_ready_status(active_import=IMPORT_UID)
    decision = decide(observed_golden(claimed, FULL, active_import_exists=True))
    assert (decision.actions, decision.status.state) == ((), PreviewState.READY)


@pytest.mark.parametrize("status", [CREATED, a_ready_status()], ids=["without data", "ready"])
def test_imports_may_fill_it(status: PreviewStatus) -> None:
    decision = decide_import(observed_import(preview=a_preview(GOLDEN, status)))
    assert decision.actions == (ClaimTarget(),)


def test_an_import_waits_until_its_database_exists() -> None:
    preview = a_preview(GOLDEN, PreviewStatus(state=PreviewState.PENDING))
    decision = decide_import(observed_import(preview=preview))
    assert ready_reason(decision.status.conditions) == Reason.TARGET_NOT_READY

"""Previews of mode clone, which an import fills."""

from typing import Any

from tests.support.samples import (
    NOW,
    PREVIEW,
    PREVIEW_UID,
    a_policy,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    an_import,
    observed_preview,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import ClaimServer, CreateCloneImport, Decision, EnsurePreview
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.previews import decide_preview
from pgimport.model.names import clone_name
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject
from pgimport.model.status import ImportState, ImportStatus, PreviewState, PreviewStatus

POLICY = a_policy()
NEW = PreviewStatus(observed_generation=-1)


def decide(observed: ObservedPreview, now: object = NOW) -> Decision[PreviewStatus]:
    return decide_preview(observed, now, POLICY)  # type: ignore[arg-type]


def reason(decision: Decision[PreviewStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


CLONE = a_preview_spec(mode="clone")
CLONE_WITH_RESET = a_preview_spec(mode="clone", resetAt="2026-01-01T12:05:00Z")
WITH_PRIMARY = a_project(a_project_spec(primary={"urlSecretRef": {"name": "primary", "key": "url"}}))
FIRST_CLONE, SECOND_CLONE = (clone_name(PREVIEW, PREVIEW_UID, number) for number in (1, 2))
CLONING = a_ready_status(state=PreviewState.PENDING, clone_import=FIRST_CLONE, clones=1)


def cloning(spec: PreviewSpec = CLONE, status: PreviewStatus = CLONING, **changes: Any) -> Decision[PreviewStatus]:
    return decide(observed_preview(spec, status, **({"project": WITH_PRIMARY} | changes)))


def ended(state: ImportState, **status: Any) -> ImportObject:
    return an_import(status=ImportStatus(state=state, **status), name=FIRST_CLONE)


def test_a_clone_is_created_empty_and_filled_by_an_import() -> None:
    decision = cloning(status=NEW)
    assert decision.actions == (ClaimServer(), EnsurePreview(recreate=False), CreateCloneImport(FIRST_CLONE))
    shown = decision.status
    assert (shown.state, reason(decision), shown.clone_import) == (PreviewState.PENDING, Reason.CLONING, FIRST_CLONE)


def test_a_clone_waits_for_its_import() -> None:
    decision = cloning(clone=ended(ImportState.RUNNING))
    assert (decision.actions, decision.status.state) == ((), PreviewState.PENDING)
    assert FIRST_CLONE in decision.message


def test_a_clone_is_ready_when_its_import_has_completed_and_stays_so() -> None:
    decision = cloning(clone=ended(ImportState.COMPLETED))
    assert (decision.actions, decision.status.state) == ((), PreviewState.READY)
    later = cloning(status=decision.status)
    assert (later.actions, later.status.state) == ((), PreviewState.READY), "the import may be deleted then"
    lost = cloning(status=decision.status, secret_exists=False, project=a_project())
    assert lost.actions == (ClaimServer(), EnsurePreview(recreate=False))


def test_a_clone_fails_with_its_import_and_a_reset_begins_a_new_one() -> None:
    failed = cloning(clone=ended(ImportState.FAILED, error="the source did not answer"))
    assert (failed.status.state, reason(failed)) == (PreviewState.FAILED, Reason.CLONE_FAILED)
    assert "the source did not answer" in failed.message
    again = cloning(CLONE_WITH_RESET, failed.status, clone=ended(ImportState.FAILED))
    assert again.actions == (ClaimServer(), EnsurePreview(recreate=True), CreateCloneImport(SECOND_CLONE))
    assert (again.status.state, again.status.clones) == (PreviewState.PENDING, 2)


def test_a_deleted_import_of_a_clone_is_created_again() -> None:
    assert cloning().actions == (ClaimServer(), EnsurePreview(recreate=False), CreateCloneImport(FIRST_CLONE))


def test_a_renewed_clone_is_filled_by_a_new_import() -> None:
    back = cloning(status=CLONING.model_copy(update={"state": PreviewState.EXPIRED}))
    assert back.actions == (ClaimServer(), EnsurePreview(recreate=False), CreateCloneImport(SECOND_CLONE))


def test_a_clone_whose_database_is_gone_is_filled_by_a_new_import() -> None:
    gone = cloning(status=CLONING.model_copy(update={"state": PreviewState.READY}), database_oid=0)
    assert (reason(gone), gone.status.state) == (Reason.DATABASE_GONE, PreviewState.PENDING)
    assert "with a new copy of the primary database" in gone.message
    again = cloning(status=gone.status)
    assert again.actions == (ClaimServer(), EnsurePreview(recreate=False), CreateCloneImport(SECOND_CLONE))
    filled = cloning(status=again.status, clone=ended(ImportState.COMPLETED))
    assert (filled.status.state, filled.status.database_lost_at) == (PreviewState.READY, None)


def test_a_clone_announces_a_new_connection_secret() -> None:
    replaced = cloning(clone=ended(ImportState.RUNNING), secret_exists=False).event
    assert replaced is not None
    assert replaced.reason is Reason.CONNECTION_REPLACED
    assert cloning(clone=ended(ImportState.RUNNING)).event is None


def test_a_clone_waits_for_the_projects_primary() -> None:
    decision = cloning(status=NEW, project=a_project())
    assert (decision.actions, reason(decision)) == ((), Reason.PRIMARY_MISSING)
    assert decision.status.observed_generation == 1
    failed = a_ready_status(state=PreviewState.FAILED, database=None)
    assert cloning(status=failed, project=a_project()).status.state is PreviewState.PENDING

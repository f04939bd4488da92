"""Previews of mode clone that copy another preview's database."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import COPYING
from tests.decide.import_decisions import decide as decide_import
from tests.support.samples import (
    BORN,
    DATABASE,
    NOW,
    PREVIEW,
    a_failing_status,
    a_meta,
    a_policy,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    a_shadow,
    a_swap,
    an_import,
    observed_preview,
    observed_running_import,
)

from pgimport.decide.conditions import in_progress, ready_reason, with_conditions
from pgimport.decide.decision import BeginCopy, ClaimServer, Decision, DropPreview, EnsurePreview, SetFinalizer, Swap
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.preview_copies import find_copy_source, is_being_copied
from pgimport.decide.previews import decide_preview
from pgimport.model.observations import ObservedContent, ObservedCopy
from pgimport.model.preview_spec import CopySource
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.status import ConditionStatus, ImportState, ImportStatus, PreviewState, PreviewStatus

POLICY = a_policy()
NEW = PreviewStatus(observed_generation=-1)
FROM = {"previewDatabase": "nightly"}
COPY = a_preview_spec(mode="clone", **{"from": FROM})
DISCONNECTING = a_preview_spec(mode="clone", **{"from": {**FROM, "disconnect": True}})
RESET = a_preview_spec(mode="clone", resetAt="2026-01-01T12:05:00Z", **{"from": FROM})
COPYING_STATUS = a_ready_status(state=PreviewState.PENDING, clones=1)
COMPLETE = ObservedContent(imported=True, data_as_of=BORN, copy_number=1)
UNFINISHED = ObservedContent(exists=False, imported=True, copy_number=1)


def a_golden(status: PreviewStatus | None = None, **spec: Any) -> PreviewObject:
    given = {"golden": True, **spec}
    return PreviewObject(
        meta=a_meta("nightly", "nightly-uid"), spec=a_preview_spec(**given), status=status or a_ready_status()
    )


def decide(spec: Any = COPY, status: PreviewStatus = NEW, now: object = NOW, **changes: Any) -> Decision[PreviewStatus]:
    given: dict[str, Any] = {"source": a_golden()}
    observed: ObservedPreview = observed_preview(spec, status, **(given | changes))
    return decide_preview(observed, now, POLICY)  # type: ignore[arg-type]


def reason(decision: Decision[PreviewStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


def test_a_copy_begins_and_is_looked_at_until_it_is_complete() -> None:
    begun = decide()
    assert begun.actions == (ClaimServer(), BeginCopy(1))
    shown = begun.status
    assert (shown.state, reason(begun), shown.clones, shown.database) == (
        PreviewState.PENDING,
        Reason.CLONING,
        1,
        DATABASE,
    )
    running = decide(status=shown, copying=ObservedCopy(number=1))
    assert (running.actions, running.status, running.requeue_after) == ((), shown, timedelta(seconds=1))
    complete = decide(status=shown, content=COMPLETE)
    assert (complete.actions, complete.status.state, complete.status.data_as_of) == ((), PreviewState.READY, BORN)
    settled = decide(status=complete.status)
    assert (settled.actions, settled.status.state) == ((), PreviewState.READY)


def test_a_copy_that_waits_for_others_is_looked_at_less_often() -> None:
    waiting = decide(status=COPYING_STATUS, copying=ObservedCopy(number=1, started=False))
    assert (waiting.actions, reason(waiting), waiting.requeue_after) == ((), Reason.CLONING, timedelta(seconds=5))
    assert "waits until other copies have ended" in waiting.message


def test_a_copy_that_waits_takes_the_source_that_the_project_names_now() -> None:
    """The admin can have named another golden preview because the first one holds data that nobody may see."""
    waiting = ObservedCopy(number=1, source="shop_other", started=False)
    changed = decide(status=COPYING_STATUS, copying=waiting)
    assert (changed.actions, changed.status.state) == ((ClaimServer(), BeginCopy(1)), PreviewState.PENDING)
    assert decide(status=COPYING_STATUS, copying=replace(waiting, source=a_golden().database)).actions == ()
    assert decide(status=COPYING_STATUS, copying=replace(waiting, started=True)).actions == ()
    assert decide(status=COPYING_STATUS, copying=waiting, source=None).actions == ()


def test_a_restarted_operator_begins_the_same_copy_again() -> None:
    """The server may still work on it: `ensure_copy` waits for that."""
    decision = decide(status=COPYING_STATUS, content=UNFINISHED)
    assert (decision.actions, decision.status.clones) == ((ClaimServer(), BeginCopy(1)), 1)


@pytest.mark.parametrize(
    ("spec", "changes", "expected", "text"),
    [
        pytest.param(
            COPY, {"source": None}, Reason.SOURCE_PREVIEW_NOT_FOUND, "nightly, which does not exist", id="gone"
        ),
        pytest.param(
            COPY,
            {"source": a_golden(PreviewStatus(state=PreviewState.PENDING))},
            Reason.NO_DATA,
            "nightly, which is pending and has no data yet.",
            id="no data",
        ),
        pytest.param(
            COPY,
            {"source": a_golden(a_failing_status(PreviewState.FAILED, "Project shop may have 3 previews."))},
            Reason.NO_DATA,
            "nightly, which is failed: Project shop may have 3 previews.",
            id="it cannot be created",
        ),
        pytest.param(
            DISCONNECTING,
            {"source": a_golden(a_failing_status(PreviewState.EXPIRED, "The ttl is over."), golden=False)},
            Reason.SOURCE_PREVIEW_NOT_READY,
            "which is expired: The ttl is over",
            id="expired",
        ),
        pytest.param(
            COPY, {"source": a_golden(golden=False)}, Reason.INVALID_SPEC, "nightly is not golden", id="not golden"
        ),
        pytest.param(
            COPY,
            {"source": a_golden(project="another")},
            Reason.SOURCE_PREVIEW_NOT_READY,
            "belongs to another Project",
            id="another Project",
        ),
        pytest.param(
            COPY,
            {"source": a_golden(resetAt="2026-01-01T12:05:00Z")},
            Reason.NO_DATA,
            "about to be reset",
            id="to be reset",
        ),
        pytest.param(
            COPY, {"source_is_swapped": True}, Reason.WAITING_FOR_REFRESH, "begins afterwards", id="being refreshed"
        ),
        pytest.param(
            a_preview_spec(mode="clone", **{"from": {"previewDatabase": PREVIEW}}),
            {},
            Reason.INVALID_SPEC,
            "is this preview itself",
            id="itself",
        ),
    ],
)
@pytest.mark.parametrize(
    ("status", "state"), [(NEW, PreviewState.PENDING), (a_ready_status(clones=1), PreviewState.READY)]
)
def test_a_copy_that_cannot_begin_changes_nothing_and_says_why(
    spec: Any, changes: Any, expected: Reason, text: str, status: PreviewStatus, state: PreviewState
) -> None:
    if state is PreviewState.READY:  # a reset of a complete copy
        spec = spec.model_copy(update={"reset_at": RESET.reset_at})
    decision = decide(spec, status, content=COMPLETE if state is PreviewState.READY else None, **changes)
    assert (decision.actions, reason(decision), decision.status.state) == ((), expected, state)
    assert text in decision.message
    assert (decision.status.clones, decision.status.reset_at) == (status.clones, None)


def test_a_copy_that_waits_after_a_failure_is_pending() -> None:
    """For example because there is a place again. A client would take the state `failed` for the end."""
    failed = a_ready_status(state=PreviewState.FAILED, database=None)
    assert decide(status=failed, source=None).status.state is PreviewState.PENDING


def test_any_preview_may_be_copied_if_its_sessions_may_end() -> None:
    decision = decide(DISCONNECTING, source=a_golden(golden=False))
    assert decision.actions == (ClaimServer(), BeginCopy(1, disconnect=True))


def test_a_reset_makes_the_next_copy_once() -> None:
    decision = decide(RESET, a_ready_status(clones=1, data_as_of=BORN), content=COMPLETE, database_oid=100)
    assert decision.actions == (ClaimServer(), BeginCopy(2))
    shown = decision.status
    assert (shown.clones, shown.reset_at, shown.data_as_of) == (2, RESET.reset_at, None)
    # The old copy is still there for a moment.
    assert decide(RESET, shown, content=COMPLETE, copying=ObservedCopy(number=2)).actions == ()
    later = COMPLETE.__class__(imported=True, data_as_of=NOW, copy_number=2)
    complete = decide(RESET, shown, content=later)
    assert (complete.status.state, complete.status.data_as_of, complete.actions) == (PreviewState.READY, NOW, ())
    assert decide(RESET, complete.status).actions == ()


def test_a_reset_waits_for_a_copy_that_runs() -> None:
    decision = decide(RESET, COPYING_STATUS, copying=ObservedCopy(number=1))
    assert (decision.actions, decision.status.clones, decision.status.reset_at) == ((), 1, None)


def test_a_renewal_after_the_expiry_makes_another_copy() -> None:
    spec = a_preview_spec(mode="clone", renewedAt="2026-01-02T12:00:00Z", **{"from": FROM})
    expired = a_ready_status(state=PreviewState.EXPIRED, clones=1)
    decision = decide(spec, expired, BORN + timedelta(hours=24, seconds=1), content=ObservedContent(exists=False))
    assert decision.actions == (ClaimServer(), BeginCopy(2))


def test_a_lost_status_takes_the_number_from_the_server() -> None:
    assert decide(status=a_ready_status(state=PreviewState.PENDING), content=COMPLETE).status.clones == 1


@pytest.mark.parametrize(
    ("refused", "state", "stalled"),
    [(False, PreviewState.PENDING, False), (True, PreviewState.FAILED, True)],
    ids=["unavailable", "refused"],
)
def test_a_failed_copy_is_shown_and_begins_again(refused: bool, state: PreviewState, stalled: bool) -> None:
    failure = Failure(Reason.TARGET_FULL, "no space left on device")
    decision = decide(status=COPYING_STATUS, copying=ObservedCopy(number=1, failure=failure, refused=refused))
    assert (decision.actions, decision.status.state, reason(decision)) == ((), state, Reason.TARGET_FULL)
    types = {item.type: item.status for item in decision.status.conditions}
    assert (types.get("Stalled") is ConditionStatus.TRUE) is stalled
    again = decide(status=decision.status, content=UNFINISHED)
    assert again.actions == (ClaimServer(), BeginCopy(1))


def test_a_reset_begins_another_copy_at_once_after_a_failure() -> None:
    """The user has removed the cause, and does not want to wait for the end of the pause."""
    refused = Failure(Reason.SOURCE_TOO_LARGE, "too large")
    decision = decide(RESET, COPYING_STATUS, copying=ObservedCopy(number=1, failure=refused, refused=True))
    assert (decision.actions, decision.status.state) == ((ClaimServer(), BeginCopy(2)), PreviewState.PENDING)


def test_a_complete_copy_is_a_preview_like_any_other() -> None:
    ready = a_ready_status(clones=1)
    assert decide(status=ready, source=None).status.state is PreviewState.READY
    assert decide(status=ready, secret_exists=False).actions == (ClaimServer(), EnsurePreview())
    assert decide(status=ready, now=BORN + timedelta(hours=24)).actions == (DropPreview(),)


def test_a_deletion_ends_a_copy() -> None:
    decision = decide(status=COPYING_STATUS, copying=ObservedCopy(number=1), meta={"deleting": True})
    assert decision.actions == (DropPreview(), SetFinalizer(False))


# --- the swap of the source ---


def _in_copy(name: str, spec: Any = COPY) -> PreviewObject:
    cloning = with_conditions(COPYING_STATUS, in_progress(Reason.CLONING, "x"), NOW)
    return PreviewObject(meta=a_meta(name, name), spec=spec, status=cloning)


def test_a_copy_counts_from_its_beginning_to_its_end() -> None:
    project = a_project_spec()
    assert is_being_copied(_in_copy("one"), "nightly", project)
    assert not is_being_copied(_in_copy("one"), "another", project)
    assert not is_being_copied(a_preview(COPY, a_ready_status()), "nightly", project)
    assert not is_being_copied(a_preview(COPY, NEW), "nightly", project)


VERIFIED = COPYING.model_copy(update={"shadow": a_shadow(verified=True, verified_at=NOW, oid=200)})


def test_a_swap_waits_for_the_copies_of_its_target() -> None:
    observed = observed_running_import(status=VERIFIED, swap=a_swap(), target_objects=(), copies=("one", "two"))
    waiting = decide_import(observed)
    assert (waiting.actions, waiting.status.shadow) == ((), VERIFIED.shadow)
    assert "The swap waits for 2 copies" in waiting.message
    following = observed_running_import(status=waiting.status, swap=a_swap(), target_objects=())
    assert decide_import(following).actions == (Swap(VERIFIED.shadow.pod_uid),)  # type: ignore[union-attr]


def test_the_limit_of_a_swap_counts_after_the_copies() -> None:
    late = NOW + 3 * POLICY.swap_limit
    observed = observed_running_import(status=VERIFIED, swap=a_swap(), target_objects=(), copies=("one",))
    waiting = decide_import(observed, late)
    assert waiting.status.shadow is not None
    assert waiting.status.shadow.verified_at == late
    following = observed_running_import(status=waiting.status, swap=a_swap(), target_objects=())
    assert decide_import(following, late + POLICY.swap_limit / 2).actions != ()


def test_a_project_without_its_namespace_copies_nothing() -> None:
    decision = decide(project=a_project(a_project_spec(namespace="elsewhere")))
    assert (decision.actions, reason(decision)) == ((), Reason.PROJECT_MISMATCH)


# --- the Project's primary ---

GOLDEN_PROJECT = a_project(a_project_spec(primary={"previewDatabase": "nightly"}))
CLONE = a_preview_spec(mode="clone")


def test_a_clone_without_a_source_copies_the_projects_golden_preview() -> None:
    decision = decide(CLONE, project=GOLDEN_PROJECT)
    assert decision.actions == (ClaimServer(), BeginCopy(1))
    complete = decide(CLONE, decision.status, project=GOLDEN_PROJECT, content=COMPLETE)
    assert (complete.status.state, complete.status.data_as_of) == (PreviewState.READY, BORN)


def test_the_source_of_a_preview_goes_before_the_projects() -> None:
    other = a_project(a_project_spec(primary={"previewDatabase": "weekly"}))
    assert find_copy_source(COPY, other.spec) == CopySource(preview_database="nightly")
    assert find_copy_source(CLONE, other.spec) == CopySource(preview_database="weekly")
    assert find_copy_source(a_preview_spec(), other.spec) is None
    by_url = a_project_spec(primary={"urlSecretRef": {"name": "primary", "key": "url"}})
    assert find_copy_source(CLONE, by_url) is None


def test_a_primary_that_is_not_golden_is_refused_with_the_field() -> None:
    decision = decide(CLONE, project=GOLDEN_PROJECT, source=a_golden(golden=False))
    assert reason(decision) == Reason.INVALID_SPEC
    assert "the Project's spec.primary.previewDatabase: nightly is not golden" in decision.message


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        pytest.param(ImportState.RUNNING, (), id="it runs"),
        pytest.param(ImportState.COMPLETED, (), id="it was completed"),
    ],
)
def test_the_import_of_an_earlier_primary_ends_first(state: ImportState, actions: tuple[object, ...]) -> None:
    status = COPYING_STATUS.model_copy(update={"clone_import": "pr-42-clone"})
    decision = decide(CLONE, status, project=GOLDEN_PROJECT, clone=an_import(status=ImportStatus(state=state)))
    assert decision.actions == actions
    completed = state is ImportState.COMPLETED
    assert decision.status.state is (PreviewState.READY if completed else PreviewState.PENDING)


def test_a_reset_after_a_change_of_the_primary_makes_a_copy() -> None:
    status = a_ready_status(clones=1, clone_import="pr-42-clone")
    spec = CLONE.model_copy(update={"reset_at": RESET.reset_at})
    ended = an_import(status=ImportStatus(state=ImportState.COMPLETED))
    decision = decide(spec, status, project=GOLDEN_PROJECT, clone=ended, content=ObservedContent(imported=True))
    assert decision.actions == (ClaimServer(), BeginCopy(2))
    assert decision.status.clone_import is None


@pytest.mark.parametrize("primary", [{}, {"urlSecretRef": {"name": "a", "key": "url"}, "previewDatabase": "nightly"}])
def test_a_primary_names_exactly_one_database(primary: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of urlSecretRef and previewDatabase"):
        a_project_spec(primary=primary)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_previews_that_copy_each_other_say_so_and_settle(size: int) -> None:
    names = [f"p{number}" for number in range(size)]
    specs = {
        name: a_preview_spec(mode="clone", **{"from": {"previewDatabase": source, "disconnect": True}})
        for name, source in zip(names, [*names[1:], names[0]], strict=True)
    }
    statuses = dict.fromkeys(names, NEW)

    def step(name: str, source: str) -> None:
        observed = PreviewObject(meta=a_meta(source), spec=specs[source], status=statuses[source])
        statuses[name] = decide(specs[name], statuses[name], source=observed, meta={"name": name}).status

    def run_round() -> dict[str, str]:
        for name in names:
            copied = specs[name].copy_from
            assert copied is not None
            step(name, copied.preview_database)
        return {name: statuses[name].conditions[0].message for name in names}

    run_round()
    messages = run_round()
    assert run_round() == messages
    relation = (
        "itself waits for this preview. Delete one" if size == 2 else "is pending and waits for PreviewDatabase p2"
    )
    assert f"PreviewDatabase p1, which {relation}" in messages["p0"]

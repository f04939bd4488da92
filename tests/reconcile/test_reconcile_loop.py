"""The reconcile loop: which keys a decision wakes, and what happens when a server does not answer."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.support.samples import (
    IMPORT_UID,
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    an_import,
    observed_preview,
)

from pgimport.decide.wake_targets import AllPreviews, ClaimedPreviews, NamespaceProjects, PendingImports, WakeTarget
from pgimport.model.errors import ServerUnavailable
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ResourceKey
from pgimport.reconcile import reconcile_loop
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.work_queue import ReconcileResult

CLAIMED = a_preview(status=a_ready_status(active_import=IMPORT_UID), name="claimed")
FREE = a_preview(name="free")
OTHER_PROJECT = a_project(a_project_spec(namespace="other"))
PREVIEW = ResourceKey(PREVIEWS, "shop", "free")


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> ReconcileContext:
    """A context whose cluster has a pending import, two previews and two Projects."""
    monkeypatch.setattr(reconcile_loop, "list_pending_imports", lambda _, namespace: [an_import(namespace=namespace)])
    monkeypatch.setattr(reconcile_loop, "list_previews", lambda *_: [CLAIMED, FREE])
    monkeypatch.setattr(reconcile_loop, "list_projects", lambda _: [a_project(), OTHER_PROJECT])
    return ReconcileContext(cluster=None, policy=a_policy())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        pytest.param(PREVIEW, [PREVIEW], id="a key"),
        pytest.param(PendingImports("shop"), [ResourceKey(IMPORTS, "shop", "debian")], id="pending imports"),
        pytest.param(ClaimedPreviews("shop"), [ResourceKey(PREVIEWS, "shop", "claimed")], id="claimed previews"),
        pytest.param(AllPreviews("shop"), [ResourceKey(PREVIEWS, "shop", "claimed"), PREVIEW], id="all previews"),
        pytest.param(NamespaceProjects("shop"), [ResourceKey(PROJECTS, "", "shop")], id="Projects of the namespace"),
    ],
)
def test_a_target_is_listed_as_keys(context: ReconcileContext, target: WakeTarget, keys: list[ResourceKey]) -> None:
    assert reconcile_loop._list_keys(context, (target,)) == tuple(keys)


def test_an_object_that_is_gone_wakes_others(context: ReconcileContext, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(reconcile_loop.RECONCILERS[PREVIEWS], observe=lambda *_: None)
    monkeypatch.setitem(reconcile_loop.RECONCILERS, PREVIEWS, gone)
    woken = (ResourceKey(PREVIEWS, "shop", "claimed"), ResourceKey(PROJECTS, "", "shop"))
    assert reconcile_loop.reconcile(context, PREVIEW) == ReconcileResult(wake=woken)


def test_a_server_that_does_not_answer_is_asked_again_later(
    context: ReconcileContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(*_: Any) -> None:
        raise ServerUnavailable(Failure(Reason.SERVER_UNREACHABLE, "no answer"))

    def observe(_context: ReconcileContext, _key: ResourceKey, _now: datetime) -> Any:
        return observed_preview(secret_exists=False)

    unreachable = replace(
        reconcile_loop.RECONCILERS[PREVIEWS], observe=observe, act=act, confirms=False, decide_unreachable=None
    )
    monkeypatch.setitem(reconcile_loop.RECONCILERS, PREVIEWS, unreachable)
    assert reconcile_loop.reconcile(context, PREVIEW) == ReconcileResult(requeue_after=context.policy.retry_interval)

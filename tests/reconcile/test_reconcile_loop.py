"""The reconcile loop: which keys a decision wakes, and what happens when a server does not answer."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.support.samples import (
    IMPORT_UID,
    NOW,
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    an_import,
    an_import_spec,
    observed_preview,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.import_transitions import completed
from pgimport.decide.wake_targets import AllPreviews, ClaimedPreviews, NamespaceProjects, PendingImports, WakeTarget
from pgimport.kubernetes_client.resource_lists import DirectLists
from pgimport.model.errors import Conflict, KubernetesUnavailable, ServerUnavailable
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import ImportState
from pgimport.reconcile import reconcile_loop
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.work_queue import ReconcileResult

CLAIMED = a_preview(status=a_ready_status(active_import=IMPORT_UID), name="claimed")
FREE = a_preview(name="free")
OTHER_PROJECT = a_project(a_project_spec(namespace="other"))
PREVIEW = ResourceKey(PREVIEWS, "shop", "free")


class Lists(DirectLists):
    """Lists of a cluster with a pending and a running import, two previews and two Projects."""

    def __init__(self) -> None:
        self.remembered: list[Any] = []

    def list_active_imports(self, namespace: str) -> list[ImportObject]:
        return [an_import(namespace=namespace), an_import(status=a_running_status(), name="running")]

    def list_previews(self, namespace: str) -> list[PreviewObject]:
        return [CLAIMED, FREE]

    def list_projects(self) -> list[ProjectObject]:
        return [a_project(), OTHER_PROJECT]

    def remember(self, kind: str, body: Any) -> None:
        self.remembered.append((kind, body))


@pytest.fixture
def context() -> ReconcileContext:
    return ReconcileContext(cluster=None, lists=Lists(), policy=a_policy())  # type: ignore[arg-type]


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


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The statuses that the loop writes. Every preview of this cluster is FREE, and cannot be created."""
    statuses: list[Any] = []
    monkeypatch.setattr(reconcile_loop, "write_status", lambda _cluster, _key, _meta, status: statuses.append(status))
    monkeypatch.setattr(reconcile_loop, "post_event", lambda *_: None)
    return statuses


def test_an_event_is_posted_before_the_status(context: ReconcileContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the status, a conflict would lose the event: the next decision has no reason for it."""
    notes: list[str] = []

    def refuse(*_: Any) -> None:
        raise Conflict("the object has changed")

    monkeypatch.setattr(reconcile_loop, "post_event", lambda _, event: notes.append(event["note"]))
    monkeypatch.setattr(reconcile_loop, "write_status", refuse)
    monkeypatch.setattr(reconcile_loop, "_now", lambda: NOW)  # before the preview expires
    observed = observed_preview(secret_exists=False)
    set_reconciler(monkeypatch, observe=lambda *_: observed, act=lambda *_: None)
    with pytest.raises(Conflict):
        reconcile_loop.reconcile(context, PREVIEW)
    assert [note for note in notes if "new password" in note]


def test_a_completed_import_that_lacks_objects_posts_a_warning_after_its_status(
    context: ReconcileContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen before: the only event was of type Normal, and said that the database is imported and verified."""
    posted: list[Any] = []
    monkeypatch.setattr(reconcile_loop, "write_status", lambda *_: posted.append("status"))
    monkeypatch.setattr(
        reconcile_loop, "post_event", lambda _, event: posted.append((event["type"], event["reason"], event["note"]))
    )
    item = an_import(status=a_running_status(skipped=2, refused=1))
    key = ResourceKey(IMPORTS, item.meta.namespace, item.meta.name)
    decision = completed(item.status, "The database is imported.", NOW)
    reconcile_loop._write_status(context, key, item, decision)
    assert posted[:2] == ["status", ("Normal", "Completed", "The database is imported.")]
    ((kind, reason, note),) = posted[2:]
    assert (kind, reason) == ("Warning", "ObjectsRefused")
    assert note.startswith("1 object is skipped because of the target")
    ended = replace(item, status=decision.status)
    reconcile_loop._write_status(
        context, key, ended, replace(decision, status=decision.status.model_copy(update={"cleaned_up": True}))
    )
    assert posted[3:] == ["status"]


def set_reconciler(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    changed = replace(reconcile_loop.RECONCILERS[PREVIEWS], read=lambda *_: FREE, confirms=False, **changes)
    monkeypatch.setitem(reconcile_loop.RECONCILERS, PREVIEWS, changed)


def raise_unreachable(*_: Any) -> Any:
    raise ServerUnavailable(Failure(Reason.SERVER_UNREACHABLE, "no answer"))


def observe(_context: ReconcileContext, _key: ResourceKey, _now: datetime) -> Any:
    return observed_preview(secret_exists=False)


@pytest.mark.isolation
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"observe": observe, "act": raise_unreachable}, id="during an action"),
        pytest.param({"observe": raise_unreachable}, id="during an observation"),
    ],
)
def test_a_server_that_does_not_answer_is_shown_and_asked_again_later(
    context: ReconcileContext, monkeypatch: pytest.MonkeyPatch, written: list[Any], changes: dict[str, Any]
) -> None:
    set_reconciler(monkeypatch, **changes)
    result = reconcile_loop.reconcile(context, PREVIEW)
    assert result.requeue_after == context.policy.retry_interval
    assert ready_reason(written[-1].conditions) == Reason.SERVER_UNREACHABLE


@pytest.mark.isolation
@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(Conflict("the Secret belongs to somebody else"), "belongs to somebody else", id="Conflict"),
        pytest.param(KubernetesUnavailable("no answer"), "no answer", id="Kubernetes"),
        pytest.param(KeyError("secret-value"), "KeyError", id="an unexpected exception"),
    ],
)
def test_five_exceptions_in_a_row_are_shown_in_the_status(
    context: ReconcileContext, monkeypatch: pytest.MonkeyPatch, written: list[Any], error: Exception, words: str
) -> None:
    set_reconciler(monkeypatch)
    for count in range(1, 15):
        reconcile_loop.report_error(context, PREVIEW, count, error)
    assert [ready_reason(status.conditions) for status in written] == [Reason.REPEATED_ERROR]
    message = written[0].conditions[0].message
    assert words in message
    assert "secret-value" not in message


@pytest.mark.isolation
def test_a_cancelled_import_ends_though_its_reconcile_raises(
    context: ReconcileContext, monkeypatch: pytest.MonkeyPatch, written: list[Any]
) -> None:
    item = an_import(an_import_spec(cancel=True), a_running_status())
    key = ResourceKey(IMPORTS, item.meta.namespace, item.meta.name)
    changed = replace(reconcile_loop.RECONCILERS[IMPORTS], read=lambda *_: item)
    monkeypatch.setitem(reconcile_loop.RECONCILERS, IMPORTS, changed)
    reconcile_loop.report_error(context, key, 1, KeyError("user"))
    assert [status.state for status in written] == [ImportState.CANCELLED]

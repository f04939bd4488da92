"""What a user asks of an import: to wait, to stop, to go on, to look only, to replace or to spare what is there."""

import pytest
from tests.e2e.tenant import (
    IMPORTS,
    KEPT_ROWS,
    PREVIEWS,
    READY_SECONDS,
    Tenant,
    condition_of,
    is_copying,
    reason_of,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

DISTURBED = ("cancelled", "suspended", "deleted", "unplaced")


@pytest.fixture(scope="module")
def disturbed(tenant: Tenant) -> dict[str, Manifest]:
    """Four imports in the middle of their copy, and what each looked like before somebody changed their mind."""
    tenant.make_kept_previews(*DISTURBED)
    for name in DISTURBED:
        tenant.start(name, "slow", name, recreate=True)

    def look() -> dict[str, Manifest] | None:
        found = {one["metadata"]["name"]: one for one in kubectl.list_objects(IMPORTS, tenant.name)}
        return {name: found[name] for name in DISTURBED} if all(is_copying(found[name]) for name in DISTURBED) else None

    bodies = kubectl.wait_until(
        look, "all copy", 90, lambda: "\n".join(tenant.describe(IMPORTS, name) for name in DISTURBED)
    )
    tenant.change("cancelled", cancel=True)
    tenant.change("suspended", suspend=True)
    tenant.delete("deleted")
    kubectl.delete(PREVIEWS, "unplaced", namespace=tenant.name, wait=False)
    return bodies


def test_the_shadow_is_there_while_it_runs(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    """Else the tests below would prove nothing."""
    for body in disturbed.values():
        assert body["status"]["shadow"]["database"].startswith("pgimport_")
        assert body["status"]["lockedResource"] == f"preview/{tenant.name}/{body['metadata']['name']}"


def test_cancelled_while_running(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    body = tenant.wait_for_end("cancelled", "cancelled", READY_SECONDS)
    assert (reason_of(body), body["status"]["retryClassification"]) == ("Cancelled", "cancelled")
    assert condition_of(body, "Stalled")["status"] == "True"
    tenant.assert_nothing_left(body)
    assert tenant.kept_rows("cancelled") == KEPT_ROWS


def test_deleted_while_running(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    body = disturbed["deleted"]
    tenant.assert_nothing_left(body, READY_SECONDS)
    kubectl.wait_until(lambda: not tenant.jobs(body["metadata"]["uid"]), "its Job is gone", READY_SECONDS)
    kubectl.wait_until(
        lambda: "activeImport" not in tenant.preview("deleted")["status"], "its target is free again", READY_SECONDS
    )
    assert tenant.kept_rows("deleted") == KEPT_ROWS


def test_the_target_deleted_while_running(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    body = tenant.wait_for_end("unplaced", "failed", READY_SECONDS)
    assert reason_of(body) == "TargetGone"
    tenant.assert_nothing_left(body)
    kubectl.wait_until(
        lambda: kubectl.find(PREVIEWS, "unplaced", tenant.name) is None, "the preview is gone", READY_SECONDS
    )
    assert tenant.server.query("SELECT datname FROM pg_database WHERE datname LIKE '%unplaced%'") == []
    assert tenant.server.query("SELECT rolname FROM pg_roles WHERE rolname LIKE '%unplaced%'") == []


def test_suspended_and_resumed(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    body = tenant.wait_for_reason("suspended", "Suspended")
    assert state_of(body) == "pending"
    before = disturbed["suspended"]
    kubectl.wait_until(lambda: not tenant.pods(before["metadata"]["uid"]), "its pod is gone", READY_SECONDS)
    assert tenant.attempts_on_server(before) == [], "its shadow is gone"
    assert tenant.kept_rows("suspended") == KEPT_ROWS
    tenant.change("suspended", suspend=False)
    ended = tenant.wait_for_end("suspended", "completed")
    assert ended["status"]["attempts"] == 1, "a suspension costs no attempt"
    assert tenant.tables("suspended") == ["slow_rows"]
    tenant.assert_nothing_left(ended)


# --- recreate ------------------------------------------------------------------------------------------------


def test_a_target_with_objects_is_spared_and_then_replaced(tenant: Tenant) -> None:
    tenant.make_kept_previews("full")
    tenant.start("full-spared", "small", "full")
    spared = tenant.wait_for_end("full-spared", "failed")
    assert reason_of(spared) == "TargetNotEmpty"
    assert "kept" in spared["status"]["error"]
    assert "recreate: true" in spared["status"]["error"]
    assert spared["status"]["attempts"] == 0
    assert tenant.jobs(spared["metadata"]["uid"]) == []
    assert tenant.kept_rows("full") == KEPT_ROWS

    before = tenant.connection("full")
    tenant.start("full-replaced", "small", "full", recreate=True)
    tenant.assert_nothing_left(tenant.wait_for_end("full-replaced", "completed"))
    assert tenant.tables("full") == ["things"]
    assert tenant.connection("full") == before, "the same database, role and password"


def test_what_comes_into_the_target_meanwhile_is_spared(tenant: Tenant) -> None:
    """The owner makes a table while the rows travel: looked at again before the swap."""
    tenant.make_previews("late")
    tenant.start("late", "slow", "late")
    tenant.wait_until_copying("late")
    tenant.log_in("late", "CREATE TABLE kept (id integer, note text); INSERT INTO kept VALUES (1, 'just now')")
    body = tenant.wait_for_end("late", "failed")
    assert reason_of(body) == "TargetNotEmpty"
    assert tenant.kept_rows("late") == [["1", "just now"]]
    tenant.assert_nothing_left(body)


def test_a_session_in_the_target_does_not_hold_it_up(tenant: Tenant) -> None:
    """The owner is at work in the database that is replaced: the session ends, the swap happens."""
    tenant.make_kept_previews("busy")
    tenant.start("busy", "slow", "busy", recreate=True)
    tenant.wait_until_copying("busy")
    with pytest.raises(kubectl.KubectlError, match="terminating connection"):
        tenant.log_in("busy", "BEGIN; SELECT * FROM kept; SELECT pg_sleep(120)")
    tenant.wait_for_end("busy", "completed")
    assert tenant.tables("busy") == ["slow_rows"]


# --- dryRun ------------------------------------------------------------------------------------------------------


def test_a_dry_run_reports_and_makes_nothing(tenant: Tenant) -> None:
    databases = "SELECT count(*) FROM pg_database"
    before = tenant.server.value(databases)
    for name in ("shop", "withext", "absent"):
        if name == "absent":
            tenant.make_secret("dry-absent", tenant.source.url("absent"))
        tenant.start(f"dry-{name}", "dry-absent" if name == "absent" else name, None, dryRun=True)
    bodies = tenant.wait_until_over("dry-shop", "dry-withext", "dry-absent")
    assert {state_of(body) for body in bodies.values()} == {"completed"}, list(bodies.values())
    reports = {name: body["status"]["preflight"] for name, body in bodies.items()}
    assert {name: report["ok"] for name, report in reports.items()} == {
        "dry-shop": True,
        "dry-withext": False,
        "dry-absent": False,
    }
    assert reports["dry-shop"]["source"]["serverVersion"].startswith("17.")
    assert "tablefunc" in str([check for check in reports["dry-withext"]["checks"] if check["status"] == "fail"])
    for body in bodies.values():
        tenant.assert_nothing_left(body)
        assert "verification" not in body["status"], "what was not compared is not shown"
    assert tenant.server.value(databases) == before


# --- waiting -------------------------------------------------------------------------------------------------


def test_waits_for_what_is_not_there_yet(tenant: Tenant) -> None:
    tenant.start("patient", "later", "patient")
    body = tenant.wait_for_reason("patient", "SourceSecretMissing")
    assert state_of(body) == "pending"
    assert condition_of(body)["status"] == "Unknown"
    assert condition_of(body, "Reconciling")["status"] == "True"
    assert "later" in condition_of(body)["message"]
    tenant.make_secret("later", tenant.source.url("small"))
    tenant.wait_for_reason("patient", "TargetNotFound")
    kubectl.create(tenant.preview_manifest("patient"))
    tenant.wait_for_end("patient", "completed")
    assert tenant.tables("patient") == ["things"]


def test_cancelled_while_waiting(tenant: Tenant) -> None:
    tenant.start("impatient", "never", "impatient")
    tenant.wait_for_reason("impatient", "SourceSecretMissing")
    tenant.change("impatient", cancel=True)
    body = tenant.wait_for_end("impatient", "cancelled", READY_SECONDS)
    assert body["status"]["attempts"] == 0
    assert tenant.jobs(body["metadata"]["uid"]) == []


def test_two_imports_of_one_target_follow_each_other(tenant: Tenant) -> None:
    tenant.make_previews("shared")
    tenant.start("shared-first", "slow", "shared")
    tenant.wait_for_reason("shared-first", "Running")
    tenant.start("shared-second", "small", "shared", recreate=True)
    waiting = tenant.wait_for_reason("shared-second", "WaitingForTarget")
    assert state_of(waiting) == "pending"
    assert "shared-first" in condition_of(waiting)["message"]
    bodies = tenant.wait_until_over("shared-first", "shared-second")
    first, second = (bodies[name]["status"] for name in ("shared-first", "shared-second"))
    assert (first["state"], second["state"]) == ("completed", "completed")
    assert second["startedAt"] >= first["completedAt"]
    assert tenant.tables("shared") == ["things"]


def test_no_more_at_once_than_the_project_allows(small_tenant: Tenant) -> None:
    """One at a time, into two targets."""
    names = ("slot-first", "slot-second")
    small_tenant.make_previews(*names)
    small_tenant.start(names[0], "slow", names[0])
    small_tenant.wait_for_reason(names[0], "Running")
    small_tenant.start(names[1], "small", names[1])
    assert state_of(small_tenant.wait_for_reason(names[1], "WaitingForSlot")) == "pending"
    bodies = small_tenant.wait_until_over(*names)
    first, second = (bodies[name]["status"] for name in names)
    assert (first["state"], second["state"]) == ("completed", "completed")
    assert second["startedAt"] >= first["completedAt"]
    kubectl.delete(PREVIEWS, *names, namespace=small_tenant.name)

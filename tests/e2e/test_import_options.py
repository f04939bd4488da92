"""Tests the options of an import: suspend, cancel, delete, dryRun and recreate, and what it waits for."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED
from tests.e2e.tenant import (
    IMPORTS,
    KEPT,
    KEPT_ROWS,
    PREVIEWS,
    READY_SECONDS,
    Tenant,
    condition_of,
    reason_of,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

REPLACED = ("cancelled", "suspended", "deleted", "targetless", "busy")
SPARED = ("late", "shared-first")
SLOTS = ("slot-first", "slot-second")


@dataclass
class Disturbed:
    """Imports as they were while they copied rows, and the session that was open in one target."""

    bodies: dict[str, Manifest]
    session: Future[list[list[str]]]


@pytest.fixture(scope="module")
def disturbed(tenant: Tenant, small_tenant: Tenant) -> Iterator[Disturbed]:
    """Starts all imports at the same time, and disturbs each one as soon as it copies rows."""
    tenant.make_kept_previews(*REPLACED)
    tenant.make_previews(*SPARED)
    small_tenant.make_previews(*SLOTS)
    kubectl.create(
        *(tenant.import_manifest(name, "slow", name, recreate=True) for name in REPLACED),
        *(tenant.import_manifest(name, "slow", name) for name in SPARED),
        small_tenant.import_manifest("slot-first", "slow", "slot-first"),
    )
    sessions: list[Future[list[list[str]]]] = []
    with ThreadPoolExecutor() as pool:
        long_session = "BEGIN; SELECT * FROM kept; SELECT pg_sleep(80)"
        actions: dict[str, Callable[[Manifest], object]] = {
            "cancelled": lambda _: tenant.change("cancelled", cancel=True),
            "suspended": lambda _: tenant.change("suspended", suspend=True),
            "deleted": lambda _: tenant.delete("deleted"),
            "targetless": lambda _: kubectl.delete(PREVIEWS, "targetless", namespace=tenant.name, wait=False),
            "busy": lambda _: sessions.append(pool.submit(tenant.log_in, "busy", long_session)),
            "late": lambda _: tenant.log_in("late", KEPT),
            "shared-first": lambda _: tenant.start("shared-second", "small", "shared-first", recreate=True),
        }
        slots = {"slot-first": lambda _: small_tenant.start("slot-second", "small", "slot-second")}
        slot_bodies = pool.submit(small_tenant.disturb, slots)
        bodies = tenant.disturb(actions)
        yield Disturbed(bodies | slot_bodies.result(), sessions[0])


def test_the_shadow_is_there_while_it_runs(disturbed: Disturbed) -> None:
    """Checks the precondition of the tests below."""
    for name, body in disturbed.bodies.items():
        assert body["status"]["shadow"]["database"].startswith("pgimport_")
        assert body["status"]["lockedResource"] == f"preview/{body['metadata']['namespace']}/{name}"


def test_cancelled_while_running(tenant: Tenant, disturbed: Disturbed) -> None:
    body = tenant.wait_for_end("cancelled", "cancelled", READY_SECONDS)
    assert (reason_of(body), body["status"]["retryClassification"]) == ("Cancelled", "cancelled")
    assert condition_of(body, "Stalled")["status"] == "True"
    tenant.assert_nothing_left(body)
    assert tenant.kept_rows("cancelled") == KEPT_ROWS


def test_deleted_while_running(tenant: Tenant, disturbed: Disturbed) -> None:
    body = disturbed.bodies["deleted"]
    tenant.assert_nothing_left(body, READY_SECONDS)
    kubectl.wait_until(lambda: not tenant.jobs(body["metadata"]["uid"]), "its Job is gone", READY_SECONDS)
    kubectl.wait_until(
        lambda: "activeImport" not in tenant.preview("deleted")["status"], "its target is free again", READY_SECONDS
    )
    assert tenant.kept_rows("deleted") == KEPT_ROWS


def test_the_target_deleted_while_running(tenant: Tenant, disturbed: Disturbed) -> None:
    body = tenant.wait_for_end("targetless", "failed", READY_SECONDS)
    assert reason_of(body) == "TargetGone"
    tenant.assert_nothing_left(body)
    kubectl.wait_until(
        lambda: kubectl.find(PREVIEWS, "targetless", tenant.name) is None, "the preview is gone", READY_SECONDS
    )
    assert tenant.server.query("SELECT datname FROM pg_database WHERE datname LIKE '%targetless%'") == []
    assert tenant.server.query("SELECT rolname FROM pg_roles WHERE rolname LIKE '%targetless%'") == []


def test_suspended_and_resumed(tenant: Tenant, disturbed: Disturbed) -> None:
    body = tenant.wait_for_reason("suspended", "Suspended")
    assert state_of(body) == "pending"
    before = disturbed.bodies["suspended"]
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


def test_a_table_created_during_the_import_is_spared(tenant: Tenant, disturbed: Disturbed) -> None:
    """The owner created a table while rows were copied; the operator checks the target again before the swap."""
    body = tenant.wait_for_end("late", "failed")
    assert reason_of(body) == "TargetNotEmpty"
    assert tenant.kept_rows("late") == KEPT_ROWS
    tenant.assert_nothing_left(body)


def test_a_session_in_the_target_does_not_delay_the_swap(tenant: Tenant, disturbed: Disturbed) -> None:
    """The owner has a session in the target: the session ends and the swap happens."""
    tenant.wait_for_end("busy", "completed")
    with pytest.raises(kubectl.KubectlError, match="terminating connection"):
        disturbed.session.result()
    assert tenant.tables("busy") == ["slow_rows"]


# --- dryRun ------------------------------------------------------------------------------------------------------


@pytest.mark.exclusive  # counts all databases of the server
def test_a_dry_run_reports_and_makes_nothing(tenant: Tenant) -> None:
    databases = "SELECT count(*) FROM pg_database"
    before = tenant.server.value(databases)
    tenant.make_secrets({"absent": tenant.source.url("absent")})
    kubectl.create(
        *(tenant.import_manifest(f"dry-{name}", name, None, dryRun=True) for name in ("shop", "withext", "absent"))
    )
    bodies = tenant.wait_until_over("dry-shop", "dry-withext", "dry-absent")
    assert {state_of(body) for body in bodies.values()} == {"completed"}, list(bodies.values())
    reports = {name: body["status"]["preflight"] for name, body in bodies.items()}
    assert {name: report["ok"] for name, report in reports.items()} == {
        "dry-shop": True,
        "dry-withext": False,
        "dry-absent": False,
    }
    assert reports["dry-shop"]["source"]["serverVersion"].startswith("18.")
    assert "tablefunc" in str([check for check in reports["dry-withext"]["checks"] if check["status"] == "fail"])
    for body in bodies.values():
        tenant.assert_nothing_left(body)
        assert "verification" not in body["status"], "a dry run compares nothing"
    assert tenant.server.value(databases) == before


# --- waiting -------------------------------------------------------------------------------------------------


def test_waits_for_what_is_not_there_yet(tenant: Tenant) -> None:
    tenant.start("patient", "later", "patient")
    body = tenant.wait_for_reason("patient", "SourceSecretMissing")
    assert state_of(body) == "pending"
    assert condition_of(body)["status"] == "Unknown"
    assert condition_of(body, "Reconciling")["status"] == "True"
    assert "later" in condition_of(body)["message"]
    tenant.make_secrets({"later": tenant.source.url("small")})
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


def assert_one_after_the_other(first: Manifest, second: Manifest) -> None:
    assert (state_of(first), state_of(second)) == ("completed", "completed")
    assert second["status"]["startedAt"] >= first["status"]["completedAt"]


def test_T32_two_imports_of_one_target_follow_each_other(tenant: Tenant, disturbed: Disturbed) -> None:
    bodies = tenant.wait_until_over("shared-first", "shared-second")
    assert_one_after_the_other(bodies["shared-first"], bodies["shared-second"])
    assert tenant.tables("shared-first") == ["things"]
    assert_waited(tenant, "shared-second", "WaitingForTarget", "shared-first")


def test_no_more_at_once_than_the_project_allows(small_tenant: Tenant, disturbed: Disturbed) -> None:
    """Two imports into two targets run one after the other."""
    bodies = small_tenant.wait_until_over(*SLOTS)
    assert_one_after_the_other(*(bodies[name] for name in SLOTS))
    assert_waited(small_tenant, "slot-second", "WaitingForSlot", "1 imports at once")
    kubectl.delete(PREVIEWS, *SLOTS, namespace=small_tenant.name)


def assert_waited(tenant: Tenant, name: str, reason: str, words: str) -> None:
    """Checks by its events that an import has waited for this reason."""
    events = kubectl.list_objects("events.events.k8s.io", tenant.name)
    notes = [event["note"] for event in events if event["regarding"].get("name") == name and event["reason"] == reason]
    assert notes, tenant.describe(IMPORTS, name)
    assert words in notes[0]


def test_digests_are_compared_where_they_are_asked(tenant: Tenant) -> None:
    tenant.make_previews("digests")
    tenant.start("digests", "shop", "digests", verify="checksums")
    verification = tenant.wait_for_end("digests", "completed")["status"]["verification"]
    assert (verification["mode"], verification["verified"], verification["differences"]) == ("checksums", True, [])
    comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("digests"))

"""Tests golden previews and their copies: filled by an import, copied, refreshed while copies are made, and deleted."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED, login
from tests.e2e.tenant import (
    END_SECONDS,
    KEPT,
    KEPT_ROWS,
    PREVIEWS,
    PROJECTS,
    READY_SECONDS,
    Tenant,
    reason_of,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster
COPIES = 20


def create_golden(tenant: Tenant, name: str, secret: str) -> Manifest:
    """Creates a golden preview and fills it by an import."""
    kubectl.create(tenant.preview_manifest(name, golden=True))
    tenant.wait(PREVIEWS, (name,), lambda body: reason_of(body) == "NoData", "created", READY_SECONDS)
    tenant.start(f"{name}-fill", secret, name)
    tenant.wait_for_end(f"{name}-fill", "completed")
    return wait_until_ready(tenant, name)[name]


def wait_until_ready(tenant: Tenant, *names: str) -> dict[str, Manifest]:
    return tenant.wait(PREVIEWS, names, lambda body: state_of(body) == "ready", "ready", END_SECONDS)


def copy_manifest(tenant: Tenant, name: str, golden: str, **spec: object) -> Manifest:
    return tenant.preview_manifest(name, mode="clone", ttl="1h", **{"from": {"previewDatabase": golden}}, **spec)


def test_a_golden_preview_is_filled_copied_and_refreshed(tenant: Tenant) -> None:
    before = datetime.now(UTC)
    golden = create_golden(tenant, "nightly", "shop")
    status = golden["status"]
    assert before - timedelta(seconds=5) <= datetime.fromisoformat(status["dataAsOf"]) <= datetime.now(UTC)
    assert "connectionSecret" not in status
    assert "expiresAt" not in status
    assert kubectl.find("secret", "nightly-connection", tenant.name) is None
    comparison.assert_same(tenant.source.server, "shop", EMBEDDED, status["database"])

    kubectl.create(copy_manifest(tenant, "pr-1", "nightly"))
    copy = wait_until_ready(tenant, "pr-1")["pr-1"]
    assert copy["status"]["dataAsOf"] == status["dataAsOf"]
    assert "cloneImport" not in copy["status"]
    comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("pr-1"))
    tenant.log_in("pr-1", KEPT)
    assert tenant.kept_rows("pr-1") == KEPT_ROWS
    connection = tenant.connection("pr-1")
    with pytest.raises(kubectl.KubectlError, match="FATAL"):
        login(tenant.source, connection | {"dbname": status["database"]}, "SELECT 1")

    # A failed refresh changes nothing.
    tenant.make_secrets({"nothing": tenant.source.url("nothing-there")})
    tenant.start("nightly-failed", "nothing", "nightly", recreate=True)
    tenant.wait_for_end("nightly-failed", "failed")
    unchanged = tenant.preview("nightly")
    assert (state_of(unchanged), unchanged["status"]["dataAsOf"]) == ("ready", status["dataAsOf"])

    tenant.start("nightly-again", "small", "nightly", recreate=True)
    tenant.wait_for_end("nightly-again", "completed")
    tenant.wait(
        PREVIEWS, ("nightly",), lambda body: body["status"]["dataAsOf"] > status["dataAsOf"], "is newer", READY_SECONDS
    )
    assert tenant.kept_rows("pr-1") == KEPT_ROWS, "a copy stays as it is"
    tenant.change_preview("pr-1", resetAt=datetime.now(UTC).isoformat())
    tenant.wait(
        PREVIEWS,
        ("pr-1",),
        lambda body: state_of(body) == "ready" and body["status"]["clones"] == 2,
        "is copied again",
        END_SECONDS,
    )
    comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("pr-1"))
    assert tenant.connection("pr-1") == connection, "the Secret stays"

    kubectl.delete(PREVIEWS, "nightly", namespace=tenant.name)
    assert not EMBEDDED.has_database(status["database"])
    assert not EMBEDDED.has_role(status["role"])
    comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("pr-1"))


def test_copies_around_a_refresh_succeed(tenant: Tenant) -> None:
    create_golden(tenant, "refreshed-golden", "small")
    names = [f"around-{number}" for number in range(COPIES)]
    kubectl.create(*(copy_manifest(tenant, name, "refreshed-golden") for name in names[: COPIES // 2]))
    tenant.start("golden-again", "small", "refreshed-golden", recreate=True)
    for name in names[COPIES // 2 :]:
        kubectl.create(copy_manifest(tenant, name, "refreshed-golden"))
    wait_until_ready(tenant, *names)
    tenant.wait_for_end("golden-again", "completed")
    databases = [tenant.database(name) for name in names]
    for database in databases:
        comparison.assert_same(tenant.source.server, "small", EMBEDDED, database)
    kubectl.delete(PREVIEWS, *names, namespace=tenant.name)
    assert [database for database in databases if EMBEDDED.has_database(database)] == []


def test_an_ordinary_preview_is_copied_if_its_sessions_may_end(tenant: Tenant) -> None:
    tenant.make_kept_previews("origin")
    source = {"previewDatabase": "origin"}
    kubectl.create(tenant.preview_manifest("refused", mode="clone", **{"from": source}))
    tenant.wait(PREVIEWS, ("refused",), lambda body: reason_of(body) == "InvalidSpec", "is refused", READY_SECONDS)
    kubectl.create(tenant.preview_manifest("sibling", mode="clone", **{"from": source | {"disconnect": True}}))
    wait_until_ready(tenant, "sibling")
    assert tenant.kept_rows("sibling") == KEPT_ROWS
    assert tenant.kept_rows("origin") == KEPT_ROWS


def test_a_clone_copies_the_golden_primary_of_its_project(tenant: Tenant) -> None:
    create_golden(tenant, "main", "small")
    kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"primary": {"previewDatabase": "main"}}})
    try:
        kubectl.create(tenant.preview_manifest("quick", mode="clone", ttl="1h"))
        body = wait_until_ready(tenant, "quick")["quick"]
        assert "cloneImport" not in body["status"]
        comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("quick"))
    finally:
        kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"primary": None}})

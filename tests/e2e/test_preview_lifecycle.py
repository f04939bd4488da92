"""Tests the lifecycle of a preview: creation, expiry, renewal, reset, deletion, and clones of the primary."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED, login
from tests.e2e.tenant import (
    END_SECONDS,
    IMPORTS,
    KEPT,
    KEPT_ROWS,
    PREVIEWS,
    PROJECTS,
    READY_SECONDS,
    Tenant,
    condition_of,
    reason_of,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def wait_for_reason(tenant: Tenant, name: str, reason: str) -> Manifest:
    return tenant.wait(PREVIEWS, (name,), lambda body: reason_of(body) == reason, reason, READY_SECONDS)[name]


def wait_for_state(tenant: Tenant, name: str, state: str) -> Manifest:
    return tenant.wait(PREVIEWS, (name,), lambda body: state_of(body) == state, state, READY_SECONDS)[name]


def test_ready_means_usable(tenant: Tenant) -> None:
    tenant.make_previews("fresh", ttl="1h")
    body = tenant.preview("fresh")
    assert condition_of(body)["status"] == "True"
    connection = tenant.connection("fresh")
    assert connection["dbname"] == body["status"]["database"]
    assert connection["uri"].startswith(f"postgresql://{connection['user']}:")
    tenant.log_in("fresh", KEPT)
    assert tenant.kept_rows("fresh") == KEPT_ROWS
    # The password opens this database only.
    for other in ("postgres", "template1", tenant.database("fresh").replace("fresh", "other")):
        with pytest.raises(kubectl.KubectlError, match="FATAL"):
            login(tenant.source, connection | {"dbname": other}, "SELECT 1")
    created = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
    assert (datetime.fromisoformat(body["status"]["expiresAt"]) - created).total_seconds() == 3600


def test_expires_comes_back_and_is_emptied(tenant: Tenant) -> None:
    tenant.make_previews("brief", ttl="1h")
    tenant.log_in("brief", KEPT)
    status = tenant.preview("brief")["status"]
    connection = tenant.connection("brief")

    # It expires three seconds from now: a short time to live from the start would be over too early on a busy machine.
    created = datetime.fromisoformat(tenant.preview("brief")["metadata"]["creationTimestamp"])
    age = (datetime.now(UTC) - created).total_seconds()
    tenant.change_preview("brief", ttl=f"{age + 3:.0f}s")

    expired = wait_for_state(tenant, "brief", "expired")
    assert reason_of(expired) == "Expired"
    assert not tenant.server.has_database(status["database"])
    assert not tenant.server.has_role(status["role"])

    tenant.change_preview("brief", ttl="2h", renewedAt=now())
    back = wait_for_state(tenant, "brief", "ready")
    assert datetime.fromisoformat(back["status"]["expiresAt"]) > datetime.now(UTC)
    assert tenant.tables("brief") == [], "its rows are gone for good"

    tenant.log_in("brief", KEPT)
    reset_at = now()
    tenant.change_preview("brief", resetAt=reset_at)
    tenant.wait(
        PREVIEWS,
        ("brief",),
        lambda body: body["status"].get("resetAt") is not None and state_of(body) == "ready",
        "is reset",
        READY_SECONDS,
    )
    assert tenant.tables("brief") == []
    assert datetime.fromisoformat(tenant.preview("brief")["status"]["resetAt"]) == datetime.fromisoformat(reset_at)
    assert tenant.connection("brief")["dbname"] == connection["dbname"]

    # A reset is not repeated.
    tenant.log_in("brief", KEPT)
    tenant.change_preview("brief", ttl="3h")
    tenant.wait(
        PREVIEWS,
        ("brief",),
        lambda body: body["status"]["observedGeneration"] == body["metadata"]["generation"],
        "is seen again",
        READY_SECONDS,
    )
    assert tenant.kept_rows("brief") == KEPT_ROWS


def test_deleted_with_all_it_had(tenant: Tenant) -> None:
    tenant.make_kept_previews("leaving")
    status = tenant.preview("leaving")["status"]
    kubectl.delete(PREVIEWS, "leaving", namespace=tenant.name)
    assert not tenant.server.has_database(status["database"])
    assert not tenant.server.has_role(status["role"])
    kubectl.wait_until(
        lambda: kubectl.find("secret", status["connectionSecret"], tenant.name) is None,
        "its Secret is gone",
        READY_SECONDS,
    )


def test_a_reset_waits_for_the_import(tenant: Tenant) -> None:
    tenant.make_previews("held")
    tenant.start("held", "slow", "held")
    tenant.wait_until_copying("held")
    tenant.change_preview("held", resetAt=now())
    tenant.wait(PREVIEWS, ("held",), lambda body: condition_of(body)["status"] == "Unknown", "waits for its import", 30)
    tenant.wait_for_end("held", "completed")
    tenant.wait(PREVIEWS, ("held",), lambda body: "resetAt" in body["status"], "is reset", READY_SECONDS)
    assert tenant.tables("held") == []


# --- clones -------------------------------------------------------------------------------------------------------


@pytest.fixture
def primary(tenant: Tenant) -> Iterator[Callable[[str], None]]:
    """Sets the Secret of the Project's primary database."""

    def name(secret: str) -> None:
        change = {"spec": {"primary": {"urlSecretRef": {"name": secret, "key": "url"}}}}
        kubectl.merge_patch(PROJECTS, tenant.name, None, change)

    yield name
    kubectl.merge_patch(PROJECTS, tenant.name, None, {"spec": {"primary": None}})


def test_a_clone_is_a_copy_of_the_primary_and_a_reset_a_new_one(tenant: Tenant, primary: Callable[[str], None]) -> None:
    kubectl.create(tenant.preview_manifest("twin", mode="clone", ttl="1h"))
    assert reason_of(wait_for_reason(tenant, "twin", "PrimaryMissing")) == "PrimaryMissing"
    primary("shop")
    body = wait_for_state(tenant, "twin", "ready")
    comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("twin"))
    first = body["status"]["cloneImport"]
    assert tenant.get(first)["metadata"]["ownerReferences"][0]["name"] == "twin"
    tenant.log_in("twin", KEPT)
    tenant.change_preview("twin", resetAt=now())
    tenant.wait(
        PREVIEWS,
        ("twin",),
        lambda body: state_of(body) == "ready" and body["status"]["cloneImport"] != first,
        "ready with a new copy",
        END_SECONDS,
    )
    comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("twin"))
    kubectl.delete(PREVIEWS, "twin", namespace=tenant.name)
    kubectl.wait_until(
        lambda: (
            not [body for body in kubectl.list_objects(IMPORTS, tenant.name) if "twin" in body["metadata"]["name"]]
            or None
        ),
        "its imports go with it",
        30,
    )


def test_a_clone_that_fails_says_why_and_is_tried_again(tenant: Tenant, primary: Callable[[str], None]) -> None:
    tenant.make_secrets({"no-primary": tenant.source.url("nothing-there")})
    primary("no-primary")
    kubectl.create(tenant.preview_manifest("doomed", mode="clone", ttl="1h"))
    body = wait_for_state(tenant, "doomed", "failed")
    assert reason_of(body) == "CloneFailed"
    assert "nothing-there" in condition_of(body)["message"]
    primary("small")
    tenant.change_preview("doomed", resetAt=now())
    wait_for_state(tenant, "doomed", "ready")
    comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("doomed"))


@pytest.mark.isolation
def test_tenants_cannot_take_the_last_connections_of_the_trial_server() -> None:
    """Seen before: one tenant held all of them, and another one's preview waited for 40 seconds."""
    assert EMBEDDED.value("SELECT pg_has_role('pgimport_admin', 'pg_use_reserved_connections', 'USAGE')") == "t"
    assert EMBEDDED.value("SHOW reserved_connections") == "10"

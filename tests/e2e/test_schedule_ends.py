"""A schedule that is deleted, whose imports replace each other, or that the API server refuses."""

import pytest
from tests.e2e.schedules import created, list_imports, wait_for_schedule
from tests.e2e.tenant import IMPORTS, READY_SECONDS, SCHEDULES, Tenant, is_over, state_of
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.waits]


def test_a_deleted_schedule_stops_its_import_and_leaves_the_target(tenant: Tenant) -> None:
    tenant.make_kept_previews("stopped")
    with created(tenant, tenant.schedule_manifest("stopped", "slow", "stopped")):
        wait_for_schedule(tenant, "stopped", lambda body: bool(body["status"].get("active")), "has an active import")
        (name,) = kubectl.get(SCHEDULES, "stopped", tenant.name)["status"]["active"]
        body = tenant.wait_until_copying(name)
        kubectl.delete(SCHEDULES, "stopped", namespace=tenant.name)
        kubectl.wait_until(
            lambda: kubectl.find(IMPORTS, name, tenant.name) is None, "the import is gone", READY_SECONDS
        )
        tenant.assert_nothing_left(body, seconds=READY_SECONDS)  # the Project's sweep drops the shadow
        assert tenant.kept_rows("stopped") == [["1", "mine"], ["2", "mine too"]]


def test_replace_cancels_the_import_of_the_minute_before(tenant: Tenant) -> None:
    """The first import waits for a Secret that does not exist."""
    tenant.make_kept_previews("replaced")
    manifest = tenant.schedule_manifest("replaced", "no-such-secret", "replaced", concurrencyPolicy="Replace")
    with created(tenant, manifest):
        wait_for_schedule(
            tenant,
            "replaced",
            lambda body: any(
                state_of(item) == "cancelled" and is_over(item) for item in list_imports(tenant, "replaced")
            ),
            "has a cancelled import",
        )
        assert "pending" in [state_of(item) for item in list_imports(tenant, "replaced")]
        assert tenant.kept_rows("replaced") == [["1", "mine"], ["2", "mine too"]]


def test_the_api_server_refuses_a_schedule_that_cannot_work(tenant: Tenant) -> None:
    cancelled = {**tenant.schedule_manifest("refused", "small", "refused")["spec"]["importTemplate"], "cancel": True}
    for spec, words in (
        ({"schedule": "61 * * * *"}, "no times: write five fields"),
        ({"timeZone": "+02:00"}, "no time zone: write a name of the IANA database"),
        ({"jitter": "25h"}, "jitter must be more than 0s and at most 24h"),
        ({"concurrencyPolicy": "Allow"}, "Forbid"),
        ({"importTemplate": cancelled}, "would be cancelled at once"),
        ({"importTemplate": {"project": tenant.name, "source": {}}}, "exactly one of urlSecretRef and uploadKey"),
    ):
        with pytest.raises(kubectl.KubectlError, match=words):
            kubectl.create(tenant.schedule_manifest("refused", "small", "refused", **spec))
    with pytest.raises(kubectl.KubectlError, match="at most 52 characters"):
        kubectl.create(tenant.schedule_manifest("x" * 53, "small", "refused"))

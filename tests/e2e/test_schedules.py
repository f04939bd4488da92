"""A schedule with a time in each minute: three refreshes in real time, one of which fails."""

from datetime import UTC, datetime

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED
from tests.e2e.schedules import change, created, list_imports, pause, set_secret, wait_for_schedule
from tests.e2e.tenant import PREVIEWS, READY_SECONDS, SCHEDULES, Tenant, condition_of, state_of
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.waits]


def test_three_refreshes_of_which_one_fails(tenant: Tenant) -> None:
    tenant.make_secrets({"refresh-nothing": tenant.source.url("nothing-there")})
    tenant.make_previews("refreshed")
    manifest = tenant.schedule_manifest("refreshed", "small", "refreshed", failedImportsHistoryLimit=2)
    manifest["metadata"]["labels"] = {"app.kubernetes.io/instance": "shop"}  # as Argo CD sets it
    with created(tenant, manifest):
        body = wait_for_schedule(
            tenant, "refreshed", lambda body: "lastSuccessfulTime" in body["status"], "has a first success"
        )
        next_time = datetime.fromisoformat(body["status"]["nextScheduleTime"])
        assert next_time.second == 0
        assert (next_time - datetime.now(UTC)).total_seconds() <= 60
        pause(tenant, "refreshed")
        comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("refreshed"))
        meta = list_imports(tenant, "refreshed")[0]["metadata"]
        assert meta["labels"] == {
            "app.kubernetes.io/managed-by": "pgimport-operator",
            "capydb.dev/schedule": "refreshed",
        }
        assert meta["ownerReferences"][0]["uid"] == body["metadata"]["uid"]

        set_secret(tenant, "refreshed", "refresh-nothing")
        change(tenant, "refreshed", suspend=False)
        body = wait_for_schedule(
            tenant,
            "refreshed",
            lambda body: "failed: " in condition_of(body).get("message", ""),
            "names its failed import",
        )
        assert condition_of(body)["status"] == "True"
        last_success = pause(tenant, "refreshed")["status"]["lastSuccessfulTime"]
        comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("refreshed"))

        set_secret(tenant, "refreshed", "shop")
        change(tenant, "refreshed", suspend=False)
        wait_for_schedule(
            tenant, "refreshed", lambda body: body["status"]["lastSuccessfulTime"] > last_success, "succeeds again"
        )
        pause(tenant, "refreshed")
        comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("refreshed"))
        minutes = [item["metadata"]["name"].rpartition("-")[2] for item in list_imports(tenant, "refreshed")]
        assert len(minutes) == len(set(minutes)) >= 3

        kubectl.delete(SCHEDULES, "refreshed", namespace=tenant.name)
        kubectl.wait_until(lambda: not list_imports(tenant, "refreshed"), "its imports are gone", READY_SECONDS)
        comparison.assert_same(tenant.source.server, "shop", EMBEDDED, tenant.database("refreshed"))
        assert state_of(kubectl.get(PREVIEWS, "refreshed", tenant.name)) == "ready"

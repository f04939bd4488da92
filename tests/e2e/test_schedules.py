"""A schedule with a time in each minute: three refreshes in real time, one of which fails; and its deletion."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED
from tests.e2e.tenant import (
    IMPORTS,
    PREVIEWS,
    READY_SECONDS,
    SCHEDULES,
    Tenant,
    condition_of,
    is_over,
    reason_of,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

# A minute until the next time, and an import on a busy machine.
RUN_SECONDS = 60 + 180


def list_imports(tenant: Tenant, schedule: str) -> list[Manifest]:
    return kubectl.list_objects(IMPORTS, tenant.name, f"capydb.dev/schedule={schedule}")


def wait_for_schedule(tenant: Tenant, name: str, condition: Callable[[Manifest], bool], what: str) -> Manifest:
    return tenant.wait(SCHEDULES, (name,), condition, what, RUN_SECONDS)[name]


def change(tenant: Tenant, name: str, **spec: Any) -> None:
    kubectl.merge_patch(SCHEDULES, name, tenant.name, {"spec": spec})


def set_secret(tenant: Tenant, name: str, secret: str) -> None:
    change(tenant, name, importTemplate={"source": {"urlSecretRef": {"name": secret, "key": "url"}}})


@pytest.fixture
def create(tenant: Tenant) -> Iterator[Callable[[Manifest], None]]:
    """Creates a schedule that is deleted after the test, so that it starts no more imports."""
    names: list[str] = []

    def create_schedule(manifest: Manifest) -> None:
        names.append(manifest["metadata"]["name"])
        kubectl.create(manifest)

    yield create_schedule
    kubectl.delete(SCHEDULES, *names, namespace=tenant.name)


def pause(tenant: Tenant, name: str) -> Manifest:
    """Suspends the schedule and waits for the end of its imports, so that no refresh disturbs a comparison."""
    change(tenant, name, suspend=True)
    return wait_for_schedule(
        tenant,
        name,
        lambda body: reason_of(body) == "Suspended" and not body["status"].get("active"),
        "is suspended and has no active import",
    )


def test_three_refreshes_of_which_one_fails(tenant: Tenant, create: Callable[[Manifest], None]) -> None:
    tenant.make_secrets({"refresh-nothing": tenant.source.url("nothing-there")})
    tenant.make_previews("refreshed")
    manifest = tenant.schedule_manifest("refreshed", "small", "refreshed", failedImportsHistoryLimit=2)
    manifest["metadata"]["labels"] = {"app.kubernetes.io/instance": "shop"}  # as Argo CD sets it
    create(manifest)

    body = wait_for_schedule(
        tenant, "refreshed", lambda body: "lastSuccessfulTime" in body["status"], "has a first success"
    )
    next_time = datetime.fromisoformat(body["status"]["nextScheduleTime"])
    assert next_time.second == 0
    assert (next_time - datetime.now(UTC)).total_seconds() <= 60
    pause(tenant, "refreshed")
    comparison.assert_same(tenant.source.server, "small", EMBEDDED, tenant.database("refreshed"))
    created = list_imports(tenant, "refreshed")[0]["metadata"]
    assert created["labels"] == {
        "app.kubernetes.io/managed-by": "pgimport-operator",
        "capydb.dev/schedule": "refreshed",
    }
    assert created["ownerReferences"][0]["uid"] == body["metadata"]["uid"]

    set_secret(tenant, "refreshed", "refresh-nothing")
    change(tenant, "refreshed", suspend=False)
    body = wait_for_schedule(
        tenant, "refreshed", lambda body: "failed: " in condition_of(body).get("message", ""), "names its failed import"
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


def test_a_deleted_schedule_stops_its_import_and_leaves_the_target(
    tenant: Tenant, create: Callable[[Manifest], None]
) -> None:
    tenant.make_kept_previews("stopped")
    create(tenant.schedule_manifest("stopped", "slow", "stopped"))
    wait_for_schedule(tenant, "stopped", lambda body: bool(body["status"].get("active")), "has an active import")
    (name,) = kubectl.get(SCHEDULES, "stopped", tenant.name)["status"]["active"]
    body = tenant.wait_until_copying(name)
    kubectl.delete(SCHEDULES, "stopped", namespace=tenant.name)
    kubectl.wait_until(lambda: kubectl.find(IMPORTS, name, tenant.name) is None, "the import is gone", READY_SECONDS)
    tenant.assert_nothing_left(body, seconds=READY_SECONDS)  # the Project's sweep drops the shadow
    assert tenant.kept_rows("stopped") == [["1", "mine"], ["2", "mine too"]]


def test_replace_cancels_the_import_of_the_minute_before(tenant: Tenant, create: Callable[[Manifest], None]) -> None:
    """The first import waits for a Secret that does not exist."""
    tenant.make_kept_previews("replaced")
    create(tenant.schedule_manifest("replaced", "no-such-secret", "replaced", concurrencyPolicy="Replace"))
    wait_for_schedule(
        tenant,
        "replaced",
        lambda body: any(state_of(item) == "cancelled" and is_over(item) for item in list_imports(tenant, "replaced")),
        "has a cancelled import",
    )
    assert "pending" in [state_of(item) for item in list_imports(tenant, "replaced")]
    assert tenant.kept_rows("replaced") == [["1", "mine"], ["2", "mine too"]]


def test_the_api_server_refuses_a_schedule_that_cannot_work(tenant: Tenant) -> None:
    for spec, words in (
        ({"schedule": "61 * * * *"}, "no times: write five fields"),
        ({"timeZone": "+02:00"}, "no time zone: write a name of the IANA database"),
        ({"jitter": "25h"}, "jitter must be more than 0s and at most 24h"),
        ({"concurrencyPolicy": "Allow"}, "Forbid"),
        ({"importTemplate": {"project": tenant.name, "source": {}}}, "exactly one of urlSecretRef and uploadKey"),
    ):
        with pytest.raises(kubectl.KubectlError, match=words):
            kubectl.create(tenant.schedule_manifest("refused", "small", "refused", **spec))
    with pytest.raises(kubectl.KubectlError, match="at most 52 characters"):
        kubectl.create(tenant.schedule_manifest("x" * 53, "small", "refused"))

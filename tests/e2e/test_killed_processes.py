"""Kills the operator, a pod or a Job during an import, and tests that nothing runs a second time."""

import time

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED, SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import IMPORTS, KEPT_ROWS, PREVIEWS, Tenant, operator_pods, reason_of, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]

SWEEP_SECONDS = 10


def kill_operator() -> None:
    """Kills the operator without a grace period, and waits until the next one is ready."""
    before = {pod["metadata"]["uid"] for pod in operator_pods()}
    kubectl.delete(
        "pods", *(pod["metadata"]["name"] for pod in operator_pods()), namespace=SYSTEM_NAMESPACE, force=True
    )

    def is_replaced() -> bool:
        for pod in operator_pods():
            conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", ())}
            if pod["metadata"]["uid"] not in before and conditions.get("Ready") == "True":
                return True
        return False

    kubectl.wait_until(is_replaced, "another operator is ready", 60)


def _observe(tenant: Tenant, body: Manifest) -> tuple[object, ...]:
    """Returns everything that would change if an import ran again: status, Jobs and pods."""
    uid = body["metadata"]["uid"]
    return (
        tenant.get(body["metadata"]["name"])["status"],
        [job["metadata"]["uid"] for job in tenant.jobs(uid)],
        sorted(pod["metadata"]["uid"] for pod in tenant.pods(uid)),
    )


@pytest.fixture(scope="module")
def ended(tenant: Tenant) -> dict[str, Manifest]:
    """Runs one import to each terminal state."""
    tenant.make_previews("end-completed", "end-failed", "end-cancelled")
    tenant.make_secrets({"end-failed": tenant.source.url("absent")})
    tenant.start("end-completed", "small", "end-completed")
    tenant.start("end-failed", "end-failed", "end-failed")
    tenant.start("end-cancelled", "never", "end-cancelled", cancel=True)
    bodies = tenant.wait_until_over("end-completed", "end-failed", "end-cancelled")
    assert [state_of(body) for body in bodies.values()] == ["completed", "failed", "cancelled"]
    return bodies


def test_the_operator_killed_in_mid_import(tenant: Tenant, source: Source, ended: dict[str, Manifest]) -> None:
    """One import copies rows and one was just created; both complete. Ended imports do not change."""
    before = {name: _observe(tenant, body) for name, body in ended.items()}
    tenant.make_previews("killed-copying", "killed-fresh")
    tenant.start("killed-copying", "slow", "killed-copying")
    tenant.wait_until_copying("killed-copying")
    tenant.start("killed-fresh", "small", "killed-fresh")
    kill_operator()
    bodies = tenant.wait_until_over("killed-copying", "killed-fresh")
    for name, body in bodies.items():
        assert state_of(body) == "completed", tenant.describe(IMPORTS, name)
        assert body["status"]["attempts"] == 1
        assert len(tenant.pods(body["metadata"]["uid"])) == 1
        tenant.assert_nothing_left(body)
    comparison.assert_same(source.server, "slow", EMBEDDED, tenant.database("killed-copying"))
    comparison.assert_same(source.server, "small", EMBEDDED, tenant.database("killed-fresh"))
    assert {name: _observe(tenant, body) for name, body in ended.items()} == before


def test_the_operator_killed_while_it_copies_a_golden_preview(tenant: Tenant, source: Source) -> None:
    """Each copy is complete and made once; nothing of the killed operator is left on the server."""
    kubectl.create(tenant.preview_manifest("kept-golden", golden=True))
    tenant.start("kept-golden", "shop", "kept-golden")
    tenant.wait_for_end("kept-golden", "completed")
    names = [f"cut-{number}" for number in range(8)]
    from_golden = {"from": {"previewDatabase": "kept-golden"}}
    kubectl.create(*(tenant.preview_manifest(name, mode="clone", **from_golden) for name in names))
    tenant.wait(PREVIEWS, names[:1], lambda body: reason_of(body) in ("Cloning", "Ready"), "begun", 30)
    kill_operator()
    tenant.wait(PREVIEWS, names, lambda body: state_of(body) == "ready", "ready", 120)
    for name in names:
        assert tenant.preview(name)["status"]["clones"] == 1
        comparison.assert_same(source.server, "shop", EMBEDDED, tenant.database(name))
    assert EMBEDDED.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgimport_temporary%'") == "0"
    kubectl.delete(PREVIEWS, "kept-golden", *names, namespace=tenant.name)


def test_what_has_ended_never_runs_again(tenant: Tenant, ended: dict[str, Manifest]) -> None:
    """Imports are applied again and changed, their Jobs are deleted; two sweeps and a new operator start nothing."""
    manifests = {
        "end-completed": tenant.import_manifest("end-completed", "small", "end-completed"),
        "end-failed": tenant.import_manifest("end-failed", "end-failed", "end-failed"),
        "end-cancelled": tenant.import_manifest("end-cancelled", "never", "end-cancelled", cancel=True),
    }
    # Now the cancelled import would succeed, and the completed one would change its target.
    tenant.make_secrets({"never": tenant.source.url("small")})
    tenant.log_in("end-completed", "DROP TABLE things")
    for body in ended.values():
        for job in tenant.jobs(body["metadata"]["uid"]):
            kubectl.delete("jobs", job["metadata"]["name"], namespace=tenant.name)
    before = {name: tenant.get(name) for name in ended}
    for manifest in manifests.values():
        manifest["metadata"]["labels"] = {"applied": "again"}
        manifest["spec"]["suspend"] = False
    kubectl.apply(*manifests.values())
    time.sleep(SWEEP_SECONDS)
    kill_operator()
    time.sleep(SWEEP_SECONDS)
    for name, body in before.items():
        status, jobs, pods = _observe(tenant, body)
        assert isinstance(status, dict)
        changing = ("observedGeneration", "updatedAt", "conditions")
        assert {key: value for key, value in status.items() if key not in changing} == {
            key: value for key, value in body["status"].items() if key not in changing
        }
        assert (jobs, pods) == ([], [])
        assert status["observedGeneration"] == tenant.get(name)["metadata"]["generation"]
    assert tenant.tables("end-completed") == []
    assert tenant.tables("end-cancelled") == []


@pytest.fixture(scope="module")
def disturbed(tenant: Tenant) -> dict[str, Manifest]:
    """Deletes the pod of one import and the Job of another; returns both as they were just before."""
    tenant.make_kept_previews("podless", "jobless")
    kubectl.create(*(tenant.import_manifest(name, "slow", name, recreate=True) for name in ("podless", "jobless")))
    return tenant.disturb(
        {
            "podless": lambda body: kubectl.delete(
                "pods", body["status"]["claimedBy"], namespace=tenant.name, wait=False
            ),
            "jobless": lambda body: kubectl.delete("jobs", body["status"]["job"], namespace=tenant.name, wait=False),
        }
    )


def test_T29_the_job_deleted_in_mid_import(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    """The result is unknown, so the import fails, and no other Job is created."""
    ended = tenant.wait_for_end("jobless", "failed")
    assert reason_of(ended) == "ResultLost"
    assert tenant.kept_rows("jobless") == KEPT_ROWS
    tenant.assert_nothing_left(ended)
    assert "activeImport" not in tenant.preview("jobless")["status"]


def test_T29_the_pod_deleted_in_mid_import(tenant: Tenant, disturbed: dict[str, Manifest]) -> None:
    ended = tenant.wait_for_end("podless", "completed")
    history = ended["status"]["attemptHistory"]
    assert [(attempt["number"], attempt["reason"]) for attempt in history] == [(1, "PodGone"), (2, "Completed")]
    assert history[0]["pod"] == disturbed["podless"]["status"]["claimedBy"]
    assert ended["status"]["attempts"] == 2
    assert tenant.tables("podless") == ["slow_rows"]
    tenant.assert_nothing_left(ended)

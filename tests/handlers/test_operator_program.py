"""The whole operator: real kopf and the real client over an emulated API, and a real PostgreSQL as the target server.

The test acts as the user, the kubelet and the worker: it applies objects, creates pods, and fills the shadow.
"""

import json
import time
from collections.abc import Iterator

import pytest
from tests.handlers.emulated_tenant import HOME, NAMESPACE, PASSED, WAITING, Tenant, ended, running, wait_for
from tests.handlers.running_operator import complete, run_operator, write_kubeconfig
from tests.support.kubernetes import BYSTANDER, Json, run_kubernetes
from tests.support.postgres import PostgresServer
from tests.support.samples import a_failed_result

from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import KubernetesUnavailable, NotFound
from pgimport.model.names import (
    IMPORTS,
    PREVIEWS,
    PROJECTS,
    attempt_names,
    replaced_names,
)
from pgimport.model.reasons import Reason

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tenant(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    with run_kubernetes() as kubernetes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, tmp_path_factory.mktemp("kubeconfig"))))
        prepared = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        prepared.prepare()
        with run_operator(kubernetes):
            yield prepared


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}


def check_nothing_of_kopf(body: Json) -> None:
    assert "annotations" not in body["metadata"]
    assert "finalizers" not in body["metadata"]


def test_an_import_runs_from_apply_to_completed(tenant: Tenant) -> None:
    tenant.apply("good")
    pod, status = complete(tenant, "good")
    completed = ("True", "Completed")
    assert conditions(status) == {"Ready": completed, "Succeeded": completed, "Finished": completed}
    assert (status["attempts"], status["maxAttempts"], status["claimedBy"]) == (1, 3, pod)
    assert (status["id"], status["clusterID"], status["organizationID"]) == ("shop.good", "test", "capy")
    assert status["preflight"]["ok"] is True
    assert status["verification"]["verified"] is True
    assert status["progress"]["percent"] == 100
    with tenant.as_owner("good") as connection:
        assert connection.execute("SELECT id, name FROM cats").fetchall() == [(1, "Ada")]
        connection.execute("INSERT INTO cats VALUES (2, 'Grace')")
        row = connection.execute(
            "SELECT tableowner = current_user FROM pg_catalog.pg_tables WHERE tablename = 'cats'"
        ).fetchone()
        assert row == (True,)


def test_a_completed_import_leaves_nothing_on_the_server(tenant: Tenant) -> None:
    tenant.apply("clean")
    pod, _ = complete(tenant, "clean")
    job = tenant.job("clean")
    assert job["spec"]["ttlSecondsAfterFinished"] == 86_400
    assert tenant.read_secret(job["metadata"]["name"]) is None
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    old = replaced_names(shadow.database)
    assert tenant.exists(old.database, old.role) == (False, False)
    wait_for("its preview to be free", lambda: "activeImport" not in tenant.status("clean", PREVIEWS))
    check_nothing_of_kopf(tenant.get(IMPORTS, "clean"))


def without_stamps(status: Json) -> Json:
    conditions = [
        {name: value for name, value in condition.items() if name != "observedGeneration"}
        for condition in status["conditions"]
    ]
    fields = {name: value for name, value in status.items() if name not in ("observedGeneration", "updatedAt")}
    return fields | {"conditions": conditions}


def test_a_terminal_import_that_is_changed_starts_nothing(tenant: Tenant) -> None:
    tenant.apply("touched")
    complete(tenant, "touched")
    before = tenant.get(IMPORTS, "touched")
    uid = before["metadata"]["uid"]
    tenant.cluster.patch(
        api_paths.resource(IMPORTS, NAMESPACE, "touched"), {"metadata": {"labels": {"touched": "yes"}}}
    )
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, "touched"), {"spec": {"cancel": True}})
    wait_for("the new generation to be observed", lambda: tenant.status("touched")["observedGeneration"] == 2)
    time.sleep(0.2)
    after = tenant.status("touched")
    assert without_stamps(after) == without_stamps(before["status"])
    assert len(tenant.jobs(uid)) == 1
    with tenant.as_owner("touched") as connection:
        assert connection.execute("SELECT count(*) FROM cats").fetchone() == (1,)


def test_a_source_that_refuses_the_password_fails_the_import_and_leaves_the_target(tenant: Tenant) -> None:
    tenant.apply("refused", recreate=True)
    with tenant.as_owner("refused") as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS id")
    job = tenant.job("refused")
    refusal = a_failed_result(Reason.SOURCE_AUTH_FAILED, "the source refused the user reader", "preflight")
    pod = tenant.show_pod(job, ended(refusal, 66), WAITING, "Failed")
    tenant.end_job(job, {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"})
    status = tenant.wait_for_state("refused", "failed")
    assert conditions(status) == {
        "Ready": ("False", "SourceAuthFailed"),
        "Stalled": ("True", "SourceAuthFailed"),
        "Succeeded": ("False", "SourceAuthFailed"),
        "Finished": ("True", "SourceAuthFailed"),
    }
    assert status["error"].startswith("the source refused the user reader (hint: ")
    assert (status["retryClassification"], status["lastExitCode"], status["attempts"]) == ("permanent", 66, 1)
    with tenant.as_owner("refused") as connection:
        assert connection.execute("SELECT id FROM mine").fetchall() == [(1,)]
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.read_secret(job["metadata"]["name"]) is None
    assert len(tenant.jobs(tenant.get(IMPORTS, "refused")["metadata"]["uid"])) == 1
    check_nothing_of_kopf(tenant.get(IMPORTS, "refused"))


def test_a_cancel_in_the_copy_drops_the_shadow_and_keeps_the_target(tenant: Tenant) -> None:
    tenant.apply("unwanted")
    job = tenant.job("unwanted")
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    tenant.fill(job, pod, "CREATE TABLE half (id int)")
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, "unwanted"), {"spec": {"cancel": True}})
    status = tenant.wait_for_state("unwanted", "cancelled")
    assert (status["retryClassification"], "error" in status) == ("cancelled", False)
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.cluster.get(api_paths.jobs(NAMESPACE, job["metadata"]["name"]))["spec"]["activeDeadlineSeconds"] == 1
    with tenant.as_owner("unwanted") as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_an_import_survives_failed_requests_to_the_api_server(tenant: Tenant) -> None:
    for method, part, code in (
        ("POST", "/jobs", 500),
        ("PATCH", "/postgresimports/shaken/status", 503),
        ("GET", "/postgresimports/shaken", 429),
        ("PATCH", "/previewdatabases/shaken/status", 409),
    ):
        tenant.kubernetes.refuse(method, part, code)
    tenant.apply("shaken")
    pod, status = complete(tenant, "shaken")
    assert (status["attempts"], status["claimedBy"]) == (1, pod)


def test_a_job_that_kubernetes_rejects_fails_the_import_with_the_field(tenant: Tenant) -> None:
    tenant.kubernetes.refuse("POST", "/jobs", 422, message="spec.template.spec.containers[0].resources: Invalid value")
    tenant.apply("greedy")
    status = tenant.wait_for_state("greedy", "failed")
    assert conditions(status)["Ready"] == ("False", "InvalidSpec")
    assert "containers[0].resources: Invalid value" in status["error"]


def test_an_import_without_a_project_waits_and_reads_nothing_that_may_be_forbidden(tenant: Tenant) -> None:
    source = {"urlSecretRef": {"name": "not-ours-to-read", "key": "url"}}
    tenant.apply("lost", project="absent", source=source)
    wait_for("lost to wait", lambda: tenant.status("lost").get("state") == "pending")
    assert conditions(tenant.status("lost"))["Ready"] == ("Unknown", "ProjectNotFound")
    assert tenant.kubernetes.requests("GET", "/secrets/not-ours-to-read") == []
    assert tenant.kubernetes.requests("GET", "/jobs/pgi-lost") == []


def test_passwords_are_only_in_secrets(tenant: Tenant) -> None:
    secret = tenant.server.admin_password
    for kind in (PROJECTS, PREVIEWS, IMPORTS):
        text = json.dumps(tenant.cluster.get(api_paths.resource(kind)))
        assert secret not in text
        assert "never-used" not in text
    for path in (api_paths.jobs(NAMESPACE), api_paths.events(NAMESPACE), api_paths.events(HOME)):
        try:
            text = json.dumps(tenant.cluster.get(path))
        except (NotFound, KubernetesUnavailable):
            continue
        assert secret not in text
        assert "never-used" not in text

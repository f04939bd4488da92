"""Tests the HTTP API on the real cluster, with curl alone."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.api_calls import Curl, check_connections, check_upload, forward_port, make_key, put
from tests.e2e.fixtures import file_lock
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import IMPORTS, PREVIEWS, Tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

OPERATOR = kubectl.CHECKOUT / "operator"
SERVICE, DEPLOYMENT = "service/pgimport-api", "deployment/pgimport-api"


@pytest.fixture(scope="module")
def port(tenant: Tenant) -> Iterator[int]:
    # Not beside test_api_permissions.py: a change of the number of replicas cuts forwarded ports.
    with file_lock("api-replicas"), forward_port() as port:
        yield port


@pytest.fixture(scope="module")
def curl(port: int) -> Curl:
    """Calls with a key of the tests' organisation."""
    return Curl(port, make_key("--organization", "e2e", "--name", "tests"))


def test_the_charts_own_key_opens_its_project(port: int, tenant: Tenant) -> None:
    entries = kubectl.get("secret", "pgimport-initial-key", SYSTEM_NAMESPACE)["data"]
    mine = Curl(port, base64.b64decode(entries["key"]).decode())
    assert mine.call("GET", "/projects/demo/jobs")[0] == 200
    assert mine.call("GET", f"/projects/{tenant.name}/jobs") == (404, {"error": "no such project"})
    assert Curl(port, "capy_live_000000000000_" + "0" * 43).call("GET", "/projects/demo/jobs")[0] == 401


def test_what_make_up_leaves_for_scripts_works() -> None:
    script = """. "$0"; curl --silent --header "Authorization: Bearer $PGIMPORT_API_KEY" \\
        "$PGIMPORT_API_URL/v1/projects/$PGIMPORT_PROJECT/jobs" """
    path = kubectl.cluster_folder() / "env"
    if "PGIMPORT_API_URL" not in path.read_text():
        pytest.skip("CLUSTER=current: this host has no way to its Services")
    done = subprocess.run(["sh", "-c", script, path], capture_output=True, text=True, check=True, timeout=120)
    assert set(json.loads(done.stdout)) == {"jobs"}
    assert path.stat().st_mode & 0o077 == 0
    assert (path.parent / "api-key").stat().st_mode & 0o077 == 0


def test_a_live_source_by_curl_alone(curl: Curl, tenant: Tenant, source: Source) -> None:
    status, answer = curl.call("POST", f"/projects/{tenant.name}/imports", {"source_url": source.url("shop")})
    assert status == 202, answer
    job = answer["job"]
    assert curl.call("GET", f"/jobs/{job['id']}")[0] == 200
    done = curl.poll(job["id"])
    assert done["state"] == "completed", done
    assert (done["attempts"], done["cluster_id"], done["organization_id"]) == (1, "embedded", "e2e")
    assert job["id"] in [
        entry["id"] for entry in curl.call("GET", f"/projects/{tenant.name}/jobs?limit=100")[1]["jobs"]
    ]
    preview = done["preview_database_id"]
    check_connections(curl, source, preview)
    assert source.password not in json.dumps(
        kubectl.get(IMPORTS, job["id"].removeprefix(f"{tenant.name}."), tenant.name)
    )
    status, answer = curl.call("DELETE", f"/preview-databases/{preview}")
    assert (status, answer["preview"]["state"]) == (202, "deleting")
    kubectl.wait_until(
        lambda: kubectl.find(PREVIEWS, preview.removeprefix(f"{tenant.name}."), tenant.name) is None,
        "the preview is gone",
        60,
    )


def test_a_dump_file_by_curl_alone(curl: Curl, source: Source, tenant: Tenant, tmp_path: Path) -> None:
    """The upload goes into the API's own store. Its URL works once, and only with its signature."""
    url = check_upload(curl, source, tenant, tmp_path, put)
    assert url.startswith(f"http://127.0.0.1:{curl.port}/v1/uploads/{tenant.name}/")
    assert put(url, tmp_path / "shop.dump") == 409
    assert put(url.partition("?")[0], tmp_path / "shop.dump") == 403


def test_a_preflight_by_curl(curl: Curl, source: Source, tenant: Tenant) -> None:
    status, answer = curl.call("POST", f"/projects/{tenant.name}/imports/preflight", {"source_url": source.url("shop")})
    assert status == 200, answer
    report = answer["preflight"]
    assert report["ok"] is True
    assert report["source"]["server_version"].startswith("18.")
    assert {check["name"] for check in report["checks"]} >= {"source_reachable", "extensions_available_on_target"}
    status, answer = curl.call(
        "POST", f"/projects/{tenant.name}/imports/preflight", {"source_url": source.url("shop", password="wrong")}
    )
    assert (status, answer["preflight"]["ok"]) == (200, False)
    assert "wrong" not in json.dumps(answer)


def test_two_preflights_at_once_share_nothing(curl: Curl, source: Source, tenant: Tenant) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda url: curl.call("POST", f"/projects/{tenant.name}/imports/preflight", {"source_url": url}),
                [source.url("shop"), source.url("small")],
            )
        )
    sizes = {answer["preflight"]["source"]["database_size_bytes"] for _, answer in answers}
    assert len(sizes) == 2
    imports = kubectl.list_objects(IMPORTS, tenant.name)
    preflights = [body for body in imports if body["metadata"]["name"].startswith("preflight-")]
    secrets = [body["spec"]["source"]["urlSecretRef"]["name"] for body in preflights]
    assert len(secrets) == len(set(secrets)) >= 2


def test_the_same_key_from_two_replicas_makes_one_job(curl: Curl, source: Source, tenant: Tenant) -> None:
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", DEPLOYMENT, "--replicas=2")
    kubectl.run("-n", SYSTEM_NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=240s")
    body = {"source_url": source.url("small"), "dry_run": True}
    with forward_port() as first, forward_port() as second, ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda port: Curl(port, curl.key).call(
                    "POST", f"/projects/{tenant.name}/imports", body, "--header", "Idempotency-Key: release-7"
                ),
                [first, second] * 4,
            )
        )
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", DEPLOYMENT, "--replicas=1")
    assert {status for status, _ in answers} == {202}
    assert len({answer["job"]["id"] for _, answer in answers}) == 1


def test_a_job_is_cancelled(curl: Curl, source: Source, tenant: Tenant) -> None:
    job = curl.call("POST", f"/projects/{tenant.name}/imports", {"source_url": source.url("slow")})[1]["job"]["id"]
    assert curl.call("POST", f"/jobs/{job}/cancel")[0] == 202
    assert curl.poll(job)["state"] == "cancelled"


def test_a_revoked_key_opens_nothing(port: int, tenant: Tenant) -> None:
    text = make_key("--organization", "e2e")
    mine = Curl(port, text)
    assert mine.call("GET", f"/projects/{tenant.name}/jobs")[0] == 200
    identity = text.removeprefix("capy_live_").partition("_")[0]
    subprocess.run(
        [sys.executable, "-m", "pgimport", "cli", "keys", "--namespace", SYSTEM_NAMESPACE, "revoke", identity],
        env={**kubectl.environment(), "PYTHONPATH": str(OPERATOR)},
        check=True,
        capture_output=True,
    )
    kubectl.wait_until(
        lambda: mine.call("GET", f"/projects/{tenant.name}/jobs")[0] == 401 or None, "the key opens nothing", 15
    )


def test_the_api_may_do_no_more_than_it_does(tenant: Tenant) -> None:
    """Kubernetes itself says what the API's service account may do."""
    account = f"--as=system:serviceaccount:{SYSTEM_NAMESPACE}:pgimport-api"

    def may(verb: str, resource: str, namespace: str, *options: str) -> bool:
        try:
            return kubectl.run("auth", "can-i", verb, resource, "-n", namespace, account, *options).strip() == "yes"
        except kubectl.KubectlError:
            return False

    assert may("create", "postgresimports.capydb.dev", tenant.name)
    assert may("create", "secrets", tenant.name)
    for verb in ("list", "watch", "delete", "patch", "get"):
        assert not may(verb, "secrets", tenant.name)
        assert not may(verb, "secrets", "kube-system")
    assert not may("get", "secrets", SYSTEM_NAMESPACE)
    assert may("get", "secret/pgimport-api-keys", SYSTEM_NAMESPACE)
    assert not may("create", "postgresimports.capydb.dev", "kube-system")
    assert not may("create", "pods", tenant.name)
    assert not may("delete", "postgresimports.capydb.dev", tenant.name)

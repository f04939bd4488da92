"""The import routes: response bodies, created objects, refused requests."""

import threading
from datetime import datetime
from typing import Any

import httpx
import pytest
from tests.api.conftest import PUBLIC, SOURCE, Api

from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.rest_views import Job


def test_an_import_without_a_preview_goes_into_a_new_one(api: Api) -> None:
    response = api.call("POST", "/projects/shop/imports", json={"source_url": f"  {SOURCE}\n"})
    assert response.status_code == 202, response.text
    assert set(response.json()) == {"job"}
    job = response.json()["job"]
    assert set(job) <= set(Job.model_fields)
    assert (job["state"], job["type"], job["project_id"], job["organization_id"], job["cluster_id"]) == (
        "pending",
        "project.import",
        "shop",
        "acme",
        "main",
    )
    assert (job["attempts"], job["max_attempts"]) == (0, 3)
    assert datetime.fromisoformat(job["created_at"]).utcoffset() is not None
    assert job["created_at"].endswith("Z")
    name, preview = job["id"].removeprefix("shop."), job["preview_database_id"].removeprefix("shop.")
    body = api.read(IMPORTS, name)
    assert body["spec"] == {
        "project": "shop",
        "source": {"urlSecretRef": {"name": f"{name}-source", "key": "url"}},
        "target": {"previewDatabase": preview},
    }
    assert "hush-hush" not in str(body)
    assert body["metadata"]["annotations"]["capydb.dev/request-id"] == response.headers["x-request-id"]
    assert api.read(PREVIEWS, preview)["spec"]["ttl"] == "24h"
    secret = api.context.cluster.get(f"/api/v1/namespaces/shop/secrets/{name}-source")
    assert secret["stringData"] == {"url": SOURCE}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
    assert api.call("GET", f"/jobs/{job['id']}").json() == {"job": job}


def test_an_import_goes_into_the_preview_that_it_names(api: Api) -> None:
    created = api.call("POST", "/projects/shop/preview-databases", json={"name": "mine", "ttl_hours": 2})
    assert created.status_code == 201
    assert created.json()["preview"]["id"] == "shop.mine"
    body = {"source_url": SOURCE, "preview_database_id": "shop.mine", "recreate": True, "confirm": True}
    job = api.call("POST", "/projects/shop/imports", json=body).json()["job"]
    assert job["preview_database_id"] == "shop.mine"
    assert api.read(IMPORTS, job["id"].removeprefix("shop."))["spec"]["recreate"] is True


def test_a_dry_run_needs_no_preview(api: Api) -> None:
    job = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE, "dry_run": True}).json()["job"]
    assert "preview_database_id" not in job
    spec = api.read(IMPORTS, job["id"].removeprefix("shop."))["spec"]
    assert (spec["dryRun"], "target" in spec) == (True, False)


def test_the_same_idempotency_key_gives_the_same_job(api: Api) -> None:
    headers, body = {"Idempotency-Key": "build 4711"}, {"source_url": SOURCE}
    first, second = (api.call("POST", "/projects/shop/imports", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    other = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE + "2"}, headers=headers)
    assert (other.status_code, "Idempotency-Key" in other.json()["error"]) == (409, True)
    assert (
        api.call("POST", "/projects/mall/imports", json=body, headers=headers).json()["job"]["id"].startswith("mall.")
    )
    annotations = api.read(IMPORTS, first.json()["job"]["id"].removeprefix("shop."))["metadata"]["annotations"]
    assert "4711" not in str(annotations)


@pytest.mark.parametrize("part", ["previewdatabases", "secrets"])
def test_a_request_that_fails_leaves_nothing_unless_it_can_be_repeated(api: Api, part: str) -> None:
    def list_specs(kind: str) -> dict[str, Any]:
        items = api.context.cluster.get(f"/apis/capydb.dev/v1alpha1/{kind}")["items"]
        return {item["metadata"]["name"]: item["spec"] for item in items}

    body, imports, previews = {"source_url": SOURCE}, list_specs(IMPORTS), list_specs(PREVIEWS)
    api.kubernetes.refuse("POST", part, 500)
    assert api.call("POST", "/projects/shop/imports", json=body).status_code == 503
    (spec,) = (spec for name, spec in list_specs(IMPORTS).items() if name not in imports)
    assert spec["cancel"] is True
    assert list_specs(PREVIEWS) == previews
    headers, imports = {"Idempotency-Key": f"without {part}"}, list_specs(IMPORTS)
    for status in (503, 202):
        if status == 503:
            api.kubernetes.refuse("POST", part, 500)
        assert api.call("POST", "/projects/shop/imports", json=body, headers=headers).status_code == status
    (spec,) = (spec for name, spec in list_specs(IMPORTS).items() if name not in imports)
    assert "cancel" not in spec
    assert spec["target"]["previewDatabase"] in list_specs(PREVIEWS)


@pytest.mark.parametrize("part", ["postgresimports", "secrets"])
def test_a_quota_that_changes_meanwhile_does_not_look_like_an_object_that_exists(api: Api, part: str) -> None:
    """Before, a request whose Secret was refused so got 202, and its import waited for the Secret for ever."""
    changed = 'Operation cannot be fulfilled on resourcequotas "small": the object has been modified'
    api.kubernetes.refuse("POST", part, 409, message=changed, reason="Conflict")
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE})
    assert (response.status_code, "retry-after" in response.headers) == (503, True)


def test_twenty_concurrent_requests_with_one_key_start_one_job(api: Api) -> None:
    ids: list[str] = []

    def start() -> None:
        response = api.call(
            "POST", "/projects/shop/imports", json={"source_url": SOURCE}, headers={"Idempotency-Key": "concurrent"}
        )
        ids.append(response.json()["job"]["id"])

    threads = [threading.Thread(target=start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len(set(ids))) == (20, 1)


INVALID_REQUESTS = [
    ("nothing", {}, "exactly one of source_url and upload_key"),
    ("both", {"source_url": SOURCE, "upload_key": "k"}, "exactly one of source_url and upload_key"),
    ("empty", {"source_url": "  "}, "source_url: string should have at least 1 character"),
    ("an unknown field", {"source_url": SOURCE, "sorce": 1}, "sorce: no such field"),
    ("confirm false", {"source_url": SOURCE, "confirm": False}, "confirm:"),
    ("recreate as a word", {"source_url": SOURCE, "recreate": "yes"}, "recreate:"),
    ("another scheme", {"source_url": "mysql://a:b@c/d"}, "source_url:"),
    ("loopback", {"source_url": "postgresql://a:b@127.0.0.1/d"}, "127.0.0.1"),
    ("metadata", {"source_url": "postgresql://a:b@169.254.169.254/d"}, "169.254.169.254"),
    ("two hosts", {"source_url": f"postgresql://a:b@{PUBLIC},10.0.0.1/d"}, "source_url:"),
    ("a parameter", {"source_url": SOURCE + "?hostaddr=10.0.0.1"}, "hostaddr"),
    ("a checksum", {"source_url": "https://a.example.com/d", "sha256": "abc"}, "sha256:"),
    ("a number", {"source_url": 7}, "source_url:"),
    ("a list", [], "the body"),
]


@pytest.mark.parametrize(("body", "words"), [pytest.param(*rest, id=name) for name, *rest in INVALID_REQUESTS])
def test_an_invalid_import_is_refused_with_its_field(api: Api, body: object, words: str) -> None:
    response = api.call("POST", "/projects/shop/imports", json=body)
    assert (response.status_code, set(response.json())) == (400, {"error"}), response.text
    assert words in response.json()["error"]
    assert "hush-hush" not in response.text


@pytest.mark.parametrize("preview", ["shop.none", "mall.none", "den.none", "none", "shop.", "shop.../x"])
def test_a_missing_preview_is_not_found(api: Api, preview: str) -> None:
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE, "preview_database_id": preview})
    assert (response.status_code, response.json()) == (404, {"error": "no such preview database"})


def run_preflight(api: Api, report: dict[str, Any]) -> httpx.Response:
    """Sends a preflight for the project mall, and writes the report like the operator."""

    def find_names() -> set[str]:
        bodies = api.context.cache.list_newest(IMPORTS, "mall", "mall")
        return {body["metadata"]["name"] for body in bodies if body["metadata"]["name"].startswith("preflight-")}

    known = find_names()

    def finish_preflight() -> None:
        assert api.context.cache.wait_for(lambda: bool(find_names() - known), 5)
        (name,) = find_names() - known
        api.set_status(IMPORTS, name, "mall", state="completed", preflight=report)

    thread = threading.Thread(target=finish_preflight)
    thread.start()
    response = api.call("POST", "/projects/mall/imports/preflight", json={"source_url": SOURCE})
    thread.join()
    assert response.status_code == 200, response.text
    return response


def test_a_preflight_waits_for_its_report(api: Api) -> None:
    check = {"name": "source_reachable", "status": "pass", "detail": "PostgreSQL 16.4"}
    source = {
        "serverVersion": "16.4",
        "serverVersionNum": 160004,
        "databaseSizeBytes": 4711,
        "extensions": [{"name": "vector", "version": "0.8.0", "schema": "public"}],
    }
    assert run_preflight(api, {"ok": True, "checks": [check], "source": source}).json() == {
        "preflight": {
            "ok": True,
            "checks": [check],
            "source": {
                "server_version": "16.4",
                "database_size_bytes": 4711,
                "extensions": [{"name": "vector", "version": "0.8.0"}],
            },
            "storage_limit_bytes": 1073741824,
            "target_version": "17.12",
        }
    }
    jobs = api.call("GET", "/projects/mall/jobs").json()["jobs"]
    assert all("preflight-" not in job["id"] for job in jobs)


def test_a_preflight_has_all_keys_without_values(api: Api) -> None:
    assert run_preflight(api, {"ok": False}).json() == {
        "preflight": {
            "ok": False,
            "checks": [],
            "source": None,
            "storage_limit_bytes": 1073741824,
            "target_version": "17.12",
        }
    }


def test_a_preflight_that_does_not_finish_in_time_is_504(api: Api) -> None:
    response = api.call("POST", "/projects/shop/imports/preflight", json={"source_url": SOURCE})
    assert (response.status_code, set(response.json())) == (504, {"error"})

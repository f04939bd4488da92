"""The routes of jobs and preview databases."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.api.conftest import Api, start_import

from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.scalar_types import format_time


def test_jobs_are_listed_newest_first_page_by_page(api: Api) -> None:
    assert api.call("GET", "/projects/mall/jobs").json() == {"jobs": []}
    ids = {start_import(api, "mall") for _ in range(7)}
    whole = [job["id"] for job in api.call("GET", "/projects/mall/jobs").json()["jobs"]]
    assert set(whole) == ids
    paged, path = [], "/projects/mall/jobs?limit=3"
    while True:
        response = api.call("GET", path)
        assert set(response.json()) == {"jobs"}
        paged += [job["id"] for job in response.json()["jobs"]]
        if "link" not in response.headers:
            break
        path = response.links["next"]["url"].removeprefix("/v1")
    assert paged == whole


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=***"])
def test_an_invalid_page_is_refused(api: Api, query: str) -> None:
    response = api.call("GET", f"/projects/shop/jobs?{query}")
    assert (response.status_code, set(response.json())) == (400, {"error"})


def test_a_job_shows_its_status(api: Api) -> None:
    job = start_import(api)
    api.set_status(
        IMPORTS,
        job.removeprefix("shop."),
        state="failed",
        attempts=2,
        error="the source was away",
        retryClassification="transient",
        lastExitCode=10,
        lastStderr="no route",
        claimedBy="pod-1",
        completedAt="2026-01-01T12:00:00.000Z",
        dataAsOf="2026-01-01T11:00:00.000Z",
        lockedResource="preview/shop/x",
    )
    body = api.call("GET", f"/jobs/{job}").json()["job"]
    assert (body["state"], body["attempts"], body["error"]) == ("failed", 2, "the source was away")
    assert (body["retry_classification"], body["last_exit_code"], body["claimed_by"]) == ("transient", 10, "pod-1")
    assert body["completed_at"] == "2026-01-01T12:00:00.000Z"
    assert body["data_as_of"] == "2026-01-01T11:00:00.000Z"
    assert "last_stdout" not in body


def test_a_job_and_a_preview_say_why_they_wait(api: Api) -> None:
    job = api.call("GET", f"/jobs/{start_import(api)}").json()["job"]
    assert "reason" not in job
    name, preview = job["id"].removeprefix("shop."), job["preview_database_id"].removeprefix("shop.")
    ready = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    for kind, owner, reason in ((IMPORTS, name, "WaitingForSlot"), (PREVIEWS, preview, "ProjectNotReady")):
        conditions = [{**ready, "type": "Stalled"}, {**ready, "reason": reason, "message": "It waits."}]
        api.set_status(kind, owner, state="pending", conditions=[{"reason": "x", **item} for item in conditions])
    body = api.call("GET", f"/jobs/{job['id']}").json()["job"]
    assert (body["reason"], body["message"]) == ("WaitingForSlot", "It waits.")
    body = api.call("GET", f"/preview-databases/shop.{preview}").json()["preview"]
    assert (body["reason"], body["message"]) == ("ProjectNotReady", "It waits.")


def test_a_job_that_is_not_finished_can_be_cancelled(api: Api) -> None:
    job = start_import(api)
    response = api.call("POST", f"/jobs/{job}/cancel")
    assert (response.status_code, response.json()["job"]["id"]) == (202, job)
    assert api.read(IMPORTS, job.removeprefix("shop."))["spec"]["cancel"] is True
    api.set_status(IMPORTS, job.removeprefix("shop."), state="cancelled")
    assert api.call("POST", f"/jobs/{job}/cancel").status_code == 202
    finished = start_import(api)
    api.set_status(IMPORTS, finished.removeprefix("shop."), state="completed")
    response = api.call("POST", f"/jobs/{finished}/cancel")
    assert (response.status_code, response.json()) == (409, {"error": "the job has already completed"})


def test_a_preview_is_created_extended_reset_and_deleted(api: Api) -> None:
    preview = api.call("POST", "/projects/shop/preview-databases", json={"name": "life"}).json()["preview"]
    times = {"created_at", "expires_at", "data_as_of"}
    assert set(preview) == {
        "id",
        "name",
        "project_id",
        "mode",
        "golden",
        "state",
        "reason",
        "message",
        "ttl_hours",
        *times,
    }
    assert (preview["state"], preview["mode"], preview["ttl_hours"]) == ("pending", "empty", 24)
    assert preview in api.call("GET", "/projects/shop/preview-databases").json()["previews"]
    duplicate = api.call("POST", "/projects/shop/preview-databases", json={"name": "life"})
    assert (duplicate.status_code, duplicate.json()) == (409, {"error": "life already exists"})
    not_ready = api.call("GET", "/preview-databases/shop.life/connections")
    assert not_ready.status_code == 409
    uid = api.context.cluster.get("/apis/capydb.dev/v1alpha1/namespaces/shop/previewdatabases/life")["metadata"]["uid"]
    api.context.cluster.create(
        "/api/v1/namespaces/shop/secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "life-connection",
                "namespace": "shop",
                "ownerReferences": [{"kind": "PreviewDatabase", "name": "life", "uid": uid}],
            },
            "data": {
                "host": "ZGI=",
                "port": "NTQzMg==",
                "dbname": "c2hvcA==",
                "user": "bWU=",
                "password": "cHc=",
                "uri": "cG9zdGdyZXNxbDovL21lOnB3QGRiL3Nob3A=",
            },
        },
    )
    api.set_status(PREVIEWS, "life", state="ready", connectionSecret="life-connection")
    connections = api.call("GET", "/preview-databases/shop.life/connections").json()["connections"]
    assert connections == {
        "host": "db",
        "port": 5432,
        "database": "shop",
        "user": "me",
        "password": "pw",
        "url": "postgresql://me:pw@db/shop",
    }
    extended = api.call("POST", "/preview-databases/shop.life/extend", json={"ttl_hours": 100})
    assert (extended.status_code, extended.json()["preview"]["ttl_hours"]) == (200, 100)
    assert extended.json()["preview"]["expires_at"] > preview["expires_at"]
    in_force = "2026-01-02T12:00:00.000Z"  # while spec.renewedAt is in the future
    generation = api.read(PREVIEWS, "life")["metadata"]["generation"]
    api.set_status(PREVIEWS, "life", state="ready", expiresAt=in_force, observedGeneration=generation)
    assert api.call("GET", "/preview-databases/shop.life").json()["preview"]["expires_at"] == in_force
    api.set_status(PREVIEWS, "life", state="ready", dataAsOf=in_force)
    assert api.call("GET", "/preview-databases/shop.life").json()["preview"]["data_as_of"] == in_force
    reset = api.call("POST", "/preview-databases/shop.life/reset")
    assert reset.status_code == 202
    assert "resetAt" in api.read(PREVIEWS, "life")["spec"]
    deleted = api.call("DELETE", "/preview-databases/shop.life")
    assert (deleted.status_code, deleted.json()["preview"]["state"]) == (202, "deleting")
    assert api.call("GET", "/preview-databases/shop.life").status_code == 404


@pytest.mark.parametrize("observed", [False, True], ids=["not observed", "observed"])
def test_a_preview_is_pending_until_its_reset_has_begun(api: Api, observed: bool) -> None:
    """A client that waits for `ready` would otherwise work in the old database, until it is dropped."""
    name = f"reset-{observed}".lower()
    api.call("POST", "/projects/shop/preview-databases", json={"name": name})
    api.set_status(PREVIEWS, name, state="ready", observedGeneration=_generation(api, name))
    answer = api.call("POST", f"/preview-databases/shop.{name}/reset").json()["preview"]
    not_seen = "The operator has not seen the request yet."
    assert (answer["state"], answer["reason"], answer["message"]) == ("pending", "Pending", not_seen)
    if observed:  # the reset waits, for example for an import that has claimed the preview
        condition = {"type": "Ready", "status": "Unknown", "reason": "Pending", "message": "spec.resetAt waits"}
        conditions = [condition | {"lastTransitionTime": "2026-01-01T12:00:00Z"}]
        generation = _generation(api, name)
        api.set_status(PREVIEWS, name, state="ready", observedGeneration=generation, conditions=conditions)
    shown = api.call("GET", f"/preview-databases/shop.{name}").json()["preview"]
    assert (shown["state"], shown["message"]) == ("pending", "spec.resetAt waits" if observed else not_seen)
    response = api.call("GET", f"/preview-databases/shop.{name}/connections")
    assert (response.status_code, "is pending" in response.json()["error"]) == (409, True)
    date = api.read(PREVIEWS, name)["spec"]["resetAt"]
    api.set_status(PREVIEWS, name, state="ready", resetAt=date, observedGeneration=_generation(api, name))
    assert api.call("GET", f"/preview-databases/shop.{name}").json()["preview"]["state"] == "ready"


def test_an_expired_or_failed_preview_is_pending_after_a_request(api: Api) -> None:
    for state, path, request in (("expired", "extend", {"ttl_hours": 48}), ("failed", "reset", None)):
        name = f"was-{state}"
        api.call("POST", "/projects/shop/preview-databases", json={"name": name})
        api.set_status(PREVIEWS, name, state=state, observedGeneration=_generation(api, name))
        answer = api.call("POST", f"/preview-databases/shop.{name}/{path}", json=request)
        assert answer.json()["preview"]["state"] == "pending"
        api.set_status(PREVIEWS, name, state=state, observedGeneration=_generation(api, name))
        assert api.call("GET", f"/preview-databases/shop.{name}").json()["preview"]["state"] == state


def _generation(api: Api, name: str) -> int:
    return int(api.read(PREVIEWS, name)["metadata"]["generation"])


def test_a_reset_is_newer_than_one_of_a_later_clock(api: Api) -> None:
    """The operator would take an older one for done."""
    api.call("POST", "/projects/shop/preview-databases", json={"name": "early"})
    later = format_time(datetime.now(UTC) + timedelta(seconds=30))
    api.set_status(PREVIEWS, "early", state="ready", resetAt=later)
    api.call("POST", "/preview-databases/shop.early/reset")
    assert api.read(PREVIEWS, "early")["spec"]["resetAt"] > later


def test_a_preview_that_is_being_deleted_cannot_be_changed(api: Api) -> None:
    api.call("POST", "/projects/shop/preview-databases", json={"name": "going"})
    api.set_status(PREVIEWS, "going", state="deleting")
    for call, path, body in (
        ("POST", "extend", {"ttl_hours": 1}),
        ("POST", "reset", None),
        ("GET", "connections", None),
    ):
        response = api.call(call, f"/preview-databases/shop.going/{path}", json=body)
        assert (response.status_code, set(response.json())) == (409, {"error"})


def test_an_expired_preview_has_no_database_until_it_is_extended(api: Api) -> None:
    created = api.call("POST", "/projects/shop/preview-databases", json={"name": "over"}).json()["preview"]
    api.set_status(PREVIEWS, "over", state="expired")
    for call, path in (("POST", "reset"), ("GET", "connections")):
        response = api.call(call, f"/preview-databases/shop.over/{path}")
        assert response.status_code == 409
        assert "extend it" in response.json()["error"]
    extended = api.call("POST", "/preview-databases/shop.over/extend", json={"ttl_hours": 48})
    assert (extended.status_code, extended.json()["preview"]["ttl_hours"]) == (200, 48)
    assert extended.json()["preview"]["expires_at"] > created["expires_at"]
    assert "renewedAt" in api.read(PREVIEWS, "over")["spec"]


def test_a_golden_preview_has_no_connections_and_never_expires(api: Api) -> None:
    path = "/projects/shop/preview-databases"
    preview = api.call("POST", path, json={"name": "nightly", "golden": True}).json()["preview"]
    assert (preview["golden"], preview["ttl_hours"], preview["expires_at"]) == (True, None, None)
    assert api.read(PREVIEWS, "nightly")["spec"] == {"project": "shop", "mode": "empty", "golden": True}
    api.set_status(PREVIEWS, "nightly", state="ready", dataAsOf="2026-01-01T02:00:00.000Z")
    assert api.call("GET", "/preview-databases/shop.nightly").json()["preview"]["data_as_of"] == (
        "2026-01-01T02:00:00.000Z"
    )
    for method, route, body in (("GET", "connections", None), ("POST", "extend", {"ttl_hours": 1})):
        response = api.call(method, f"/preview-databases/shop.nightly/{route}", json=body)
        assert response.status_code == 409
        assert "is golden" in response.json()["error"]


@pytest.mark.parametrize("body", [{"golden": True, "ttl_hours": 24}, {"golden": True, "mode": "clone"}])
def test_a_golden_preview_has_neither_a_ttl_nor_a_source(api: Api, body: dict[str, object]) -> None:
    response = api.call("POST", "/projects/shop/preview-databases", json=body)
    assert response.status_code == 400
    assert "a golden preview database" in response.json()["error"]


def test_a_clone_may_copy_a_golden_primary(api: Api) -> None:
    project, path = "/apis/capydb.dev/v1alpha1/projects/mall", "/projects/mall/preview-databases"
    api.context.cluster.patch(project, {"spec": {"primary": {"previewDatabase": "nightly"}}})
    try:
        deadline = time.monotonic() + 10
        while (response := api.call("POST", path, json={"mode": "clone", "name": "quick"})).status_code == 400:
            assert time.monotonic() < deadline  # the cache learns of the change soon
            time.sleep(0.05)
        assert (response.status_code, response.json()["preview"]["mode"]) == (201, "clone")
        assert api.read(PREVIEWS, "quick", "mall")["spec"] == {"project": "mall", "mode": "clone", "ttl": "24h"}
    finally:
        api.context.cluster.patch(project, {"spec": {"primary": None}})

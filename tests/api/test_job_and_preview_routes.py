"""Jobs and previews: what is listed, changed, and told."""

import pytest
from tests.api.conftest import SOURCE, Api

from pgimport.model.names import IMPORTS, PREVIEWS


def start(api: Api, project: str = "shop") -> str:
    answer = api.call("POST", f"/projects/{project}/imports", json={"source_url": SOURCE})
    found: str = answer.json()["job"]["id"]
    return found


def test_jobs_are_listed_newest_first_page_by_page(api: Api) -> None:
    assert api.call("GET", "/projects/mall/jobs").json() == {"jobs": []}
    ids = {start(api, "mall") for _ in range(7)}
    whole = [job["id"] for job in api.call("GET", "/projects/mall/jobs").json()["jobs"]]
    assert set(whole) == ids
    paged, path = [], "/projects/mall/jobs?limit=3"
    while True:
        answer = api.call("GET", path)
        assert set(answer.json()) == {"jobs"}
        paged += [job["id"] for job in answer.json()["jobs"]]
        if "link" not in answer.headers:
            break
        path = answer.links["next"]["url"].removeprefix("/v1")
    assert paged == whole


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=***"])
def test_a_wrong_page_is_refused(api: Api, query: str) -> None:
    answer = api.call("GET", f"/projects/shop/jobs?{query}")
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_job_tells_its_status(api: Api) -> None:
    job = start(api)
    api.set_status(
        IMPORTS, job.removeprefix("shop."), state="failed", attempts=2, error="the source was away",
        retryClassification="transient", lastExitCode=10, lastStderr="no route", claimedBy="pod-1",
        completedAt="2026-01-01T12:00:00.000Z", lockedResource="preview/shop/x",
    )  # fmt: skip
    told = api.call("GET", f"/jobs/{job}").json()["job"]
    assert (told["state"], told["attempts"], told["error"]) == ("failed", 2, "the source was away")
    assert (told["retry_classification"], told["last_exit_code"], told["claimed_by"]) == ("transient", 10, "pod-1")
    assert told["completed_at"] == "2026-01-01T12:00:00.000Z"
    assert "last_stdout" not in told


def test_cancelling(api: Api) -> None:
    job = start(api)
    answer = api.call("POST", f"/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["job"]["id"]) == (202, job)
    assert api.read(IMPORTS, job.removeprefix("shop."))["spec"]["cancel"] is True
    api.set_status(IMPORTS, job.removeprefix("shop."), state="cancelled")
    assert api.call("POST", f"/jobs/{job}/cancel").status_code == 202
    done = start(api)
    api.set_status(IMPORTS, done.removeprefix("shop."), state="completed")
    answer = api.call("POST", f"/jobs/{done}/cancel")
    assert (answer.status_code, answer.json()) == (409, {"error": "the job has already completed"})


def test_the_life_of_a_preview(api: Api) -> None:
    made = api.call("POST", "/projects/shop/preview-databases", json={"name": "life"}).json()["preview"]
    assert set(made) == {"id", "name", "project_id", "mode", "state", "ttl_hours", "created_at", "expires_at"}
    assert (made["state"], made["mode"], made["ttl_hours"]) == ("pending", "empty", 24)
    assert made in api.call("GET", "/projects/shop/preview-databases").json()["previews"]
    again = api.call("POST", "/projects/shop/preview-databases", json={"name": "life"})
    assert (again.status_code, again.json()) == (409, {"error": "life already exists"})
    early = api.call("GET", "/preview-databases/shop.life/connections")
    assert early.status_code == 409
    api.context.cluster.create("/api/v1/namespaces/shop/secrets", {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "life-connection", "namespace": "shop"},
        "data": {"host": "ZGI=", "port": "NTQzMg==", "dbname": "c2hvcA==", "user": "bWU=", "password": "cHc=",
                 "uri": "cG9zdGdyZXNxbDovL21lOnB3QGRiL3Nob3A="},
    })  # fmt: skip
    api.set_status(PREVIEWS, "life", state="ready", connectionSecret="life-connection")
    found = api.call("GET", "/preview-databases/shop.life/connections").json()["connections"]
    assert found == {
        "host": "db", "port": 5432, "database": "shop", "user": "me", "password": "pw",
        "url": "postgresql://me:pw@db/shop",
    }  # fmt: skip
    more = api.call("POST", "/preview-databases/shop.life/extend", json={"ttl_hours": 100})
    assert (more.status_code, more.json()["preview"]["ttl_hours"]) == (200, 100)
    assert more.json()["preview"]["expires_at"] > made["expires_at"]
    empty = api.call("POST", "/preview-databases/shop.life/reset")
    assert empty.status_code == 202
    assert "resetAt" in api.read(PREVIEWS, "life")["spec"]
    gone = api.call("DELETE", "/preview-databases/shop.life")
    assert (gone.status_code, gone.json()["preview"]["state"]) == (202, "deleting")
    assert api.call("GET", "/preview-databases/shop.life").status_code == 404


@pytest.mark.parametrize("state", ["expired", "deleting"])
def test_a_preview_that_is_over_is_not_changed(api: Api, state: str) -> None:
    api.call("POST", "/projects/shop/preview-databases", json={"name": f"over-{state}"})
    api.set_status(PREVIEWS, f"over-{state}", state=state)
    for call, path, body in (
        ("POST", "extend", {"ttl_hours": 1}), ("POST", "reset", None), ("GET", "connections", None),
    ):  # fmt: skip
        answer = api.call(call, f"/preview-databases/shop.over-{state}/{path}", json=body)
        assert (answer.status_code, set(answer.json())) == (409, {"error"})

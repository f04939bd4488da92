"""What a Project may have at the same time, and what it refuses while it is being deleted."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from tests.api.changed_projects import changed_project
from tests.api.conftest import SOURCE, Api, a_project

from pgimport.api.error_responses import ApiError
from pgimport.api.object_limits import ObjectLimits
from pgimport.kubernetes_client.custom_resources import parse_project
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.resources import ProjectObject


def some_project(**limits: int) -> ProjectObject:
    body = a_project("shop")
    meta = {"uid": "1", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z", **body["metadata"]}
    return parse_project({**body, "metadata": meta, "spec": {**body["spec"], "limits": limits}})


def count_dry_run(limits: ObjectLimits, name: str, project: ProjectObject) -> Any:
    return limits.count_dry_run(project, name, 2)


def count_preview(limits: ObjectLimits, name: str, project: ProjectObject) -> Any:
    return limits.count_preview(project, name)


@pytest.mark.parametrize(("count", "status"), [(count_dry_run, 429), (count_preview, 409)])
def test_requests_that_run_at_the_same_time_cannot_exceed_a_limit(
    api: Api, count: Callable[..., Any], status: int
) -> None:
    project = some_project(maxPreviews=2)
    project = replace(project, meta=replace(project.meta, name="empty"))
    limits = ObjectLimits(api.context.cache)
    with ExitStack() as running:
        for name in ("a", "b", "b"):  # b is sent twice, with the same Idempotency-Key
            running.enter_context(count(limits, name, project))
        with pytest.raises(ApiError) as refused:
            running.enter_context(count(limits, "c", project))
        assert refused.value.status == status
    with count(limits, "c", project):
        pass


def test_a_preview_above_the_limit_is_refused(api: Api) -> None:
    path = "/projects/mall/preview-databases"
    assert api.call("POST", path, json={"name": "only"}).status_code == 201
    headers = {"Idempotency-Key": "within the limit"}
    first = api.call("POST", "/projects/mall/imports", json={"source_url": SOURCE}, headers=headers)
    with changed_project(api, "mall", limits={"maxPreviews": 2}):
        for route, body in ((path, {}), ("/projects/mall/imports", {"source_url": SOURCE})):
            response = api.call("POST", route, json=body)
            assert (response.status_code, "limits.maxPreviews" in response.json()["error"]) == (409, True)
        again = api.call("POST", "/projects/mall/imports", json={"source_url": SOURCE}, headers=headers)
        assert (again.status_code, again.json()["job"]["id"]) == (202, first.json()["job"]["id"])
        into_existing = {"source_url": SOURCE, "preview_database_id": "mall.only"}
        assert api.call("POST", "/projects/mall/imports", json=into_existing).status_code == 202
        api.set_status(PREVIEWS, "only", "mall", state="expired")
        assert api.call("POST", path, json={}).status_code == 201
        renewal = api.call("POST", "/preview-databases/mall.only/extend", json={"ttl_hours": 1})
        assert (renewal.status_code, "limits.maxPreviews" in renewal.json()["error"]) == (409, True)


def test_a_project_that_is_being_deleted_takes_nothing_new(api: Api) -> None:
    api.call("POST", "/projects/shop/preview-databases", json={"name": "last"})
    with changed_project(api, "shop", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}):
        for path, body in (
            ("/projects/shop/imports", {"source_url": SOURCE}),
            ("/projects/shop/imports/preflight", {"source_url": SOURCE}),
            ("/projects/shop/imports/uploads", None),
            ("/projects/shop/preview-databases", {}),
            ("/preview-databases/shop.last/extend", {"ttl_hours": 2}),
            ("/preview-databases/shop.last/reset", None),
        ):
            response = api.call("POST", path, json=body)
            assert (response.status_code, response.json()) == (409, {"error": "the project is being deleted"})
        assert api.call("GET", "/preview-databases/shop.last").status_code == 200
        assert api.call("DELETE", "/preview-databases/shop.last").status_code == 202


def test_a_repeated_request_does_not_bring_back_a_deleted_preview(api: Api) -> None:
    headers = {"Idempotency-Key": "long ago"}
    job = api.call("POST", "/projects/mall/imports", json={"source_url": SOURCE}, headers=headers).json()["job"]
    api.set_status(IMPORTS, job["id"].removeprefix("mall."), "mall", state="completed")
    assert api.call("DELETE", f"/preview-databases/{job['preview_database_id']}").status_code == 202
    again = api.call("POST", "/projects/mall/imports", json={"source_url": SOURCE}, headers=headers)
    assert (again.status_code, again.json()["job"]["state"]) == (202, "completed")
    assert api.call("GET", f"/preview-databases/{job['preview_database_id']}").status_code == 404

"""Every route, with every kind of caller: who gets in, and what the others see."""

import re
from typing import Any

import pytest
from tests.api.conftest import SOURCE, Api

from pgimport.api.app import build_app
from pgimport.model.caller import Scope

WRITE, READ, JOBS = Scope.PROJECTS_WRITE, Scope.PROJECTS_READ, Scope.JOBS_READ
# Method, path, what is sent, the scope that it needs.
ROUTES: list[tuple[str, str, Any, Scope]] = [
    ("POST", "/projects/{p}/imports", {"source_url": SOURCE, "dry_run": True}, WRITE),
    ("POST", "/projects/{p}/imports/preflight", {"source_url": SOURCE}, WRITE),
    ("GET", "/projects/{p}/jobs", None, JOBS),
    ("GET", "/jobs/{p}.{job}", None, JOBS),
    ("POST", "/jobs/{p}.{job}/cancel", None, WRITE),
    ("GET", "/projects/{p}/preview-databases", None, READ),
    ("POST", "/projects/{p}/preview-databases", {}, WRITE),
    ("GET", "/preview-databases/{p}.{preview}", None, READ),
    ("POST", "/preview-databases/{p}.{preview}/extend", {"ttl_hours": 2}, WRITE),
    ("POST", "/preview-databases/{p}.{preview}/reset", None, WRITE),
    ("GET", "/preview-databases/{p}.{preview}/connections", None, WRITE),
    ("DELETE", "/preview-databases/{p}.{preview}", None, WRITE),
]


@pytest.fixture
def names(api: Api) -> dict[str, str]:
    job = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE}).json()["job"]
    return {
        "p": "shop", "job": job["id"].removeprefix("shop."),
        "preview": job["preview_database_id"].removeprefix("shop."),
    }  # fmt: skip


def test_no_route_is_forgotten() -> None:
    known = {(method, path.format(p="*", job="", preview="").replace("*.", "*")) for method, path, _, _ in ROUTES}
    document = build_app().openapi()["paths"]
    there = {
        (method.upper(), re.sub(r"{\w+}", "*", path.removeprefix("/v1")))
        for path, operations in document.items()
        for method in operations
    }  # fmt: skip
    assert there == known


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES, ids=lambda one: str(one))
class TestEveryRoute:
    """One request of each."""

    def test_without_a_key(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: Scope
    ) -> None:
        answer = api.call(method, path.format(**names), None, json=body)
        assert (answer.status_code, set(answer.json())) == (401, {"error"})
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_with_a_wrong_key(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: Scope
    ) -> None:
        assert api.call(method, path.format(**names), "wrong", json=body).status_code == 401
        assert api.call(method, path.format(**names), None, json=body, headers={"X-API-Key": "x"}).status_code == 401

    @pytest.mark.parametrize("key", ["foreign", "of-other-project"])
    def test_anothers_key_sees_what_is_not_there(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: Scope, key: str
    ) -> None:
        answer = api.call(method, path.format(**names), key, json=body)
        none = api.call(method, path.format(p="none", job="none", preview="none"), key, json=body)
        assert (answer.status_code, answer.json()) == (404, none.json())

    def test_without_the_scope(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: Scope
    ) -> None:
        answer = api.call(method, path.format(**names), "none", json=body)
        assert (answer.status_code, scope.value in answer.json()["error"]) == (403, True)
        assert (api.call(method, path.format(**names), "reads", json=body).status_code == 403) is (scope is WRITE)

    def test_a_projects_own_key_is_enough(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: Scope
    ) -> None:
        if path.endswith(("preflight", "connections")):  # 504 and 409: nobody does the operator's work here
            assert api.call(method, path.format(**names), "of-shop", json=body).status_code in (504, 409)
        else:
            assert api.call(method, path.format(**names), "of-shop", json=body).is_success

"""Authentication and authorization of every route, for every kind of caller."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from tests.api.conftest import SOURCE, Api, a_project, a_session, serve

from pgimport.api.app import build_app
from pgimport.api.failure_throttle import MAX_FAILURES, FailureThrottle
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.model.api_caller import ApiScope
from pgimport.model.names import PROJECTS
from pgimport.model.watch_scope import split_names

WRITE, READ, JOBS = ApiScope.PROJECTS_WRITE, ApiScope.PROJECTS_READ, ApiScope.JOBS_READ
INVALID_CREDENTIALS: dict[str, Callable[[], str]] = {
    "an expired key": lambda: "expired",
    "an expired session": lambda: a_session(exp=int(time.time()) - 60),
    "a session that is not valid yet": lambda: a_session(nbf=int(time.time()) + 60),
    "a session of another application": lambda: a_session(azp="https://evil.example.com"),
    "a session without a signature": lambda: a_session(algorithm="none"),
    "a session signed by another key": lambda: a_session(generate_private_key(65537, 2048)),
    "a session of no organization": lambda: a_session(o=None),
}
# Method, path, body, scope that the route needs.
ROUTES: list[tuple[str, str, Any, ApiScope]] = [
    ("POST", "/projects/{p}/imports", {"source_url": SOURCE, "dry_run": True}, WRITE),
    ("POST", "/projects/{p}/imports/uploads", None, WRITE),
    ("POST", "/projects/{p}/imports/preflight", {"source_url": SOURCE}, WRITE),
    ("GET", "/projects/{p}/jobs", None, JOBS),
    ("GET", "/jobs/{p}.{job}", None, JOBS),
    ("GET", "/jobs/{p}.{job}/report", None, JOBS),
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
        "p": "shop",
        "job": job["id"].removeprefix("shop."),
        "preview": job["preview_database_id"].removeprefix("shop."),
    }


def test_the_table_has_every_route() -> None:
    known = {(method, path.format(p="*", job="", preview="").replace("*.", "*")) for method, path, _, _ in ROUTES}
    document = build_app().openapi()["paths"]
    documented = {
        (method.upper(), re.sub(r"{\w+}", "*", path.removeprefix("/v1")))
        for path, operations in document.items()
        for method in operations
    }
    assert documented == known


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES, ids=str)
class TestEveryRoute:
    """Sends one request to each route of ROUTES."""

    def test_a_request_without_credentials_is_refused(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope
    ) -> None:
        response = api.call(method, path.format(**names), None, json=body)
        assert (response.status_code, set(response.json())) == (401, {"error"})
        assert response.headers["www-authenticate"] == "Bearer"

    def test_an_unknown_key_is_refused(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope
    ) -> None:
        assert api.call(method, path.format(**names), "wrong", json=body).status_code == 401
        assert api.call(method, path.format(**names), None, json=body, headers={"X-API-Key": "x"}).status_code == 401

    @pytest.mark.parametrize("credentials", INVALID_CREDENTIALS)
    def test_invalid_credentials_are_refused(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope, credentials: str
    ) -> None:
        response = api.call(method, path.format(**names), INVALID_CREDENTIALS[credentials](), json=body)
        assert (response.status_code, set(response.json())) == (401, {"error"})

    def test_a_session_reaches_its_organization_only(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope
    ) -> None:
        assert api.call(method, path.format(**names), a_session(o={"id": "rivals"}), json=body).status_code == 404
        if not path.endswith(("preflight", "connections", "report")):
            assert api.call(method, path.format(**names), a_session(), json=body).is_success

    @pytest.mark.parametrize("key", ["foreign", "of-other-project"])
    def test_a_foreign_object_looks_like_a_missing_one(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope, key: str
    ) -> None:
        response = api.call(method, path.format(**names), key, json=body)
        missing = api.call(method, path.format(p="none", job="none", preview="none"), key, json=body)
        assert (response.status_code, response.json()) == (404, missing.json())

    def test_a_key_without_the_scope_is_refused(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope
    ) -> None:
        response = api.call(method, path.format(**names), "none", json=body)
        assert (response.status_code, scope.value in response.json()["error"]) == (403, True)
        assert (api.call(method, path.format(**names), "reads", json=body).status_code == 403) is (scope is WRITE)

    def test_a_key_of_one_project_reaches_that_project(
        self, api: Api, names: dict[str, str], method: str, path: str, body: Any, scope: ApiScope
    ) -> None:
        if path.endswith(("preflight", "connections", "report")):  # 504 and 409: no operator runs in this test
            assert api.call(method, path.format(**names), "of-shop", json=body).status_code in (504, 409)
        else:
            assert api.call(method, path.format(**names), "of-shop", json=body).is_success


def test_an_address_that_fails_too_often_waits_unless_its_key_is_valid(api: Api) -> None:
    throttle, valid_key = FailureThrottle(refill_seconds=3600), {"X-API-Key": api.keys["all"]}
    with serve(replace(api.context, throttle=throttle)) as url:
        for _ in range(MAX_FAILURES):
            assert httpx.get(f"{url}/v1/projects/shop/jobs", headers={"X-API-Key": "wrong"}).status_code == 401
        response = httpx.get(f"{url}/v1/projects/shop/jobs", headers={"X-API-Key": "wrong"})
        assert httpx.get(f"{url}/v1/projects/shop/jobs", headers=valid_key).status_code == 200
    assert (response.status_code, set(response.json())) == (429, {"error"})
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("trusted", "warnings"), [("", 1), ("192.0.2.1", 1), ("127.0.0.9/8", 0)])
def test_the_log_says_once_that_a_proxy_is_not_trusted(
    api: Api, caplog: pytest.LogCaptureFixture, trusted: str, warnings: int
) -> None:
    """Also if `api.trustedProxies` has the address that the proxy had before."""
    headers = {"X-API-Key": "wrong", "X-Forwarded-For": "198.51.100.7"}
    context = replace(api.context, warned_of_proxy=threading.Event())
    with serve(context, split_names(trusted)) as url, caplog.at_level("WARNING"):
        for _ in range(2):
            assert httpx.get(f"{url}/v1/projects/shop/jobs", headers=headers).status_code == 401
    assert sum("api.trustedProxies" in record.getMessage() for record in caplog.records) == warnings


def test_while_kubernetes_does_not_answer_every_route_responds_with_503(api: Api) -> None:
    with serve(replace(api.context, cache=JsonCache(api.context.cluster, ()))) as url:
        for path in ("/readyz", "/v1/projects/shop/jobs"):
            response = httpx.get(url + path, headers={"X-API-Key": api.keys["all"]}, timeout=60)
            assert (response.status_code, set(response.json()), response.headers["retry-after"]) == (
                503,
                {"error"},
                "5",
            )
        assert httpx.get(url + "/healthz").status_code == 200


@pytest.fixture
def twin(api: Api) -> Iterator[str]:
    """A Project of another organization that has the namespace of the Project shop by mistake."""
    path = "/apis/capydb.dev/v1alpha1/projects"
    api.context.cluster.create(path, a_project("twin", "rivals", "shop"))
    assert api.context.cache.wait_for(lambda: api.context.cache.find(PROJECTS, "", "twin") is not None, 10)
    yield "twin"
    api.context.cluster.delete(f"{path}/twin")


@pytest.mark.parametrize("is_readable", [True, False], ids=["a valid spec", "a spec of another version"])
def test_projects_of_one_namespace_do_not_see_each_others_objects(
    api: Api, names: dict[str, str], twin: str, is_readable: bool
) -> None:
    for kind, name in (("postgresimports", names["job"]), ("previewdatabases", names["preview"])):
        path = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{kind}/{name}"
        spec = {"spec": {"fieldOfAnotherVersion": None if is_readable else 1}}
        api.context.cache.remember(kind, api.context.cluster.patch(path, spec))
    assert api.call("GET", f"/projects/{twin}/jobs", "foreign").json() == {"jobs": []}
    assert api.call("GET", f"/projects/{twin}/preview-databases", "foreign").json() == {"previews": []}
    for route in (f"/jobs/{twin}.{names['job']}", f"/preview-databases/{twin}.{names['preview']}"):
        assert api.call("GET", route, "foreign").status_code == 404
    for route in (f"/jobs/shop.{names['job']}", f"/preview-databases/shop.{names['preview']}"):
        assert api.call("GET", route).status_code == 200

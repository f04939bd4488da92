"""Invalid requests: each gets a fitting status and the body `{"error": …}`, and changes nothing."""

from dataclasses import replace
from http.client import HTTPConnection
from typing import Any, cast

import httpx
import pytest
from tests.api.conftest import SOURCE, Api, serve

from pgimport.kubernetes_client.api_client import KubernetesClient

IMPORTS, PREVIEWS = "/v1/projects/shop/imports", "/v1/projects/shop/preview-databases"
JSON = {"Content-Type": "application/json"}
GOOD = '{"source_url": "' + SOURCE + '"}'


def source(url: str) -> dict[str, Any]:
    return {"json": {"source_url": url}}


# Test id, method, path, arguments of the request, status, words of the error.
TABLE: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    # Routes.
    ("no such route", "GET", "/v1/nothing", {}, 404, "no such route"),
    ("no such route below v1", "POST", "/v1/projects/shop/import", {}, 404, "no such route"),
    ("the root", "GET", "/", {}, 404, "no such route"),
    ("another version", "GET", "/v2/projects/shop/jobs", {}, 404, "no such route"),
    ("a slash too many", "GET", "/v1/projects/shop/jobs/", {}, 404, "no such route"),
    ("the framework's own pages", "GET", "/docs", {}, 404, "no such route"),
    ("GET of imports", "GET", IMPORTS, {}, 405, "method not allowed"),
    ("PUT of imports", "PUT", IMPORTS, {}, 405, "method not allowed"),
    ("DELETE of a job", "DELETE", "/v1/jobs/shop.x", {}, 405, "method not allowed"),
    ("POST of connections", "POST", "/v1/preview-databases/shop.x/connections", {}, 405, "method not allowed"),
    ("GET of cancel", "GET", "/v1/jobs/shop.x/cancel", {}, 405, "method not allowed"),
    ("TRACE", "TRACE", "/v1/jobs/shop.x", {}, 405, "method not allowed"),
    ("an unknown method", "BREW", "/v1/jobs/shop.x", {}, 405, "method not allowed"),
    # Bodies.
    ("no body", "POST", IMPORTS, {}, 400, "the body is missing"),
    ("an empty body", "POST", IMPORTS, {"content": b"", "headers": JSON}, 400, "the body is missing"),
    ("half of JSON", "POST", IMPORTS, {"content": GOOD[:-1], "headers": JSON}, 400, "the body is not JSON"),
    ("no JSON", "POST", IMPORTS, {"content": "source_url=x", "headers": JSON}, 400, "the body is not JSON"),
    ("two values", "POST", IMPORTS, {"content": GOOD + GOOD, "headers": JSON}, 400, "the body is not JSON"),
    ("null", "POST", IMPORTS, {"content": "null", "headers": JSON}, 400, "body"),
    ("a list", "POST", IMPORTS, {"json": []}, 400, "the body must be a JSON object"),
    ("a text", "POST", IMPORTS, {"json": "x"}, 400, "the body must be a JSON object"),
    ("a number", "POST", IMPORTS, {"json": 1}, 400, "the body must be a JSON object"),
    ("no UTF-8", "POST", IMPORTS, {"content": b'{"a": "\xff"}', "headers": JSON}, 400, "body"),
    ("nested without end", "POST", IMPORTS, {"content": "[" * 30_000, "headers": JSON}, 400, "body"),
    ("a form", "POST", IMPORTS, {"data": {"source_url": SOURCE}}, 415, "must be JSON"),
    ("without Content-Type", "POST", IMPORTS, {"content": GOOD}, 415, "must be JSON"),
    ("XML", "POST", IMPORTS, {"content": "<a/>", "headers": {"Content-Type": "text/xml"}}, 415, "must be JSON"),
    ("too large", "POST", IMPORTS, {"json": {"source_url": "x" * 70_000}}, 413, "larger than 65536 bytes"),
    ("too large, in pieces", "POST", IMPORTS,
     {"content": iter([b"x" * 40_000] * 3), "headers": JSON}, 413, "larger than 65536 bytes"),
    # Fields.
    ("an unknown field", "POST", IMPORTS, {"json": {"source_url": SOURCE, "x": 1}}, 400, "x: no such field"),
    ("the resource's own field", "POST", IMPORTS, {"json": {"sourceUrl": SOURCE}}, 400, "sourceUrl: no such field"),
    ("neither source", "POST", IMPORTS, {"json": {}}, 400, "exactly one of"),
    ("both null", "POST", IMPORTS, {"json": {"source_url": None, "upload_key": None}}, 400, "exactly one of"),
    ("source_url a number", "POST", IMPORTS, {"json": {"source_url": 1}}, 400, "source_url:"),
    ("source_url a list", "POST", IMPORTS, {"json": {"source_url": [SOURCE]}}, 400, "source_url:"),
    ("source_url blank", "POST", IMPORTS, source(" \n "), 400, "source_url:"),
    ("source_url too long", "POST", IMPORTS, source("postgresql://" + "a" * 5000), 400, "source_url:"),
    ("upload_key blank", "POST", IMPORTS, {"json": {"upload_key": " "}}, 400, "upload_key:"),
    ("recreate a word", "POST", IMPORTS, {"json": {"source_url": SOURCE, "recreate": "true"}}, 400, "recreate:"),
    ("recreate a number", "POST", IMPORTS, {"json": {"source_url": SOURCE, "recreate": 1}}, 400, "recreate:"),
    ("recreate null", "POST", IMPORTS, {"json": {"source_url": SOURCE, "recreate": None}}, 400, "recreate:"),
    ("dry_run a word", "POST", IMPORTS, {"json": {"source_url": SOURCE, "dry_run": "no"}}, 400, "dry_run:"),
    ("confirm false", "POST", IMPORTS, {"json": {"source_url": SOURCE, "confirm": False}}, 400, "confirm:"),
    ("confirm a word", "POST", IMPORTS, {"json": {"source_url": SOURCE, "confirm": "yes"}}, 400, "confirm:"),
    ("sha256 too short", "POST", IMPORTS, {"json": {"source_url": SOURCE, "sha256": "ab"}}, 400, "sha256:"),
    ("sha256 in capitals", "POST", IMPORTS, {"json": {"source_url": SOURCE, "sha256": "A" * 64}}, 400, "sha256:"),
    ("preview id a number", "POST", IMPORTS,
     {"json": {"source_url": SOURCE, "preview_database_id": 7}}, 400, "preview_database_id:"),
    # Sources.
    ("no URL", "POST", IMPORTS, source("shop"), 400, "source_url:"),
    ("a connection string", "POST", IMPORTS, source("host=db user=u"), 400, "source_url:"),
    ("another database", "POST", IMPORTS, source("mysql://u:p@db.example.com/d"), 400, "source_url:"),
    ("http", "POST", IMPORTS, source("http://a.example.com/dump"), 400, "source_url:"),
    ("a file", "POST", IMPORTS, source("file:///etc/passwd"), 400, "source_url:"),
    ("without a host", "POST", IMPORTS, source("postgresql:///shop"), 400, "source_url:"),
    ("without a user", "POST", IMPORTS, source("postgresql://db.example.com/shop"), 400, "source_url:"),
    ("an invalid port", "POST", IMPORTS, source("postgresql://u:p@db.example.com:99999/d"), 400, "source_url:"),
    ("loopback", "POST", IMPORTS, source("postgresql://u:p@127.0.0.1/d"), 400, "127.0.0.1"),
    ("loopback in hex", "POST", IMPORTS, source("postgresql://u:p@0x7f000001/d"), 400, "source_url:"),
    ("a private network", "POST", IMPORTS, source("postgresql://u:p@10.1.2.3/d"), 400, "10.1.2.3"),
    ("link-local", "POST", IMPORTS, source("postgresql://u:p@169.254.169.254/d"), 400, "169.254.169.254"),
    ("loopback of IPv6", "POST", IMPORTS, source("postgresql://u:p@[::1]/d"), 400, "source_url:"),
    ("loopback mapped", "POST", IMPORTS, source("postgresql://u:p@[::ffff:127.0.0.1]/d"), 400, "source_url:"),
    ("hostaddr", "POST", IMPORTS, source(SOURCE + "?hostaddr=10.0.0.1"), 400, "hostaddr"),
    ("service", "POST", IMPORTS, source(SOURCE + "?service=x"), 400, "service"),
    ("several hosts", "POST", IMPORTS, source("postgresql://u:p@a.example.com,10.0.0.1/d"), 400, "source_url:"),
    ("a socket", "POST", IMPORTS, source("postgresql://u:p@%2Ftmp/d"), 400, "source_url:"),
    ("a line break", "POST", IMPORTS, source("postgresql://u:p@a.example.com/d\r\nx"), 400, "source_url:"),
    ("a private file server", "POST", IMPORTS, source("https://192.168.1.1/dump"), 400, "192.168.1.1"),
    ("a preflight of loopback", "POST", f"{IMPORTS}/preflight", source("postgresql://u:p@127.0.0.1/d"), 400, "127"),
    ("a preflight of nothing", "POST", f"{IMPORTS}/preflight", {"json": {}}, 400, "source_url: field required"),
    ("a preflight with more", "POST", f"{IMPORTS}/preflight",
     {"json": {"source_url": SOURCE, "recreate": True}}, 400, "recreate: no such field"),
    # Headers and queries.
    ("an Idempotency-Key too long", "POST", IMPORTS,
     {"json": {"source_url": SOURCE}, "headers": {"Idempotency-Key": "x" * 256}}, 400, "Idempotency-Key:"),
    ("limit 0", "GET", "/v1/projects/shop/jobs?limit=0", {}, 400, "limit:"),
    ("limit 101", "GET", "/v1/projects/shop/jobs?limit=101", {}, 400, "limit:"),
    ("limit a word", "GET", "/v1/projects/shop/jobs?limit=all", {}, 400, "limit:"),
    ("an invalid cursor", "GET", "/v1/projects/shop/jobs?cursor=abc", {}, 400, "cursor:"),
    ("a cursor with a path", "GET", "/v1/projects/shop/jobs?cursor=Li4vLi4", {}, 400, "cursor:"),
    # Missing objects.
    ("no such project", "GET", "/v1/projects/none/jobs", {}, 404, "no such project"),
    ("an import into a missing project", "POST", "/v1/projects/none/imports", source(SOURCE), 404, "no such project"),
    ("another organization's project", "GET", "/v1/projects/den/jobs", {}, 404, "no such project"),
    ("no such job", "GET", "/v1/jobs/shop.none", {}, 404, "no such job"),
    ("a job without a project", "GET", "/v1/jobs/none", {}, 404, "no such job"),
    ("a job of a strange name", "GET", "/v1/jobs/shop.A%20B", {}, 404, "no such job"),
    ("a job with a path in it", "GET", "/v1/jobs/shop...%2F..%2Fsecrets", {}, 404, "no such"),
    ("cancel a missing job", "POST", "/v1/jobs/shop.none/cancel", {}, 404, "no such job"),
    ("no such preview", "GET", "/v1/preview-databases/shop.none", {}, 404, "no such preview database"),
    ("delete a missing preview", "DELETE", "/v1/preview-databases/shop.none", {}, 404, "no such preview database"),
    ("reset a missing preview", "POST", "/v1/preview-databases/shop.none/reset", {}, 404, "no such preview database"),
    ("read no connections", "GET", "/v1/preview-databases/shop.none/connections", {}, 404, "no such preview database"),
    ("extend a missing preview", "POST", "/v1/preview-databases/shop.none/extend",
     {"json": {"ttl_hours": 1}}, 404, "no such preview database"),
    # Previews.
    ("a clone", "POST", PREVIEWS, {"json": {"mode": "clone"}}, 400, "no primary database to clone"),
    ("another mode", "POST", PREVIEWS, {"json": {"mode": "full"}}, 400, "mode:"),
    ("a name in capitals", "POST", PREVIEWS, {"json": {"name": "PR"}}, 400, "name:"),
    ("a name too long", "POST", PREVIEWS, {"json": {"name": "a" * 64}}, 400, "name:"),
    ("a name with a dot", "POST", PREVIEWS, {"json": {"name": "a.b"}}, 400, "name:"),
    ("no hours", "POST", PREVIEWS, {"json": {"ttl_hours": 0}}, 400, "ttl_hours:"),
    ("too many hours", "POST", PREVIEWS, {"json": {"ttl_hours": 169}}, 400, "ttl_hours:"),
    ("half an hour", "POST", PREVIEWS, {"json": {"ttl_hours": 0.5}}, 400, "ttl_hours:"),
    ("hours as a word", "POST", PREVIEWS, {"json": {"ttl_hours": "24"}}, 400, "ttl_hours:"),
    ("extend by nothing", "POST", "/v1/preview-databases/shop.x/extend",
     {"json": {}}, 400, "ttl_hours: field required"),
]  # fmt: skip  # one row a request; formatted, the table would be six times as long


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "words"), [pytest.param(*rest, id=name) for name, *rest in TABLE]
)
def test_an_invalid_request_gets_its_status_and_error(
    api: Api, method: str, path: str, arguments: dict[str, Any], status: int, words: str
) -> None:
    headers = {"X-API-Key": api.keys["all"], **arguments.get("headers", {})}
    response = api.client.request(method, path, **{**arguments, "headers": headers})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert words in response.json()["error"]
    assert "hush-hush" not in response.text
    assert response.headers["x-request-id"]
    if status == 405:
        assert response.headers["allow"]


def test_no_invalid_request_created_an_object(api: Api) -> None:
    """Runs after the requests of TABLE, with the same emulator of Kubernetes."""
    for path in ("/apis/capydb.dev/v1alpha1/postgresimports", "/apis/capydb.dev/v1alpha1/previewdatabases"):
        assert api.context.cluster.get(path)["items"] == []
    assert api.kubernetes.requests("POST", "shop/secrets") == []


class BrokenKubernetes:
    """Raises what no code expects."""

    def get(self, path: str) -> dict[str, Any]:
        raise RuntimeError("a bug")


def test_an_unexpected_error_has_the_id_under_which_the_log_describes_it(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"X-API-Key": api.keys["all"], "X-Request-Id": "trace-4712"}
    with serve(replace(api.context, cluster=cast("KubernetesClient", BrokenKubernetes()))) as url:
        response = httpx.get(f"{url}/v1/jobs/shop.none", headers=headers)
    assert (response.status_code, list(response.json())) == (500, ["error"])
    assert "trace-4712" in response.json()["error"]
    assert response.headers["x-request-id"] == "trace-4712"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "trace-4712" in record.getMessage()


@pytest.mark.parametrize("path", ["/v1/projects/shop/jobs", "/v1/jobs/shop.none", "/healthz", "/v1/openapi.json"])
def test_head_is_answered_like_get_without_a_body(api: Api, path: str) -> None:
    headers = {"X-API-Key": api.keys["all"]}
    get, head = (api.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_head_of_a_route_that_changes_something_is_not_allowed(api: Api) -> None:
    assert api.client.head(IMPORTS, headers={"X-API-Key": api.keys["all"]}).status_code == 405


def test_a_target_with_scheme_and_host_is_its_path(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    for target, status in (
        ("http://api.example.com/v1/projects/shop/jobs?limit=0", 400),
        ("HTTPS://api.example.com/v1/projects/shop/jobs", 200),
        ("http://api.example.com", 404),
    ):
        connection = HTTPConnection(host, int(port), timeout=20)
        connection.request("GET", target, headers={"X-API-Key": api.keys["all"]})
        assert connection.getresponse().status == status
        connection.close()


def test_the_error_about_many_long_fields_is_short(api: Api) -> None:
    body = {f"{number}-{'x' * 1000}": 1 for number in range(50)}
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE, **body})
    assert (response.status_code, "and 40 more errors" in response.json()["error"]) == (400, True)
    assert len(response.content) < 2000


def test_an_error_of_kubernetes_has_the_same_body(api: Api) -> None:
    api.kubernetes.refuse("POST", "postgresimports", 418)
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE})
    assert set(response.json()) == {"error"}


@pytest.mark.parametrize(("status", "expected"), [(500, 503), (429, 503), (403, 503), (422, 400)])
def test_a_refusal_of_kubernetes_gets_a_fitting_status(api: Api, status: int, expected: int) -> None:
    api.kubernetes.refuse("POST", "postgresimports", status, message="no")
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE})
    assert (response.status_code, set(response.json())) == (expected, {"error"})
    assert ("retry-after" in response.headers) is (expected == 503)


QUOTA = "postgresimports.capydb.dev is forbidden: exceeded quota: imports, used: count/postgresimports=9"
WEBHOOK = 'admission webhook "validate.kyverno.svc" denied the request: label cost-center is required'


@pytest.mark.parametrize(("message", "expected"), [(QUOTA, 429), (WEBHOOK, 400)], ids=["a quota", "a policy"])
def test_a_refusal_that_is_no_missing_right_has_the_words_of_kubernetes(api: Api, message: str, expected: int) -> None:
    """Before, the client was told to wait until the Project is ready."""
    api.kubernetes.refuse("POST", "postgresimports", 403, message=message)
    response = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE})
    assert response.status_code == expected
    assert message in response.json()["error"]


def test_public_routes_need_no_key(api: Api) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/v1/openapi.json"):
        assert httpx.get(api.url + path).status_code == 200
    assert (
        'pgimport_api_requests_total{method="GET",route="/healthz",status="200"}'
        in httpx.get(api.url + "/metrics").text
    )


def test_a_request_id_is_kept_or_generated(api: Api) -> None:
    kept = httpx.get(api.url + "/healthz", headers={"X-Request-Id": "trace-4711"})
    assert kept.headers["x-request-id"] == "trace-4711"
    generated = httpx.get(api.url + "/healthz", headers={"X-Request-Id": "a b\tc"})
    assert len(generated.headers["x-request-id"]) == 32

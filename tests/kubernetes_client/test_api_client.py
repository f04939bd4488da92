"""Tests of calls to the Kubernetes API, and of the errors that they raise."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
from kubernetes import client
from tests.support.kubernetes import Kubernetes, a_body

from pgimport.kubernetes_client import api_client, api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict, Forbidden, Invalid, KubernetesUnavailable, NotFound, PgimportError
from pgimport.model.names import IMPORTS

SECRET_TEXT = "hunter2-in-the-body"


def put(cluster: KubernetesClient, name: str) -> str:
    cluster.create(api_paths.resource(IMPORTS, "shop"), a_body(IMPORTS, name))
    return api_paths.resource(IMPORTS, "shop", name)


REFUSALS = [
    pytest.param(403, Forbidden, id="a missing right"),
    pytest.param(401, Forbidden, id="no credentials"),
    pytest.param(404, NotFound, id="not there"),
    pytest.param(410, NotFound, id="gone"),
    pytest.param(409, Conflict, id="a conflict"),
    pytest.param(400, Invalid, id="a malformed object"),
    pytest.param(422, Invalid, id="a wrong field"),
    pytest.param(429, KubernetesUnavailable, id="too many requests"),
    pytest.param(500, KubernetesUnavailable, id="an internal error"),
    pytest.param(503, KubernetesUnavailable, id="not available"),
    pytest.param(504, KubernetesUnavailable, id="a timeout within"),
    pytest.param(418, PgimportError, id="a status that nobody knows"),
]


@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_an_error_contains_verb_and_path_but_never_the_body(
    kubernetes: Kubernetes, cluster: KubernetesClient, status: int, error: type[PgimportError]
) -> None:
    kubernetes.refuse("POST", "/secrets", status, message="the API server's own sentence")
    with pytest.raises(error) as caught:
        cluster.create(api_paths.core("shop", "secrets"), {"metadata": {"name": "x"}, "stringData": {"p": SECRET_TEXT}})
    assert type(caught.value) is error
    text = str(caught.value)
    assert text == f"POST /api/v1/namespaces/shop/secrets: {status} the API server's own sentence"
    assert SECRET_TEXT not in repr(caught.value)


def test_a_quota_that_changes_meanwhile_asks_to_try_again(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    """The API server answers 409, although the object does not exist. AlreadyExists is another reason of this code."""
    for reason, error in (("Conflict", KubernetesUnavailable), ("AlreadyExists", Conflict)):
        kubernetes.refuse("POST", "/secrets", 409, reason=reason)
        with pytest.raises(error):
            cluster.create(api_paths.core("shop", "secrets"), {"metadata": {"name": "x"}})


def test_a_created_object_can_be_read(cluster: KubernetesClient, name: str) -> None:
    path = put(cluster, name)
    assert cluster.get(path)["metadata"]["name"] == name


def test_a_list_is_read_page_by_page(cluster: KubernetesClient, name: str) -> None:
    names = {f"{name}-{number}" for number in range(5)}
    for item in names:
        put(cluster, item)
    pages = [page["items"] for page in cluster.list_pages(api_paths.resource(IMPORTS), 2)]
    assert all(len(items) == 2 for items in pages[:-1])
    listed = [item["metadata"]["name"] for items in pages for item in items if item["metadata"]["name"] in names]
    assert sorted(listed) == sorted(names)


def test_the_next_page_is_read_while_one_is_handled(
    cluster: KubernetesClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(cluster, f"{name}-{number}")
    reads, get = threading.Semaphore(0), cluster.get

    def count(path: str, **query: str) -> api_client.Json:
        reads.release()
        return get(path, **query)

    monkeypatch.setattr(cluster, "get", count)
    pages = cluster.list_pages(api_paths.resource(IMPORTS), 1)
    next(pages)
    assert reads.acquire(timeout=10)
    assert reads.acquire(timeout=10), "the second page was not asked for"
    assert not reads.acquire(blocking=False), "a page was read long before it is needed"
    assert len(list(pages)) >= 2


def test_a_list_of_metadata_asks_for_nothing_else(kubernetes: Kubernetes, cluster: KubernetesClient, name: str) -> None:
    put(cluster, name)
    listed = cluster.list_metadata(api_paths.resource(IMPORTS, "shop"), resourceVersion="0")
    assert name in [meta["name"] for meta in listed]
    request = kubernetes.requests("GET", "/namespaces/shop/postgresimports")[-1]
    assert request.headers["Accept"] == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert request.params["resourceVersion"] == "0"


def test_a_list_of_metadata_without_objects_is_empty(
    cluster: KubernetesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server writes null for them, and the emulator an empty list."""
    monkeypatch.setattr(
        KubernetesClient, "_call", lambda *_, **__: b'{"kind": "PartialObjectMetadataList", "items": null}'
    )
    assert cluster.list_metadata(api_paths.resource(IMPORTS)) == []


def test_a_name_that_is_taken_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    put(cluster, name)
    with pytest.raises(Conflict):
        put(cluster, name)


def test_a_list_patch_is_a_json_patch_and_an_object_a_merge_patch(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    path = put(cluster, name)
    cluster.patch(path, [{"op": "add", "path": "/spec", "value": {"a": 1}}])
    cluster.patch(path, {"spec": {"b": 2}})
    assert cluster.get(path)["spec"] == {"a": 1, "b": 2}
    content_types = [request.headers["Content-Type"] for request in kubernetes.requests("PATCH", name)]
    assert content_types == ["application/json-patch+json", "application/merge-patch+json"]


def test_an_apply_uses_our_field_manager_and_is_forced(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    cluster.apply(put(cluster, name), a_body(IMPORTS, name, spec={"a": 1}))
    (request,) = kubernetes.requests("PATCH", name)
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(request.params) == {"fieldManager": "pgimport-operator", "force": "true"}
    assert json.loads(request.text)["spec"] == {"a": 1}


def test_a_delete_sets_the_propagation_policy(kubernetes: Kubernetes, cluster: KubernetesClient, name: str) -> None:
    cluster.delete(put(cluster, name), uid="the-uid")
    (request,) = kubernetes.requests("DELETE", name)
    options = json.loads(request.text)
    assert options["propagationPolicy"] == "Background"
    assert options["preconditions"] == {"uid": "the-uid"}


@pytest.mark.parametrize("status", [pytest.param(404, id="gone already"), pytest.param(409, id="a successor's")])
def test_deleting_a_missing_object_does_nothing(kubernetes: Kubernetes, cluster: KubernetesClient, status: int) -> None:
    kubernetes.refuse("DELETE", "/jobs/", status)
    cluster.delete(api_paths.jobs("shop", "x"))


def test_a_query_is_escaped(kubernetes: Kubernetes, cluster: KubernetesClient) -> None:
    cluster.get(api_paths.resource(IMPORTS, "shop"), fieldSelector="status.state!=completed,status.state!=failed")
    request = kubernetes.requests("GET", "/postgresimports")[-1]
    assert request.params["fieldSelector"] == "status.state!=completed,status.state!=failed"


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def connect_to(port: int) -> KubernetesClient:
    configuration = client.Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = False
    return KubernetesClient(client.ApiClient(configuration))


def test_a_refused_connection_means_that_kubernetes_is_unavailable() -> None:
    with pytest.raises(KubernetesUnavailable, match=r"GET /api/v1/namespaces/shop: .*Kubernetes does not answer"):
        connect_to(closed_port()).get("/api/v1/namespaces/shop")


@pytest.fixture
def closing_server() -> Iterator[int]:
    """Port of a server that closes the connection after each request."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(5)

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(5)


def test_a_closed_connection_means_that_kubernetes_is_unavailable(closing_server: int) -> None:
    with pytest.raises(KubernetesUnavailable, match="Kubernetes does not answer"):
        connect_to(closing_server).get("/version")


def test_a_timeout_means_that_kubernetes_is_unavailable(
    kubernetes: Kubernetes, cluster: KubernetesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "REQUEST_TIMEOUT", (1, 0.05))
    kubernetes.refuse("GET", "/version", 500, wait=0.2)
    with pytest.raises(KubernetesUnavailable, match="GET /version: ReadTimeoutError"):
        cluster.get("/version")

"""Calls to the Kubernetes API, with paths and JSON objects instead of the official client's model classes.

The official client does authentication, TLS and connections. Every call has a timeout, which the client does not set
by default. Every delete sets a propagation policy, because deleting a Job would otherwise orphan its pods.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config
from yaml import YAMLError

from pgimport.model.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KubernetesNotConfigured,
    KubernetesUnavailable,
    NotFound,
    PgimportError,
)
from pgimport.model.names import MANAGER

REQUEST_TIMEOUT = (5, 30)  # seconds to connect and to read
# Objects in one page of a list. A page is in memory as a whole, and an import with a long status has 20 kB.
PAGE = 100
WATCH_SILENCE = 100  # seconds without data; the API server sends a bookmark about once a minute
Json = dict[str, Any]
# Takes a request's verb, its status code, and the seconds to the response. Without a response the code is empty.
RequestObserver = Callable[[str, str, float], None]


class KubernetesClient:
    """A client of one Kubernetes API server; safe to share between threads."""

    def __init__(
        self,
        api: client.ApiClient,
        on_request: RequestObserver = lambda verb, code, seconds: None,
    ) -> None:
        """`on_request`: called after each request."""
        self._api = api
        self._on_request = on_request

    def get(self, path: str, **query: str) -> Json:
        """Reads an object or a list. Raises NotFound if it does not exist."""
        return self._json("GET", path, query)

    def list_pages(self, path: str, size: int = PAGE, **query: str) -> Iterator[Json]:
        """Yields a list page by page, and reads the next page meanwhile.

        Raises NotFound if the API server no longer has the list's version.
        """
        query = {**query, "limit": str(size)}
        with ThreadPoolExecutor(1, "next-page") as reader:
            next_page = reader.submit(self.get, path, **query)
            while True:
                page = next_page.result()
                if token := page["metadata"].get("continue"):
                    next_page = reader.submit(self.get, path, **{**query, "continue": token})
                yield page
                if not token:
                    return

    def list_metadata(self, path: str, **query: str) -> list[Json]:
        """Lists the metadata of objects, without their spec and status."""
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        listed = json.loads(self._call("GET", path, query, accept=accept))
        return [item["metadata"] for item in listed["items"] or ()]  # null if there is none

    def get_text(self, path: str, **query: str) -> str:
        """Reads a text, such as the log of a pod."""
        return self._call("GET", path, query).decode(errors="replace")

    def create(self, path: str, body: Json) -> Json:
        """Creates an object. Raises Conflict if the name is taken; the caller checks whether the object is ours."""
        return self._json("POST", path, {"fieldManager": MANAGER}, body)

    def patch(self, path: str, body: Json | list[Json]) -> Json:
        """Sends a JSON patch (list) or a merge patch (object). Raises Conflict if the resourceVersion is outdated."""
        kind = "json-patch" if isinstance(body, list) else "merge-patch"
        return self._json("PATCH", path, {"fieldManager": MANAGER}, body, f"application/{kind}+json")

    def apply(self, path: str, body: Json) -> Json:
        """Runs a server-side apply of the fields in `body`, with our field manager."""
        query = {"fieldManager": MANAGER, "force": "true"}
        return self._json("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, path: str, uid: str | None = None) -> None:
        """Deletes an object and its dependents in the background; does nothing if it does not exist.

        `uid`: delete only the object with this uid, not a new one with the same name.
        """
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self._call("DELETE", path, {}, options)
        except (NotFound, Conflict):
            return

    def watch(
        self, path: str, version: str, seconds: int, on_open: Callable[[Callable[[], None]], None] = lambda _: None
    ) -> Iterator[Json]:
        """Yields the events after a resourceVersion, with bookmarks, for `seconds`.

        Raises NotFound if the API server no longer has the events after this version.

        `on_open` receives a function that ends the watch, which may be called from another thread.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        response = self._send("GET", path, query, timeout=(REQUEST_TIMEOUT[0], WATCH_SILENCE)).response
        try:
            if response.status >= 400:
                raise _api_error("GET", path, response.status, response.data)
            on_open(response.shutdown)
            rest = b""
            for piece in response.stream(64 * 1024):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except urllib3.exceptions.HTTPError as error:
            raise KubernetesUnavailable(f"GET {path}: {type(error).__name__}: the watch was interrupted") from error
        finally:
            response.close()
            response.release_conn()

    def _json(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, content_type: str = "application/json"
    ) -> Json:
        answer = json.loads(self._call(method, path, query, body, content_type))
        if not isinstance(answer, dict):
            raise KubernetesUnavailable(
                f"{method} {path}: the API server sent {type(answer).__name__} instead of an object"
            )
        return answer

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        response = self._send(method, path, query, body, content_type, accept=accept)
        try:
            data: bytes = response.read() or b""
        except urllib3.exceptions.HTTPError as error:
            raise KubernetesUnavailable(
                f"{method} {path}: {type(error).__name__}: Kubernetes does not answer"
            ) from error
        if response.status >= 400:
            raise _api_error(method, path, response.status, data)
        return data

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[int, int] | None = None,
        accept: str = "application/json",
    ) -> Any:
        _, url, headers, _, _ = self._api.param_serialize(
            method,
            path + (f"?{urlencode(query)}" if query else ""),
            header_params={"Accept": accept, "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        if content_type == "application/apply-patch+yaml":
            body = json.dumps(body)
        started, code = time.monotonic(), ""
        try:
            response = self._api.call_api(method, url, headers, body, _request_timeout=timeout or REQUEST_TIMEOUT)
            code = str(response.status)
            return response
        except client.ApiException as error:
            raise KubernetesUnavailable(f"{method} {path}: {error.reason}") from error
        except urllib3.exceptions.HTTPError as error:
            raise KubernetesUnavailable(
                f"{method} {path}: {type(error).__name__}: Kubernetes does not answer"
            ) from error
        finally:
            self._on_request(method, code, time.monotonic() - started)


def is_policy_denial(message: str) -> bool:
    """Tells by the API server's words whether an admission webhook or a ValidatingAdmissionPolicy refused a request."""
    return any(words in message for words in ("denied the request", "denied request"))


def is_failed_test(error: Invalid) -> bool:
    """Tells whether a JSON patch was refused because the value that it tests is another one."""
    return "the server rejected our request due to an error in our request" in str(error)


def _api_error(method: str, path: str, status: int, data: bytes) -> PgimportError:
    """Builds the error with the verb, the path and the API server's message; never with the body that was sent."""
    reason = ""
    try:
        body = json.loads(data)
        message, reason = str(body.get("message", "")), str(body.get("reason", ""))
    except (ValueError, AttributeError):
        message = data[:200].decode(errors="replace")
    text = f"{method} {path}: {status} {message}"
    if 400 < status < 429 and status != 422 and is_policy_denial(message):
        return Forbidden(text)  # a webhook chooses its code: 409 does not say that the object exists
    match status:
        case 404 | 410:
            return NotFound(text)
        case 409 if method == "POST" and reason == "Conflict":
            # Not the name is taken, which is AlreadyExists: a quota has changed meanwhile, and nothing was created.
            return KubernetesUnavailable(text)
        case 409:
            return Conflict(text)
        case 401 | 403:
            return Forbidden(text)
        case 400 | 422:
            return Invalid(text)
        case 429 | 500 | 502 | 503 | 504:
            return KubernetesUnavailable(text)
        case _:
            return PgimportError(text)


def connect_kubernetes(
    on_request: RequestObserver = lambda verb, code, seconds: None,
) -> KubernetesClient:
    """Connects with the pod's service account, or outside a cluster with the current context of the kubeconfig.

    Raises KubernetesNotConfigured.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)
        except (config.ConfigException, OSError, ValueError, TypeError, YAMLError) as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
            raise KubernetesNotConfigured(
                f"no usable kubeconfig: {first_line}. Set KUBECONFIG to the file of your cluster"
            ) from error
    configuration.connection_pool_maxsize = 128  # reconcile workers and the sweep share the connections
    configuration.retries = False  # the work queue retries with backoff
    return KubernetesClient(client.ApiClient(configuration), on_request)

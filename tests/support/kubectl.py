"""Functions that read and change objects of the cluster of `make up`.

Manifests and objects are dictionaries. Changes run kubectl, with the manifest on standard input, because everybody can
read a process's arguments. Reads call the API server directly: tests poll a lot, and each start of kubectl costs 0.1 s
of a core.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CHECKOUT = Path(__file__).resolve().parents[2]
CALL_SECONDS = 600  # on a busy machine
READ_TIMEOUT = (20, 120)  # seconds to connect and to read, on a busy machine
# The limits of waits are those of an idle machine. A busy one may need several times as long, and no test asserts by
# a limit that something is fast.
PATIENCE = 4
POLL_SECONDS = 0.25

Manifest = dict[str, Any]
T = TypeVar("T")


class KubectlError(Exception):
    """A call failed; the text is kubectl's or the API server's own."""


class NotFoundError(KubectlError):
    """The object does not exist."""


def cluster_folder() -> Path:
    """Returns the folder in which `make up` keeps the files of its cluster."""
    return Path(os.environ.get("PGIMPORT_CLUSTER_DIR") or CHECKOUT / ".cluster")


@cache
def _exported() -> dict[str, str]:
    path = cluster_folder() / "env"
    if not path.exists():
        raise KubectlError("there is no cluster: run make up first")
    exports = [
        shlex.split(line)[1] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("export ")
    ]
    variables = {name: os.path.expandvars(value) for name, _, value in (export.partition("=") for export in exports)}
    # The file also holds the source URL of the demo, and no child's environment may contain that.
    return {name: variables[name] for name in ("KUBECONFIG", "PATH") if name in variables}


def environment() -> dict[str, str]:
    """Returns this process's environment with the KUBECONFIG and PATH (with kubectl and helm) of `make up`."""
    return {**os.environ, **_exported()}


def run(*arguments: str, stdin: str | bytes | None = None, seconds: float = CALL_SECONDS) -> str:
    """Runs kubectl and returns its standard output. Raises NotFoundError, KubectlError."""
    text = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text if text is not None else b"",
        capture_output=True,
        timeout=seconds,
        check=False,
        env=environment(),
    )
    if done.returncode == 0:
        return done.stdout.decode(errors="replace")
    message = done.stderr.decode(errors="replace").strip()
    error = NotFoundError if "(NotFound)" in message else KubectlError
    raise error(f"kubectl {' '.join(arguments)}: {message}")


def _in(namespace: str | None) -> list[str]:
    return ["--namespace", namespace] if namespace else []


def _list(manifests: Iterable[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def apply(*manifests: Manifest) -> None:
    """Applies manifests on the server, so that no annotation keeps a copy of them."""
    run("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=_list(manifests))


def create(*manifests: Manifest) -> None:
    """Creates objects. Raises KubectlError if one exists already."""
    run("create", "--filename", "-", stdin=_list(manifests))


# --- reads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Resource:
    """Where the API server serves the objects of a kind."""

    group_path: str  # such as /apis/batch/v1
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str = "") -> str:
        parts = [self.group_path]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *([name] if name else [])])


@cache
def _client() -> "ApiClient":
    # Imported when it is first needed: every test process imports this module, and few talk to a cluster.
    from kubernetes import client, config

    settings = client.Configuration()
    settings.retries = False  # the tests decide what they repeat
    config.load_kube_config(environment()["KUBECONFIG"], client_configuration=settings)
    return client.ApiClient(settings)


def _read(path: str, **query: str) -> Any:
    """Returns the JSON that the API server serves. Raises NotFoundError, KubectlError."""
    import urllib3
    from kubernetes.client import ApiException

    _, url, headers, _, _ = _client().param_serialize(
        "GET",
        path + (f"?{urlencode(query)}" if query else ""),
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    try:
        response = _client().call_api("GET", url, headers, _request_timeout=READ_TIMEOUT)
        body: bytes = response.read() or b""
    except (urllib3.exceptions.HTTPError, ApiException, OSError) as unanswered:
        raise KubectlError(f"GET {path}: {unanswered}") from unanswered
    if response.status >= 400:
        error = NotFoundError if response.status == 404 else KubectlError
        raise error(f"GET {path}: {response.status}: {body.decode(errors='replace')}")
    return json.loads(body)


@cache
def _resources() -> dict[str, _Resource]:
    """Maps each name that kubectl accepts for a kind (`pods`, `pod`, `jobs.batch`) to its place in the API."""
    groups = [
        ("", "/api/v1"),
        *((group["name"], f"/apis/{group['preferredVersion']['groupVersion']}") for group in _read("/apis")["groups"]),
    ]
    resources: dict[str, _Resource] = {}
    for group, path in groups:
        for entry in _read(path)["resources"]:
            if "/" not in entry["name"]:  # a subresource
                resource = _Resource(path, entry["name"], entry["namespaced"])
                resources[f"{entry['name']}.{group}"] = resource
                for name in (entry["name"], entry["singularName"], *entry.get("shortNames", ())):
                    resources.setdefault(name, resource)
    return resources


def _resource(kind: str) -> _Resource:
    if kind not in _resources():
        _resources.cache_clear()
    if kind not in _resources():
        raise KubectlError(f"the server does not have a resource type {kind!r}")
    return _resources()[kind]


def get(kind: str, name: str, namespace: str | None = None) -> Manifest:
    """Returns an object. Raises NotFoundError."""
    body: Manifest = _read(_resource(kind).path(namespace, name))
    return body


def find(kind: str, name: str, namespace: str | None = None) -> Manifest | None:
    """Returns an object, or None if it does not exist."""
    try:
        return get(kind, name, namespace)
    except NotFoundError:
        return None


def list_objects(kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
    """Lists the objects of a namespace, or of all namespaces; `selector` is a label selector."""
    body = _read(_resource(kind).path(namespace), **({"labelSelector": selector} if selector else {}))
    # The items of a list carry neither their kind nor their API version.
    header = {"apiVersion": body["apiVersion"], "kind": body["kind"].removesuffix("List")}
    return [{**header, **item} for item in body["items"]]


# --- changes and commands ------------------------------------------------------------------------------------------


def merge_patch(kind: str, name: str, namespace: str | None, change: Manifest) -> None:
    """Applies a merge patch. It must not contain a secret, because it is an argument of kubectl."""
    run("patch", kind, name, *_in(namespace), "--type", "merge", "--patch", json.dumps(change))


def delete(kind: str, *names: str, namespace: str | None = None, wait: bool = True, force: bool = False) -> None:
    """Deletes objects; it is no error if they do not exist."""
    options = ["--grace-period=0", "--force"] if force else []
    run(
        "delete",
        kind,
        *names,
        *_in(namespace),
        "--ignore-not-found",
        f"--wait={str(wait).lower()}",
        *options,
        "--timeout=320s",
    )


def execute(
    namespace: str, pod: str, *command: str, stdin: str | bytes | None = None, seconds: float = CALL_SECONDS
) -> str:
    """Runs a command in the first container of a pod and returns its standard output."""
    interactive = ["--stdin"] if stdin is not None else []
    return run("exec", pod, *_in(namespace), *interactive, "--", *command, stdin=stdin, seconds=seconds)


def logs(namespace: str, pod: str, *options: str) -> str:
    """Returns the logs of all containers of a pod, or kubectl's error message if there are none."""
    try:
        return run("logs", pod, *_in(namespace), "--all-containers", "--prefix", "--ignore-errors", *options)
    except KubectlError as error:
        return str(error)


def wait_until(
    observe: Callable[[], T | None], condition: str, seconds: float, describe: Callable[[], str] | None = None
) -> T:
    """Calls `observe` until it returns something true, and returns that.

    `seconds` is the limit on an idle machine. Raises AssertionError after PATIENCE times as long, with the name of the
    condition and what `describe` returns.
    """
    limit = seconds * PATIENCE
    deadline = time.monotonic() + limit
    while True:
        if observed := observe():
            return observed
        if time.monotonic() > deadline:
            details = f"\n{describe()}" if describe else ""
            raise AssertionError(f"not within {limit:g} s: {condition}{details}")
        time.sleep(POLL_SECONDS)


def wait_for_pod(namespace: str, pod: str, seconds: float) -> None:
    """Waits until a pod is ready."""

    def is_ready() -> bool:
        body = find("pod", pod, namespace)
        conditions = body["status"].get("conditions", ()) if body else ()
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    wait_until(
        is_ready,
        f"pod {namespace}/{pod} is ready",
        seconds,
        lambda: f"{run('describe', 'pod', pod, *_in(namespace))}\n{logs(namespace, pod)}",
    )

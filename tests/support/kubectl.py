"""kubectl as functions: manifests and answers are dictionaries, what fails says what kubectl said.

The cluster is the one of `make up`. Manifests travel on standard input: nothing secret is ever an argument.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

CHECKOUT = Path(__file__).resolve().parents[2]
CALL_SECONDS = 90
POLL_SECONDS = 0.4

Manifest = dict[str, Any]
T = TypeVar("T")


class KubectlError(Exception):
    """kubectl ended with an error; the text is its own."""


class NotFoundError(KubectlError):
    """There is no such object."""


def cluster_folder() -> Path:
    """Where `make up` leaves what it knows of its cluster."""
    return Path(os.environ.get("PGIMPORT_CLUSTER_DIR") or CHECKOUT / ".cluster")


@cache
def _exported() -> dict[str, str]:
    path = cluster_folder() / "env"
    if not path.exists():
        raise KubectlError("there is no cluster: run make up first")
    words = [
        shlex.split(line)[1] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("export ")
    ]
    found = {name: os.path.expandvars(value) for name, _, value in (word.partition("=") for word in words)}
    # The demo's source URL stands there too: no child's environment may hold it.
    return {name: found[name] for name in ("KUBECONFIG", "PATH") if name in found}


def environment() -> dict[str, str]:
    """Ours, with what `make up` left: KUBECONFIG, and a PATH with kubectl and helm."""
    return {**os.environ, **_exported()}


def run(*arguments: str, stdin: str | bytes | None = None, seconds: float = CALL_SECONDS) -> str:
    """What kubectl printed. Raises NotFoundError, KubectlError."""
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
    said = done.stderr.decode(errors="replace").strip()
    kind = NotFoundError if "(NotFound)" in said else KubectlError
    raise kind(f"kubectl {' '.join(arguments)}: {said}")


def _in(namespace: str | None) -> list[str]:
    return ["--namespace", namespace] if namespace else []


def _list(manifests: Iterable[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def apply(*manifests: Manifest) -> None:
    """By the server: no annotation keeps a copy of what was applied."""
    run("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=_list(manifests))


def create(*manifests: Manifest) -> None:
    """Fails where one is there already."""
    run("create", "--filename", "-", stdin=_list(manifests))


def get(kind: str, name: str, namespace: str | None = None) -> Manifest:
    """Raises NotFoundError."""
    found: Manifest = json.loads(run("get", kind, name, *_in(namespace), "--output", "json"))
    return found


def find(kind: str, name: str, namespace: str | None = None) -> Manifest | None:
    """None where there is none."""
    try:
        return get(kind, name, namespace)
    except NotFoundError:
        return None


def list_objects(kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
    """Of one namespace, else of all."""
    where = _in(namespace) or ["--all-namespaces"]
    chosen = ["--selector", selector] if selector else []
    items: list[Manifest] = json.loads(run("get", kind, *where, *chosen, "--output", "json"))["items"]
    return items


def merge_patch(kind: str, name: str, namespace: str | None, change: Manifest) -> None:
    """A merge patch; the change must hold no secret, for it is an argument."""
    run("patch", kind, name, *_in(namespace), "--type", "merge", "--patch", json.dumps(change))


def delete(kind: str, *names: str, namespace: str | None = None, wait: bool = True, force: bool = False) -> None:
    """What is gone already is fine."""
    how = ["--grace-period=0", "--force"] if force else []
    run(
        "delete", kind, *names, *_in(namespace), "--ignore-not-found", f"--wait={str(wait).lower()}", *how,
        "--timeout=80s",
    )  # fmt: skip


def execute(
    namespace: str, pod: str, *command: str, stdin: str | bytes | None = None, seconds: float = CALL_SECONDS
) -> str:
    """A command in a pod's first container."""
    interactive = ["--stdin"] if stdin is not None else []
    return run("exec", pod, *_in(namespace), *interactive, "--", *command, stdin=stdin, seconds=seconds)


def logs(namespace: str, pod: str, *more: str) -> str:
    """Of all containers; what kubectl says instead, where there are none."""
    try:
        return run("logs", pod, *_in(namespace), "--all-containers", "--prefix", "--ignore-errors", *more)
    except KubectlError as error:
        return str(error)


def wait_until(look: Callable[[], T | None], what: str, seconds: float, tell: Callable[[], str] | None = None) -> T:
    """Looks until it sees something that is true; what `tell` says is in the error."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}" + (f"\n{tell()}" if tell else ""))
        time.sleep(POLL_SECONDS)


def wait_for_pod(namespace: str, pod: str, seconds: float) -> None:
    """Until it is ready."""

    def ready() -> bool:
        body = find("pod", pod, namespace)
        found = body["status"].get("conditions", ()) if body else ()
        return any(one["type"] == "Ready" and one["status"] == "True" for one in found)

    wait_until(
        ready, f"pod {namespace}/{pod} is ready", seconds,
        lambda: f"{run('describe', 'pod', pod, *_in(namespace))}\n{logs(namespace, pod)}",
    )  # fmt: skip

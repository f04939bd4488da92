"""Runs the demo's source, a PostgreSQL with Debian's package index, and queries it."""

from __future__ import annotations

import base64
import csv
import io
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import kubectl

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parents[1]
NAMESPACE = "demo-source"
PASSWORD_SECRET = "source-password"
# Creating and filling the database takes 15 s on two idle cores.
START_SECONDS = 300
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def manifest_with_image(name: str, image: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").replace("@IMAGE@", image)


def _ensure_password() -> str:
    """Returns the source's password, which is random and created once per cluster."""
    if secret := kubectl.find("secret", PASSWORD_SECRET, NAMESPACE):
        return base64.b64decode(secret["data"]["password"]).decode()
    password = secrets.token_urlsafe(24)
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PASSWORD_SECRET, "namespace": NAMESPACE},
            "stringData": {"password": password},
        }
    )
    return password


def source_url(password: str) -> str:
    return f"postgresql://debian:{password}@source.{NAMESPACE}.svc.cluster.local:5432/debian"


def _is_available() -> bool:
    deployment = kubectl.get("deployment", "source", NAMESPACE)
    status = deployment["status"]
    is_observed = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(is_observed and status.get("updatedReplicas") and status.get("availableReplicas"))


def start_source(image: str) -> str:
    """Starts the source and returns its URL. Raises AssertionError, with pods and logs, if it does not start."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    password = _ensure_password()
    kubectl.run("apply", "--filename", "-", stdin=manifest_with_image("source.yaml", image))
    kubectl.wait_until(
        _is_available,
        "the source is ready",
        START_SECONDS,
        lambda: (
            kubectl.run("describe", "pods", "--namespace", NAMESPACE) + kubectl.logs(NAMESPACE, "deployment/source")
        ),
    )
    return source_url(password)


def query(namespace: str, pod: str, name: str, *options: str) -> str:
    """Runs a query of the folder `sql`, and returns its result as CSV with a header."""
    text = (FOLDER / "sql" / name).read_text(encoding="utf-8")
    return kubectl.execute(namespace, pod, "psql", "--no-psqlrc", "--csv", *options, stdin=text)


@contextmanager
def open_session(namespace: str, pod: str) -> Iterator[Callable[[str], str]]:
    """Keeps one psql open in a pod. Yields a function that runs a query whose result is one row, as CSV."""
    command = ["kubectl", "exec", "--stdin", "--namespace", namespace, pod, "--", "psql"]
    with subprocess.Popen(
        [*command, "--no-psqlrc", "--csv", "--tuples-only"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kubectl.environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def query(text: str) -> str:
            print(text, file=stdin, flush=True)
            return stdout.readline().strip()

        yield query
        stdin.close()


def source_facts() -> dict[str, str]:
    return parse_one_row(query(NAMESPACE, "deployment/source", "facts.sql", "--dbname", "debian"))


def parse_one_row(text: str) -> dict[str, str]:
    return next(iter(csv.DictReader(io.StringIO(text))))


def write_url(url: str | None) -> None:
    """Writes the source URL into the `env` file of `make up`, which only its owner can read; None removes it.

    The demo removes it while it runs, because each child would have it in its environment.
    """
    path = kubectl.cluster_folder() / "env"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "DEMO_SOURCE_URL=" not in line]
    exports = [f"export DEMO_SOURCE_URL={shlex.quote(url)}"] if url else []
    unfinished = path.with_suffix(".demo")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    unfinished.write_text("\n".join([*lines, *exports, ""]), encoding="utf-8")
    unfinished.replace(path)

"""The cluster goes in; a running source with Debian's package index comes out, and the URL that leads to it."""

from __future__ import annotations

import base64
import csv
import io
import secrets
import shlex
from pathlib import Path

from tests.support import kubectl

HERE = Path(__file__).resolve().parent
NAMESPACE = "demo-source"
PASSWORD_SECRET = "source-password"
# Making and filling the database takes 15 s on a quiet machine of two cores.
START_SECONDS = 300
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def manifest_with_image(name: str, image: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").replace("@IMAGE@", image)


def _ensure_password() -> str:
    """Random, made once a cluster: a source that runs already keeps the one it knows."""
    if found := kubectl.find("secret", PASSWORD_SECRET, NAMESPACE):
        return base64.b64decode(found["data"]["password"]).decode()
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
    found = kubectl.get("deployment", "source", NAMESPACE)
    status = found["status"]
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(seen and status.get("updatedReplicas") and status.get("availableReplicas"))


def start_source(image: str) -> str:
    """The URL of the source, once it answers. Raises AssertionError with what kept it from starting."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    password = _ensure_password()
    kubectl.run("apply", "--filename", "-", stdin=manifest_with_image("source.yaml", image))
    kubectl.wait_until(
        _is_available, "the source is ready", START_SECONDS,
        lambda: kubectl.run("describe", "pods", "--namespace", NAMESPACE)
        + kubectl.logs(NAMESPACE, "deployment/source"),
    )  # fmt: skip
    return source_url(password)


def query(namespace: str, pod: str, name: str, *options: str) -> str:
    """The answer to a query of the folder `sql`, as CSV with a header."""
    text = (HERE / "sql" / name).read_text(encoding="utf-8")
    return kubectl.execute(namespace, pod, "psql", "--no-psqlrc", "--csv", *options, stdin=text)


def source_facts() -> dict[str, str]:
    return parse_one_row(query(NAMESPACE, "deployment/source", "facts.sql", "--dbname", "debian"))


def parse_one_row(text: str) -> dict[str, str]:
    return next(iter(csv.DictReader(io.StringIO(text))))


def write_url(url: str | None) -> None:
    """Into the `env` file of `make up`, for scripts; as long as it holds a password, only its owner reads it.

    None takes it out again: what the file exports would be in the environment of every child.
    """
    path = kubectl.cluster_folder() / "env"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "DEMO_SOURCE_URL=" not in line]
    mine = [f"export DEMO_SOURCE_URL={shlex.quote(url)}"] if url else []
    unfinished = path.with_suffix(".demo")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    unfinished.write_text("\n".join([*lines, *mine, ""]), encoding="utf-8")
    unfinished.replace(path)

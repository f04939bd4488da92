"""A Project on an emulated Kubernetes API and a real server, with the actions of users, the kubelet and the worker."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from tests.support.kubernetes import Json, Kubernetes, a_body
from tests.support.postgres import ADMIN, PostgresServer
from tests.support.samples import a_preflight, a_result, a_source

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import NotFound
from pgimport.model.names import (
    IMPORTS,
    LABEL_IMPORT_UID,
    PREVIEWS,
    PROJECTS,
    SECRET_KEY_SEED,
    attempt_names,
    attempt_password,
)
from pgimport.model.result import WorkerResult
from pgimport.model.termination_message import build_termination_message

NAMESPACE, HOME = "shop", "pgimport-system"


PATIENCE = 30.0


def wait_for(
    name: str, read: Callable[[], Any], patience: float = PATIENCE, describe: Callable[[], object] = lambda: ""
) -> Any:
    """Calls `read` until its result is true, and returns the result. The error ends with what `describe` returns."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if result := read():
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {patience:.0f} s in vain for {name} {describe()}".strip())


def encoded(**entries: str) -> Json:
    return {name: base64.b64encode(value.encode()).decode() for name, value in entries.items()}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass
class Tenant:
    """Holds the Project's clients, and acts as its user, as the kubelet and as the worker."""

    kubernetes: Kubernetes
    cluster: KubernetesClient
    server: PostgresServer

    def create(self, path: str, body: Json) -> None:
        self.cluster.create(path, body)

    def prepare(self) -> None:
        admin = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "admin", "namespace": HOME},
            "data": encoded(user=ADMIN, password=self.server.admin_password),
        }
        source = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "source", "namespace": NAMESPACE},
            "data": encoded(url="postgresql://reader:never-used@source.example/shop"),
        }
        self.create(api_paths.core(HOME, "secrets"), admin)
        self.create(api_paths.core(NAMESPACE, "secrets"), source)
        server = {
            "clusterID": "test",
            "host": self.server.host,
            "port": self.server.port,
            "sslmode": "disable",
            "adminSecretRef": {"name": "admin"},
        }
        spec = {"organizationID": "capy", "namespace": NAMESPACE, "server": server}
        self.create(api_paths.resource(PROJECTS), a_body(PROJECTS, "shop", None, spec=spec))

    def apply(self, name: str, **spec: Any) -> None:
        """Creates a preview and an import into it."""
        self.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
        self.apply_import(name, **spec)

    def apply_import(self, name: str, **spec: Any) -> None:
        """Creates an import into the preview of the same name."""
        defaults = {
            "project": "shop",
            "source": {"urlSecretRef": {"name": "source", "key": "url"}},
            "target": {"previewDatabase": name},
        }
        self.create(api_paths.resource(IMPORTS, NAMESPACE), a_body(IMPORTS, name, spec=defaults | spec))

    def get(self, kind: str, name: str) -> Json:
        return self.cluster.get(api_paths.resource(kind, NAMESPACE, name))

    def status(self, name: str, kind: str = IMPORTS) -> Json:
        return dict(self.get(kind, name).get("status", {}))

    def describe(self) -> str:
        """Returns the status of each Project, preview and import, for the error of a test."""
        paths = (api_paths.resource(PROJECTS), *(api_paths.resource(kind, NAMESPACE) for kind in (PREVIEWS, IMPORTS)))
        items = [item for path in paths for item in self.cluster.get(path)["items"]]
        return json.dumps([(item["kind"], item["metadata"]["name"], item.get("status")) for item in items])

    def wait_for_state(self, name: str, state: str) -> Json:
        wait_for(f"{name} to be {state}", lambda: self.status(name).get("state") == state)
        wait_for(f"{name} to be cleaned up", lambda: self.status(name).get("cleanedUp"))
        return self.status(name)

    def job(self, name: str) -> Json:
        """Waits for the import's Job and returns it."""
        uid = self.get(IMPORTS, name)["metadata"]["uid"]
        return dict(wait_for(f"the Job of {name}", lambda: next(iter(self.jobs(uid)), None), describe=self.describe))

    def jobs(self, import_uid: str) -> list[Json]:
        selector = f"{LABEL_IMPORT_UID}={import_uid}"
        jobs: list[Json] = self.cluster.get(api_paths.jobs(NAMESPACE), labelSelector=selector)["items"]
        return jobs

    # --- the kubelet ---

    def show_pod(self, job: Json, preflight: Json, main: Json, phase: str, name: str | None = None) -> str:
        """Creates the Job's pod in this state and returns its name, which is its uid, too."""
        name = name or f"{job['metadata']['name'][:40]}-{secrets.token_hex(3)}"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": name,
                "labels": job["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": [
                    {
                        "kind": "Job",
                        "name": job["metadata"]["name"],
                        "uid": job["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": job["spec"]["template"]["spec"],
            "status": pod_status(preflight, main, phase),
        }
        self.create(api_paths.core(NAMESPACE, "pods"), body)
        return name

    def change_pod(self, name: str, preflight: Json, main: Json, phase: str) -> None:
        self.cluster.patch(
            api_paths.core(NAMESPACE, "pods", name),
            [{"op": "replace", "path": "/status", "value": pod_status(preflight, main, phase)}],
        )

    def end_job(self, job: Json, *conditions: Json) -> None:
        change = [{"op": "add", "path": "/status", "value": {"conditions": list(conditions)}}]
        self.cluster.patch(api_paths.jobs(NAMESPACE, job["metadata"]["name"]), change)

    # --- the target server ---

    def exists(self, database: str, role: str) -> tuple[bool, bool]:
        rows = self.server.query(
            f"SELECT (SELECT count(*) FROM pg_database WHERE datname = '{database}'),"  # noqa: S608 (names of ours)
            f" (SELECT count(*) FROM pg_roles WHERE rolname = '{role}')"
        )
        return bool(rows[0][0]), bool(rows[0][1])

    def gate_is_open(self, role: str) -> bool:
        return self.server.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}' AND rolcanlogin") != []  # noqa: S608

    def fill(self, job: Json, pod: str, *statements: str) -> None:
        """Fills the shadow as the worker does: with a password from the Job's seed, as the attempt's role."""
        names = attempt_names(pod)
        wait_for(f"the gate of {pod}", lambda: self.gate_is_open(names.role))
        volumes = {volume["name"]: volume for volume in job["spec"]["template"]["spec"]["volumes"]}
        secret = self.cluster.get(api_paths.core(NAMESPACE, "secrets", volumes["seed"]["secret"]["secretName"]))
        seed = base64.b64decode(secret["data"][SECRET_KEY_SEED])
        with self.server.connect(names.database, names.role, attempt_password(seed, pod)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def as_owner(self, preview: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """Connects as the preview's owner, with the `uri` of the connection Secret."""
        name = wait_for(f"{preview} to be ready", lambda: self.status(preview, PREVIEWS).get("connectionSecret"))
        secret = wait_for("the connection Secret", lambda: self.read_secret(name))
        return psycopg.connect(base64.b64decode(secret["data"]["uri"]).decode(), autocommit=True)

    def read_secret(self, name: str) -> Json | None:
        try:
            return self.cluster.get(api_paths.core(NAMESPACE, "secrets", name))
        except NotFound:
            return None


def pod_status(preflight: Json, main: Json, phase: str) -> Json:
    return {
        "phase": phase,
        "startTime": now(),
        "initContainerStatuses": [{"name": "preflight", "state": preflight}],
        "containerStatuses": [{"name": "import", "state": main}],
    }


def ended(result: WorkerResult, code: int) -> Json:
    message = build_termination_message(result)
    return {"terminated": {"exitCode": code, "finishedAt": now(), "message": message, "reason": "Error"}}


def running() -> Json:
    return {"running": {"startedAt": now()}}


WAITING: Json = {"waiting": {"reason": "PodInitializing"}}


PASSED = a_result("preflight", preflight=a_preflight(source=a_source(extensions=[])))

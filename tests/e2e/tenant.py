"""A Project as its user handles it: creates previews and imports, waits for them, reads what they report."""

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.postgres_pods import EMBEDDED, Postgres, Source, login, namespace_manifest, secret_manifest
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import LABEL_IMPORT_UID, attempt_names, replaced_names

API_VERSION = "capydb.dev/v1alpha1"
PROJECTS, PREVIEWS, IMPORTS = ("projects.capydb.dev", "previewdatabases.capydb.dev", "postgresimports.capydb.dev")
SCHEDULES = "postgresimportschedules.capydb.dev"
TERMINAL = ("completed", "failed", "cancelled")

# Generous, because a dozen imports may run at once on two cores.
READY_SECONDS = 90
END_SECONDS = 240

KEPT = "CREATE TABLE kept (id integer PRIMARY KEY, note text); INSERT INTO kept VALUES (1, 'mine'), (2, 'mine too');"
KEPT_ROWS = [["1", "mine"], ["2", "mine too"]]


def state_of(body: Manifest) -> str | None:
    state: str | None = body.get("status", {}).get("state")
    return state


def condition_of(body: Manifest, kind: str = "Ready") -> Manifest:
    """Returns the condition of this type, or an empty object."""
    conditions = body.get("status", {}).get("conditions", ())
    return next((condition for condition in conditions if condition["type"] == kind), {})


def reason_of(body: Manifest) -> str | None:
    reason: str | None = condition_of(body).get("reason")
    return reason


def is_over(body: Manifest) -> bool:
    """Tells whether an import is terminal and cleaned up."""
    return state_of(body) in TERMINAL and body["status"].get("cleanedUp") is True


def is_copying(body: Manifest) -> bool:
    """Tells whether rows are being copied into the shadow."""
    status = body.get("status", {})
    return state_of(body) == "running" and status.get("progress", {}).get("phase") == "data"


@dataclass(frozen=True)
class Tenant:
    """A Project with its namespace and target server."""

    name: str
    source: Source = field(repr=False)
    server: Postgres = EMBEDDED

    @property
    def uid(self) -> str:
        return str(kubectl.get(PROJECTS, self.name)["metadata"]["uid"])

    # --- create ----------------------------------------------------------------------------------------------

    def make_secrets(self, urls: Mapping[str, str]) -> None:
        """Creates a Secret for each name, with its source URL."""
        kubectl.create(*(secret_manifest(self.name, name, {"url": url}) for name, url in urls.items()))

    def preview_manifest(self, name: str, **spec: Any) -> Manifest:
        metadata = {"name": name, "namespace": self.name}
        body = {"project": self.name, **spec}
        return {"apiVersion": API_VERSION, "kind": "PreviewDatabase", "metadata": metadata, "spec": body}

    def import_manifest(self, name: str, secret: str, target: str | None, **spec: Any) -> Manifest:
        body: Manifest = {"project": self.name, "source": {"urlSecretRef": {"name": secret, "key": "url"}}}
        if target is not None:
            body["target"] = {"previewDatabase": target}
        metadata = {"name": name, "namespace": self.name}
        return {
            "apiVersion": API_VERSION,
            "kind": "PostgresImport",
            "metadata": metadata,
            "spec": body | spec,
        }

    def schedule_manifest(self, name: str, secret: str, target: str, **spec: Any) -> Manifest:
        """Builds a schedule with a time in each minute, whose imports replace the target's data."""
        template = self.import_manifest(name, secret, target, recreate=True)["spec"]
        return {
            "apiVersion": API_VERSION,
            "kind": "PostgresImportSchedule",
            "metadata": {"name": name, "namespace": self.name},
            "spec": {"schedule": "* * * * *", "importTemplate": template} | spec,
        }

    def make_previews(self, *names: str, **spec: Any) -> None:
        """Creates previews and waits until all of them are ready."""
        kubectl.create(*(self.preview_manifest(name, **spec) for name in names))
        self.wait(PREVIEWS, names, lambda body: state_of(body) == "ready", "ready", READY_SECONDS)

    def make_kept_previews(self, *names: str) -> None:
        """Creates previews in which the owner has created the table `kept`, with two rows."""
        self.make_previews(*names)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda name: self.log_in(name, KEPT), names))

    def start(self, name: str, secret: str, target: str | None, **spec: Any) -> None:
        kubectl.create(self.import_manifest(name, secret, target, **spec))

    def change(self, name: str, **spec: Any) -> None:
        """Changes the spec of an import."""
        kubectl.merge_patch(IMPORTS, name, self.name, {"spec": spec})

    def change_preview(self, name: str, **spec: Any) -> None:
        kubectl.merge_patch(PREVIEWS, name, self.name, {"spec": spec})

    def delete(self, *names: str, wait: bool = True) -> None:
        """Deletes imports."""
        kubectl.delete(IMPORTS, *names, namespace=self.name, wait=wait)

    # --- wait ---------------------------------------------------------------------------------------------

    def wait(
        self, kind: str, names: Sequence[str], condition: Callable[[Manifest], bool], what: str, seconds: float
    ) -> dict[str, Manifest]:
        """Waits until the condition holds for each object; the error describes all of them."""
        if not names:
            return {}

        def observe() -> dict[str, Manifest] | None:
            bodies = {body["metadata"]["name"]: body for body in kubectl.list_objects(kind, self.name)}
            chosen = {name: bodies[name] for name in names if name in bodies}
            return chosen if len(chosen) == len(names) and all(map(condition, chosen.values())) else None

        def describe() -> str:
            return "\n\n".join(self.describe(kind, name) for name in names)

        return kubectl.wait_until(observe, f"{', '.join(names)} {what}", seconds, describe)

    def wait_until_over(self, *names: str, seconds: float = END_SECONDS) -> dict[str, Manifest]:
        return self.wait(IMPORTS, names, is_over, "over and cleaned up", seconds)

    def wait_for_end(self, name: str, state: str, seconds: float = END_SECONDS) -> Manifest:
        """Waits until an import is over, and checks that it ended in this state."""
        body = self.wait_until_over(name, seconds=seconds)[name]
        assert state_of(body) == state, self.describe(IMPORTS, name)
        return body

    def wait_until_copying(self, name: str) -> Manifest:
        return self.wait(IMPORTS, (name,), is_copying, "copies its rows", END_SECONDS)[name]

    def disturb(self, actions: Mapping[str, Callable[[Manifest], object]]) -> dict[str, Manifest]:
        """Calls each import's action as soon as its rows are being copied; returns the imports as they were then."""
        bodies: dict[str, Manifest] = {}

        def observe() -> bool:
            for body in kubectl.list_objects(IMPORTS, self.name):
                name = body["metadata"]["name"]
                if name in actions and name not in bodies and is_copying(body):
                    bodies[name] = body
                    actions[name](body)
            return bodies.keys() == actions.keys()

        def describe() -> str:
            return "\n\n".join(self.describe(IMPORTS, name) for name in actions if name not in bodies)

        kubectl.wait_until(observe, f"{', '.join(actions)} copy their rows", END_SECONDS, describe)
        return bodies

    def wait_for_reason(self, name: str, reason: str, seconds: float = READY_SECONDS) -> Manifest:
        return self.wait(IMPORTS, (name,), lambda body: reason_of(body) == reason, f"is {reason}", seconds)[name]

    # --- read -----------------------------------------------------------------------------------------------

    def get(self, name: str) -> Manifest:
        """Returns an import."""
        return kubectl.get(IMPORTS, name, self.name)

    def preview(self, name: str) -> Manifest:
        return kubectl.get(PREVIEWS, name, self.name)

    def database(self, preview: str) -> str:
        return str(self.preview(preview)["status"]["database"])

    def connection(self, preview: str) -> dict[str, str]:
        """Returns the decoded connection Secret of a preview."""
        return read_secret(self.name, self.preview(preview)["status"]["connectionSecret"])

    def log_in(self, preview: str, text: str) -> list[list[str]]:
        """Runs a script as the preview's owner and returns its rows."""
        return login(self.source, self.connection(preview), text)

    def kept_rows(self, preview: str) -> list[list[str]]:
        return self.log_in(preview, "SELECT id, note FROM kept ORDER BY id")

    def tables(self, preview: str) -> list[str]:
        """Lists the tables in the schema public of a preview, as its owner sees them."""
        rows = self.log_in(preview, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [row[0] for row in rows]

    def jobs(self, uid: str) -> list[Manifest]:
        return kubectl.list_objects("jobs", self.name, f"{LABEL_IMPORT_UID}={uid}")

    def pods(self, uid: str) -> list[Manifest]:
        return kubectl.list_objects("pods", self.name, f"{LABEL_IMPORT_UID}={uid}")

    def leftovers(self, body: Manifest) -> list[str]:
        """Lists what a terminal import must clean up: databases and roles of its attempts, Secrets, running pods."""
        uid = body["metadata"]["uid"]
        secrets = kubectl.list_objects("secrets", self.name, f"{LABEL_IMPORT_UID}={uid}")
        running = [pod for pod in self.pods(uid) if pod["status"]["phase"] in ("Pending", "Running")]
        return [
            *self.attempts_on_server(body),
            *(f"Secret {secret['metadata']['name']}" for secret in secrets),
            *(f"pod {pod['metadata']['name']}" for pod in running),
        ]

    def attempts_on_server(self, body: Manifest) -> list[str]:
        """Lists databases and roles of an import's attempts, by their names and by their marks."""
        uid = body["metadata"]["uid"]
        attempts = body.get("status", {}).get("attemptHistory", [])
        pod_uids = {attempt["podUID"] for attempt in attempts} | {pod["metadata"]["uid"] for pod in self.pods(uid)}
        return self.find_on_server([name for pod_uid in pod_uids for name in _names_of_attempt(pod_uid)], uid)

    def find_on_server(self, names: Sequence[str], import_uid: str) -> list[str]:
        """Lists databases and roles that have one of these names or the import's mark."""
        rows = self.server.query(
            """
            SELECT 'database ' || datname FROM pg_database
            WHERE datname = ANY (string_to_array(:'names', ','))
               OR position(:'uid' IN coalesce(shobj_description(oid, 'pg_database'), '')) > 0
            UNION ALL
            SELECT 'role ' || rolname FROM pg_roles
            WHERE rolname = ANY (string_to_array(:'names', ','))
               OR position(:'uid' IN coalesce(shobj_description(oid, 'pg_authid'), '')) > 0
            """,
            names=",".join(names),
            uid=import_uid,
        )
        return [row[0] for row in rows]

    def assert_nothing_left(self, body: Manifest, seconds: float = 20) -> None:
        """Waits until nothing of an import is left; a pod needs a moment to end."""
        name = body["metadata"]["name"]
        deadline = time.monotonic() + seconds
        while leftovers := self.leftovers(body):
            assert time.monotonic() < deadline, f"{leftovers}\n{self.describe(IMPORTS, name)}"
            time.sleep(kubectl.POLL_SECONDS)

    def describe(self, kind: str, name: str) -> str:
        """Describes an object for an error message: its status, its pods with their logs, and the operator's log."""
        body = kubectl.find(kind, name, self.name)
        if body is None:
            return f"{kind} {name}: not there"
        parts = [f"{kind} {name}: {json.dumps(body.get('status'), indent=1)}"]
        for pod in self.pods(body["metadata"]["uid"]):
            parts.append(f"pod {pod['metadata']['name']}: {json.dumps(pod['status'].get('containerStatuses'))}")
            parts.append(kubectl.logs(self.name, pod["metadata"]["name"], "--tail=40"))
        parts.append(operator_logs(name))
        return "\n".join(parts)


def _names_of_attempt(pod_uid: str) -> list[str]:
    names = attempt_names(pod_uid)
    old = replaced_names(names.database)
    return [*{names.database, names.role, old.database, old.role}]


# --- the operator and the Project -------------------------------------------------------------------------------------


def operator_pods() -> list[Manifest]:
    return kubectl.list_objects("pods", EMBEDDED.namespace, "app.kubernetes.io/component=operator")


def operator_logs(about: str) -> str:
    """Returns the last 25 lines of the operator's log that contain a text, and its last 10 lines."""
    lines = [
        line
        for pod in operator_pods()
        for line in kubectl.logs(EMBEDDED.namespace, pod["metadata"]["name"], "--tail=2000").splitlines()
    ]
    return "\n".join(["log of the operator:", *[line for line in lines if about in line][-25:], "…", *lines[-10:]])


def read_secret(namespace: str, name: str) -> dict[str, str]:
    """Returns the decoded values of a Secret."""
    data: Mapping[str, str] = kubectl.get("secret", name, namespace).get("data", {})
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}


def make_tenant(name: str, source: Source, **spec: Any) -> Tenant:
    """Creates a Project and its namespace, both with this name, and waits until the Project is ready.

    `spec` overrides fields of the Project's spec.
    """
    body: Manifest = {
        "organizationID": "e2e",
        "namespace": name,
        "server": describe_trial_server(f"pgimport-server.{EMBEDDED.namespace}.svc"),
        "sources": {"allowedHosts": [f"*.{source.server.namespace}.svc.cluster.local"]},
        "limits": {"maxConcurrentImports": 50},
    }
    start_project(name, body | spec)
    server = Postgres(source.server.namespace, source.server.pod) if "server" in spec else EMBEDDED
    return Tenant(name, source, server)


def describe_trial_server(host: str) -> Manifest:
    """Builds spec.server of a Project for the trial server, under this name or address."""
    return {
        "clusterID": "embedded",
        "host": host,
        "port": 5432,
        "adminSecretRef": {"name": "pgimport-server-admin"},
        "sslmode": "disable",
    }


def start_project(name: str, spec: Manifest) -> None:
    """Creates a Project and its namespace, both with this name, and waits until the Project is ready."""
    project = {"apiVersion": API_VERSION, "kind": "Project", "metadata": {"name": name}, "spec": spec}
    kubectl.apply(namespace_manifest(name), project)

    def is_ready() -> bool:
        return bool(kubectl.get(PROJECTS, name).get("status", {}).get("ready"))

    kubectl.wait_until(
        is_ready,
        f"Project {name} is ready",
        READY_SECONDS,
        lambda: f"{json.dumps(kubectl.get(PROJECTS, name), indent=1)}\n{operator_logs(name)}",
    )


def remove_tenant(name: str) -> None:
    """Deletes schedules, imports, previews, Project and namespace, in the order in which each finds what it needs."""
    if kubectl.find("namespace", name) is not None:
        for kind in (SCHEDULES, IMPORTS, PREVIEWS):  # hundreds, at most
            kubectl.run("delete", kind, "--all", "--namespace", name, "--timeout=560s")
    kubectl.delete(PROJECTS, name)
    kubectl.delete("namespace", name, wait=False)

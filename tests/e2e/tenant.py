"""What a person does with a Project: make previews and imports, wait for them, look at what they say."""

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
TERMINAL = ("completed", "failed", "cancelled")

# Generous: the machine may have two cores and a dozen imports at once.
READY_SECONDS = 90
END_SECONDS = 240

KEPT = "CREATE TABLE kept (id integer PRIMARY KEY, note text); INSERT INTO kept VALUES (1, 'mine'), (2, 'mine too');"
KEPT_ROWS = [["1", "mine"], ["2", "mine too"]]


def state_of(body: Manifest) -> str | None:
    state: str | None = body.get("status", {}).get("state")
    return state


def condition_of(body: Manifest, kind: str = "Ready") -> Manifest:
    """Empty where there is none."""
    found = body.get("status", {}).get("conditions", ())
    return next((one for one in found if one["type"] == kind), {})


def reason_of(body: Manifest) -> str | None:
    reason: str | None = condition_of(body).get("reason")
    return reason


def is_over(body: Manifest) -> bool:
    """Terminal, and nothing of it is left to be cleaned up."""
    return state_of(body) in TERMINAL and body["status"].get("cleanedUp") is True


def is_copying(body: Manifest) -> bool:
    """Rows are on their way into the shadow database."""
    status = body.get("status", {})
    return state_of(body) == "running" and status.get("progress", {}).get("phase") == "data"


@dataclass(frozen=True)
class Tenant:
    """A Project, its namespace and its target server."""

    name: str
    source: Source = field(repr=False)
    server: Postgres = EMBEDDED

    @property
    def uid(self) -> str:
        return str(kubectl.get(PROJECTS, self.name)["metadata"]["uid"])

    # --- making ----------------------------------------------------------------------------------------------

    def make_secrets(self, urls: Mapping[str, str]) -> None:
        """Name → the source URL it holds."""
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

    def make_previews(self, *names: str, **spec: Any) -> None:
        """And waits until all of them are ready."""
        kubectl.create(*(self.preview_manifest(name, **spec) for name in names))
        self.wait(PREVIEWS, names, lambda body: state_of(body) == "ready", "ready", READY_SECONDS)

    def make_kept_previews(self, *names: str) -> None:
        """Previews whose owners have made a table with two rows in them."""
        self.make_previews(*names)
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda name: self.log_in(name, KEPT), names))

    def start(self, name: str, secret: str, target: str | None, **spec: Any) -> None:
        kubectl.create(self.import_manifest(name, secret, target, **spec))

    def change(self, name: str, **spec: Any) -> None:
        """Of an import."""
        kubectl.merge_patch(IMPORTS, name, self.name, {"spec": spec})

    def change_preview(self, name: str, **spec: Any) -> None:
        kubectl.merge_patch(PREVIEWS, name, self.name, {"spec": spec})

    def delete(self, *names: str, wait: bool = True) -> None:
        """Imports."""
        kubectl.delete(IMPORTS, *names, namespace=self.name, wait=wait)

    # --- waiting ---------------------------------------------------------------------------------------------

    def wait(
        self, kind: str, names: Sequence[str], condition: Callable[[Manifest], bool], what: str, seconds: float
    ) -> dict[str, Manifest]:
        """Until the condition holds for each of them; says how they stand where it does not."""

        def look() -> dict[str, Manifest] | None:
            found = {one["metadata"]["name"]: one for one in kubectl.list_objects(kind, self.name)}
            wanted = {name: found[name] for name in names if name in found}
            return wanted if len(wanted) == len(names) and all(map(condition, wanted.values())) else None

        def tell() -> str:
            return "\n\n".join(self.describe(kind, name) for name in names)

        return kubectl.wait_until(look, f"{', '.join(names)} {what}", seconds, tell)

    def wait_until_over(self, *names: str, seconds: float = END_SECONDS) -> dict[str, Manifest]:
        return self.wait(IMPORTS, names, is_over, "over and cleaned up", seconds)

    def wait_for_end(self, name: str, state: str, seconds: float = END_SECONDS) -> Manifest:
        """Over, and in this state."""
        body = self.wait_until_over(name, seconds=seconds)[name]
        assert state_of(body) == state, self.describe(IMPORTS, name)
        return body

    def wait_until_copying(self, name: str) -> Manifest:
        return self.wait(IMPORTS, (name,), is_copying, "copies its rows", END_SECONDS)[name]

    def disturb(self, acts: Mapping[str, Callable[[Manifest], object]]) -> dict[str, Manifest]:
        """Each import's act as soon as its rows are on their way; what each looked like at that moment."""
        bodies: dict[str, Manifest] = {}

        def look() -> bool:
            for body in kubectl.list_objects(IMPORTS, self.name):
                name = body["metadata"]["name"]
                if name in acts and name not in bodies and is_copying(body):
                    bodies[name] = body
                    acts[name](body)
            return bodies.keys() == acts.keys()

        def tell() -> str:
            return "\n\n".join(self.describe(IMPORTS, name) for name in acts if name not in bodies)

        kubectl.wait_until(look, f"{', '.join(acts)} copy their rows", END_SECONDS, tell)
        return bodies

    def wait_for_reason(self, name: str, reason: str, seconds: float = READY_SECONDS) -> Manifest:
        return self.wait(IMPORTS, (name,), lambda body: reason_of(body) == reason, f"is {reason}", seconds)[name]

    # --- looking ---------------------------------------------------------------------------------------------

    def get(self, name: str) -> Manifest:
        """An import."""
        return kubectl.get(IMPORTS, name, self.name)

    def preview(self, name: str) -> Manifest:
        return kubectl.get(PREVIEWS, name, self.name)

    def database(self, preview: str) -> str:
        return str(self.preview(preview)["status"]["database"])

    def connection(self, preview: str) -> dict[str, str]:
        """The connection Secret, decoded."""
        return read_secret(self.name, self.preview(preview)["status"]["connectionSecret"])

    def log_in(self, preview: str, text: str) -> list[list[str]]:
        """Rows of a script that the preview's owner runs."""
        return login(self.source, self.connection(preview), text)

    def kept_rows(self, preview: str) -> list[list[str]]:
        return self.log_in(preview, "SELECT id, note FROM kept ORDER BY id")

    def tables(self, preview: str) -> list[str]:
        """Names of the tables in its schema public, as the owner sees them."""
        rows = self.log_in(preview, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [row[0] for row in rows]

    def jobs(self, uid: str) -> list[Manifest]:
        return kubectl.list_objects("jobs", self.name, f"{LABEL_IMPORT_UID}={uid}")

    def pods(self, uid: str) -> list[Manifest]:
        return kubectl.list_objects("pods", self.name, f"{LABEL_IMPORT_UID}={uid}")

    def leftovers(self, body: Manifest) -> list[str]:
        """What a terminal import should not have left: databases and roles of its attempts, Secrets, running pods."""
        uid = body["metadata"]["uid"]
        found = self.attempts_on_server(body)
        secrets = kubectl.list_objects("secrets", self.name, f"{LABEL_IMPORT_UID}={uid}")
        found += [f"Secret {one['metadata']['name']}" for one in secrets]
        running = [pod for pod in self.pods(uid) if pod["status"]["phase"] in ("Pending", "Running")]
        return found + [f"pod {one['metadata']['name']}" for one in running]

    def attempts_on_server(self, body: Manifest) -> list[str]:
        """Databases and roles of an import's attempts, by their names and by their mark."""
        uid = body["metadata"]["uid"]
        attempts = body.get("status", {}).get("attemptHistory", [])
        uids = {one["podUID"] for one in attempts} | {pod["metadata"]["uid"] for pod in self.pods(uid)}
        return self.find_on_server([name for one in uids for name in _names_of_attempt(one)], uid)

    def find_on_server(self, names: Sequence[str], import_uid: str) -> list[str]:
        """Databases and roles of these names, or that carry the import's mark."""
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
        """A pod that was told to end needs a moment."""
        name = body["metadata"]["name"]
        deadline = time.monotonic() + seconds
        while found := self.leftovers(body):
            assert time.monotonic() < deadline, f"{found}\n{self.describe(IMPORTS, name)}"
            time.sleep(kubectl.POLL_SECONDS)

    def describe(self, kind: str, name: str) -> str:
        """All that may say why something is not as it should be."""
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


# --- what surrounds a tenant -------------------------------------------------------------------------------------


def operator_pods() -> list[Manifest]:
    return kubectl.list_objects("pods", EMBEDDED.namespace, "app.kubernetes.io/component=operator")


def operator_logs(about: str) -> str:
    """The last lines of the operator's log that name it, and its last ones in any case."""
    lines = [
        line
        for pod in operator_pods()
        for line in kubectl.logs(EMBEDDED.namespace, pod["metadata"]["name"], "--tail=2000").splitlines()
    ]
    return "\n".join(["the operator:", *[line for line in lines if about in line][-25:], "…", *lines[-10:]])


def read_secret(namespace: str, name: str) -> dict[str, str]:
    """Decoded by the client, so that no value is an argument of anything."""
    data: Mapping[str, str] = kubectl.get("secret", name, namespace).get("data", {})
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}


def make_tenant(name: str, source: Source, **spec: Any) -> Tenant:
    """Namespace and Project of one name; waits until the Project is ready. Secrets of all databases of the source."""
    body: Manifest = {
        "organizationID": "e2e",
        "namespace": name,
        "server": {
            "clusterID": "embedded",
            "host": f"pgimport-server.{EMBEDDED.namespace}.svc",
            "port": 5432,
            "adminSecretRef": {"name": "pgimport-server-admin"},
            "sslmode": "disable",
        },
        "sources": {"allowedHosts": [f"*.{source.server.namespace}.svc.cluster.local"]},
        "limits": {"maxConcurrentImports": 50},
    }
    start_project(name, body | spec)
    server = Postgres(source.server.namespace, source.server.pod) if "server" in spec else EMBEDDED
    return Tenant(name, source, server)


def start_project(name: str, spec: Manifest) -> None:
    """With its namespace; waits until it is ready."""
    project = {"apiVersion": API_VERSION, "kind": "Project", "metadata": {"name": name}, "spec": spec}
    kubectl.apply(namespace_manifest(name), project)

    def ready() -> bool:
        return bool(kubectl.get(PROJECTS, name).get("status", {}).get("ready"))

    kubectl.wait_until(
        ready, f"Project {name} is ready", READY_SECONDS,
        lambda: f"{json.dumps(kubectl.get(PROJECTS, name), indent=1)}\n{operator_logs(name)}",
    )  # fmt: skip


def remove_tenant(name: str) -> None:
    """Imports, previews, Project, namespace: in the order in which each finds what it needs."""
    if kubectl.find("namespace", name) is not None:
        for kind in (IMPORTS, PREVIEWS):  # hundreds, at most
            kubectl.run("delete", kind, "--all", "--namespace", name, "--timeout=280s", seconds=300)
    kubectl.delete(PROJECTS, name)
    kubectl.delete("namespace", name, wait=False)

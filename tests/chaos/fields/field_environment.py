"""Provides Projects and previews for the changes of fields, and waits until objects settle."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from tests.chaos.fields.api_client import ApiClient
from tests.chaos.fields.crd_schema import Json
from tests.chaos.fields.field_changes import Change
from tests.chaos.fields.sample_values import CA_SECRET, PROJECT, SCRIPT, SOURCE_SECRET
from tests.chaos.fields.verdicts import Inspector, find_status_problem, is_at_rest
from tests.e2e.postgres_pods import ADMIN_SECRET, SYSTEM_NAMESPACE, Source, namespace_manifest, secret_manifest
from tests.e2e.tenant import API_VERSION, Tenant, make_tenant, read_secret, remove_tenant
from tests.support import kubectl

from pgimport.model.names import LABEL_QUEUE

DATABASE = "small"
SETTLE_SECONDS = 40  # resolving an unknown host name alone may take ten
STABLE_SECONDS = 0.4
POLL_SECONDS = 0.5
PROJECTS, PREVIEWS = 4, 12
# No queue controller admits Jobs of this queue, so an import has its Job, claim and Secret, but no pod.
QUEUE = {LABEL_QUEUE: "nobody-admits"}


@dataclass(frozen=True)
class FieldEnvironment:
    """What all trials share."""

    api: ApiClient
    tenant: Tenant
    inspector: Inspector
    projects: "SimpleQueue[str]"  # free ones; a trial borrows one
    previews: "SimpleQueue[str]"

    def settle(self, kind: str, name: str, reasons: Sequence[str], change: Change | None = None) -> tuple[Json, str]:
        """Wait until the object has no problem for a moment; return it. After a timeout, return its problem too."""
        namespace = "" if kind == "Project" else PROJECT
        deadline, since = time.monotonic() + SETTLE_SECONDS, time.monotonic()
        before: object = None
        while True:
            body = self.api.get(kind, namespace, name)
            assert body is not None, f"{kind} {name} is gone"
            problem = find_status_problem(body, reasons, change)
            problem = problem or ("" if is_at_rest(body) else "it ended and is not cleaned up")
            problem = problem or self.inspector.find_problem(body)
            now = time.monotonic()
            observed = (body["status"].get("conditions"), problem)
            if observed != before:
                before, since = observed, now
            elif not problem and now - since >= STABLE_SECONDS:
                return body, ""
            if now > deadline:
                return body, problem or "it does not settle"
            time.sleep(POLL_SECONDS)

    def read_job_spec(self, body: Json) -> str:
        """Return the spec of an import's Job as text, without names and uids, so that two imports can be compared."""
        metadata = body["metadata"]
        texts = []
        for job in self.inspector.list_jobs(body):
            spec = {name: value for name, value in job["spec"].items() if name != "selector"}
            text = json.dumps({**spec, "template": spec["template"]["spec"]}, sort_keys=True)
            texts.append(text.replace(job["metadata"]["name"], "JOB").replace(metadata["uid"], "UID"))
        return "".join(texts).replace(metadata["name"], "NAME")


@contextmanager
def open_field_environment(source: Source) -> Iterator[FieldEnvironment]:
    """Create everything. What an interrupted run has left is removed first."""
    _clear()
    tenant = make_tenant(PROJECT, source, limits={"maxConcurrentImports": 1000})
    kubectl.create(
        secret_manifest(PROJECT, SOURCE_SECRET, {"url": source.url(DATABASE)}),
        secret_manifest(PROJECT, CA_SECRET, {"ca.crt": "none"}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": SCRIPT, "namespace": PROJECT},
            "data": {"mask.sql": "SELECT 1"},
        },
        *(namespace_manifest(name) for name in _list_projects()),
    )
    previews = [f"preview-{number}" for number in range(PREVIEWS)]
    tenant.make_previews(*previews)
    kubectl.create(*(build_project_manifest(name, build_project_spec(name)) for name in _list_projects()))
    projects: SimpleQueue[str] = SimpleQueue()
    free_previews: SimpleQueue[str] = SimpleQueue()
    for name in _list_projects():
        projects.put(name)
    for name in previews:
        free_previews.put(name)
    secrets = (source.password, read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)["password"])
    api = ApiClient()
    try:
        yield FieldEnvironment(api, tenant, Inspector(api, secrets), projects, free_previews)
    finally:
        _clear()


def _list_projects() -> list[str]:
    return [f"{PROJECT}-{number}" for number in range(PROJECTS)]


def _clear() -> None:
    remove_tenant(PROJECT)
    for name in _list_projects():
        kubectl.delete("projects.capydb.dev", name)
    kubectl.delete("namespace", PROJECT, *_list_projects())


def build_project_spec(namespace: str) -> Json:
    """Build a spec with the required fields only."""
    return {
        "organizationID": "chaos",
        "namespace": namespace,
        "server": {
            "clusterID": "embedded",
            "host": f"pgimport-server.{SYSTEM_NAMESPACE}.svc",
            "adminSecretRef": {"name": ADMIN_SECRET},
        },
    }


def build_project_manifest(name: str, spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": "Project", "metadata": {"name": name}, "spec": spec}


def build_import_spec(preview: str) -> Json:
    """Build a spec with the required fields only."""
    return {
        "project": PROJECT,
        "source": {"urlSecretRef": {"name": SOURCE_SECRET, "key": "url"}},
        "target": {"previewDatabase": preview},
    }


def build_schedule_spec() -> Json:
    """Build a spec with the required fields only. It creates no import before the next 29 February."""
    return {"schedule": "0 0 29 2 *", "importTemplate": build_import_spec("held")}


def build_manifest(kind: str, name: str, spec: Json, labels: dict[str, str] | None = None) -> Json:
    metadata = {"name": name, "namespace": PROJECT, "labels": labels or {}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

"""Where fields are changed: Projects with namespaces of their own, previews to import into; how objects settle."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from tests.chaos.fields.api_client import Api
from tests.chaos.fields.crd_schema import Json
from tests.chaos.fields.field_changes import Change
from tests.chaos.fields.sample_values import CA_SECRET, PROJECT, SCRIPT, SOURCE_SECRET
from tests.chaos.fields.verdicts import Witness, is_over, judge_status
from tests.e2e.postgres_pods import ADMIN_SECRET, SYSTEM_NAMESPACE, Source, namespace_manifest, secret_manifest
from tests.e2e.tenant import API_VERSION, Tenant, make_tenant, read_secret, remove_tenant
from tests.support import kubectl

from pgimport.model.names import LABEL_QUEUE

DATABASE = "small"
SETTLE_SECONDS = 40  # a name that no DNS server knows may take one ten
STABLE_SECONDS = 0.4
POLL_SECONDS = 0.5
PROJECT_LANES, IMPORT_LANES = 4, 12
# Nobody admits Jobs of this queue: an import has its Job, its claim and its Secret, and no pod.
QUEUE = {LABEL_QUEUE: "nobody-admits"}


@dataclass(frozen=True)
class Stage:
    """What all trials share."""

    api: Api
    tenant: Tenant
    witness: Witness
    projects: "SimpleQueue[str]"  # each is one trial's at a time
    previews: "SimpleQueue[str]"

    def settle(self, kind: str, name: str, reasons: Sequence[str], change: Change | None = None) -> tuple[Json, str]:
        """As the object stands once nothing is wrong with it any more, or what still is when the time is over."""
        namespace = "" if kind == "Project" else PROJECT
        deadline, since = time.monotonic() + SETTLE_SECONDS, time.monotonic()
        before: object = None
        while True:
            body = self.api.get(kind, namespace, name)
            assert body is not None, f"{kind} {name} is gone"
            said = judge_status(body, reasons, change)
            said = said or ("" if is_over(body) else "it ended and is not cleaned up")
            said = said or self.witness.judge(body)
            now = time.monotonic()
            shown = (body["status"].get("conditions"), said)
            if shown != before:
                before, since = shown, now
            elif not said and now - since >= STABLE_SECONDS:
                return body, ""
            if now > deadline:
                return body, said or "it does not come to rest"
            time.sleep(POLL_SECONDS)

    def effect(self, body: Json) -> str:
        """What the operator made of an import's spec: its Job, without what names it."""
        meta = body["metadata"]
        texts = []
        for job in self.witness.jobs(body):
            spec = {name: value for name, value in job["spec"].items() if name != "selector"}
            text = json.dumps({**spec, "template": spec["template"]["spec"]}, sort_keys=True)
            texts.append(text.replace(job["metadata"]["name"], "JOB").replace(meta["uid"], "UID"))
        return "".join(texts).replace(meta["name"], "NAME")


@contextmanager
def open_fields(source: Source) -> Iterator[Stage]:
    """What an interrupted run left is taken away first."""
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
        *(namespace_manifest(name) for name in _lane_projects()),
    )
    previews = [f"lane-{number}" for number in range(IMPORT_LANES)]
    tenant.make_previews(*previews)
    kubectl.create(*(project_manifest(name, project_spec(name)) for name in _lane_projects()))
    projects: SimpleQueue[str] = SimpleQueue()
    lanes: SimpleQueue[str] = SimpleQueue()
    for name in _lane_projects():
        projects.put(name)
    for name in previews:
        lanes.put(name)
    secrets = (source.password, read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)["password"])
    api = Api()
    try:
        yield Stage(api, tenant, Witness(api, secrets), projects, lanes)
    finally:
        _clear()


def _lane_projects() -> list[str]:
    return [f"{PROJECT}-{number}" for number in range(PROJECT_LANES)]


def _clear() -> None:
    remove_tenant(PROJECT)
    for name in _lane_projects():
        kubectl.delete("projects.capydb.dev", name)
    kubectl.delete("namespace", PROJECT, *_lane_projects())


def project_spec(namespace: str) -> Json:
    """As small as it can be."""
    return {
        "organizationID": "chaos",
        "namespace": namespace,
        "server": {
            "clusterID": "embedded",
            "host": f"pgimport-server.{SYSTEM_NAMESPACE}.svc",
            "adminSecretRef": {"name": ADMIN_SECRET},
        },
    }


def project_manifest(name: str, spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": "Project", "metadata": {"name": name}, "spec": spec}


def import_spec(preview: str) -> Json:
    """As small as it can be."""
    return {
        "project": PROJECT,
        "source": {"urlSecretRef": {"name": SOURCE_SECRET, "key": "url"}},
        "target": {"previewDatabase": preview},
    }


def manifest(kind: str, name: str, spec: Json, labels: dict[str, str] | None = None) -> Json:
    metadata = {"name": name, "namespace": PROJECT, "labels": labels or {}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

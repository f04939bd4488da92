"""Creates thousands of imports without running them: ended ones, ones whose pods never start, and waiting ones."""

import base64
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.custom_resources import parse_import, parse_preview, read_preview, read_project
from pgimport.kubernetes_client.jobs import read_job
from pgimport.kubernetes_client.pods import list_pods
from pgimport.manifest.metadata import build_owner_reference
from pgimport.manifest.pod_security import CONTAINER_SECURITY, POD_SECURITY
from pgimport.manifest.secrets import build_connection_secret
from pgimport.model.names import (
    API_VERSION,
    FINALIZER_PREVIEW,
    IMPORTS,
    LABEL_IMPORT,
    LABEL_IMPORT_UID,
    PREVIEWS,
    job_name,
)
from pgimport.model.policy import Policy
from pgimport.model.reasons import RetryClassification
from pgimport.model.resources import ImportObject, ObjectMeta, ProjectObject
from pgimport.model.result import CheckStatus, PreflightCheck, PreflightReport, SkippedObject
from pgimport.model.scalar_types import format_time
from pgimport.model.status import (
    Attempt,
    Condition,
    ConditionStatus,
    ImportState,
    ImportStatus,
    PreviewState,
    PreviewStatus,
)
from pgimport.model.termination_message import TAIL_LIMIT
from pgimport.reconcile.server_credentials import CONNECTION_KEYS

THREADS = 8
ABSENT = "absent"  # a Secret that does not exist
ATTEMPTS, CHECKS, SKIPPED = 3, 12, 20
SENTENCE = 'could not execute query: ERROR: relation "public.orders" does not exist at character 15. '
TAIL = (SENTENCE * 20)[:TAIL_LIMIT]


@dataclass(frozen=True)
class ImportFactory:
    """Creates objects of one Project, whose namespace has its name."""

    cluster: KubernetesClient
    project: str

    def create_ended(self, count: int) -> list[str]:
        """Creates imports that have failed and are cleaned up, with a status of the usual size. Returns their names."""
        status = build_ended_status().to_json()

        def create(number: int) -> str:
            body = self._create(IMPORTS, f"ended-{number:05}", self._import_spec("none", ABSENT))
            self._write_status(IMPORTS, body, status | {"id": f"{self.project}.{body['metadata']['name']}"})
            return str(body["metadata"]["name"])

        return in_parallel(create, range(count))

    def create_running(self, count: int) -> list[str]:
        """Creates running imports, each with its preview, Job and a pod that a scheduling gate holds back for ever.

        The Job controller leaves their Jobs alone, because of `managedBy`. Returns their names.
        """

        project = read_project(self.cluster, self.project)

        def create(number: int) -> str:
            name = f"running-{number:05}"
            body = self._create(
                IMPORTS, name, self._import_spec(name, ABSENT) | {"startTimeout": "24h", "timeout": "48h"}
            )
            item = parse_import(body)
            self._create_ready_preview(name, item.meta.uid)
            self._create_job(item.meta)
            self._write_status(IMPORTS, body, self._decide_status(item, project).to_json())
            return name

        return in_parallel(create, range(count))

    def create_waiting(self, names: Iterable[str]) -> None:
        """Creates imports that wait for a Secret each."""
        in_parallel(lambda name: self.create_import(name, f"{ABSENT}-{name}", name), names)

    def create_import(self, name: str, secret: str, preview: str) -> None:
        self._create(IMPORTS, name, self._import_spec(preview, secret))

    def create_preview(self, name: str) -> Json:
        return self._create(PREVIEWS, name, {"project": self.project})

    def change(self, names: Iterable[str], **spec: Any) -> None:
        """Changes the spec of imports."""
        in_parallel(lambda name: self.cluster.patch(self._path(IMPORTS, name), {"spec": spec}), names)

    def make_old(self, names: Iterable[str]) -> None:
        """Lets the statuses of imports look as if they had last changed an hour ago."""
        hour_ago = format_time(_now() - timedelta(hours=1))
        change = {"status": {"updatedAt": hour_ago}}
        in_parallel(lambda name: self.cluster.patch(f"{self._path(IMPORTS, name)}/status", change), names)

    def wait_until_current(self, names: Iterable[str], act: Callable[[], None], seconds: int) -> None:
        """Calls `act`, and waits until each of these imports gets a status of its newest generation.

        A watch tells it: reading thousands of imports again and again would keep the API server busy. Raises
        TimeoutError.
        """
        outdated = set(names)
        version = self.cluster.get(self._path(IMPORTS), limit="1")["metadata"]["resourceVersion"]
        for event in self.cluster.watch(self._path(IMPORTS), version, seconds, lambda _: act()):
            if event["type"] != "BOOKMARK" and is_current(event["object"]):
                outdated.discard(event["object"]["metadata"]["name"])
            if not outdated:
                return
        raise TimeoutError(f"after {seconds} s, {len(outdated)} imports have an old status")

    def has_job(self, name: str) -> bool:
        listed = self.cluster.get(api_paths.jobs(self.project), labelSelector=f"{LABEL_IMPORT}={name}")["items"]
        return bool(listed)

    def remove(self) -> None:
        """Deletes all imports, and the Jobs and pods of those that run. Previews stay."""
        for path in (self._path(IMPORTS), api_paths.jobs(self.project), api_paths.core(self.project, "pods")):
            self.cluster.delete(path)

    def _path(self, kind: str, name: str = "") -> str:
        return api_paths.resource(kind, self.project, name)

    def _create(self, kind: str, name: str, spec: Json, **meta: Any) -> Json:
        body = {
            "apiVersion": API_VERSION,
            "kind": "PostgresImport" if kind == IMPORTS else "PreviewDatabase",
            "metadata": {"name": name, "namespace": self.project, **meta},
            "spec": spec,
        }
        return self.cluster.create(self._path(kind), body)

    def _write_status(self, kind: str, body: Json, status: Json) -> None:
        self.cluster.patch(f"{self._path(kind, body['metadata']['name'])}/status", {"status": status})

    def _import_spec(self, preview: str, secret: str) -> Json:
        return {
            "project": self.project,
            "source": {"urlSecretRef": {"name": secret, "key": "url"}},
            "target": {"previewDatabase": preview},
        }

    def _create_ready_preview(self, name: str, claimant: str) -> None:
        """Creates a preview that an import has claimed. Its database does not exist."""
        body = self._create(PREVIEWS, name, {"project": self.project}, finalizers=[FINALIZER_PREVIEW])
        secret = build_connection_secret(parse_preview(body).meta)
        entries = {key: base64.b64encode(b"1").decode() for key in CONNECTION_KEYS}
        self.cluster.create(api_paths.core(self.project, "secrets"), {**secret, "data": entries})
        status = PreviewStatus(
            state=PreviewState.READY,
            database=name,
            role=name,
            connection_secret=secret["metadata"]["name"],
            active_import=claimant,
            active_import_name=name,
            observed_generation=1,
            conditions=[_condition("Ready", "Ready")],
        )
        self._write_status(PREVIEWS, body, status.to_json())

    def _decide_status(self, item: ImportObject, project: ProjectObject | None) -> ImportStatus:
        """Builds the status as the operator wrote it an hour ago, so that its first look has nothing to change."""
        meta, at = item.meta, _now() - timedelta(hours=1)
        begun = ImportStatus(state=ImportState.RUNNING, started_at=at, job=job_name(meta.name, meta.uid))
        observed = ObservedImport(
            object=replace(item, status=begun),
            observed_since=at,
            project=project,
            preview=read_preview(self.cluster, self.project, meta.name),
            job=read_job(self.cluster, self.project, job_name(meta.name, meta.uid), meta.uid),
            pods=tuple(list_pods(self.cluster, self.project, meta.uid)),
        )
        decision = decide_import(observed, at, Policy(operator_namespace="unused"))
        return decision.status.model_copy(update={"updated_at": at})

    def _create_job(self, owner: ObjectMeta) -> None:
        """Creates the Job of an import, and a pod of the same name."""
        name = job_name(owner.name, owner.uid)
        labels = {LABEL_IMPORT: owner.name, LABEL_IMPORT_UID: owner.uid}
        meta = {"name": name, "namespace": self.project, "labels": labels}
        pod = {
            "restartPolicy": "Never",
            "schedulingGates": [{"name": "bench.capydb.dev/never"}],
            "securityContext": POD_SECURITY,
            "initContainers": [{"name": "preflight", "image": "none", "securityContext": CONTAINER_SECURITY}],
            "containers": [{"name": "import", "image": "none", "securityContext": CONTAINER_SECURITY}],
        }
        spec = {"managedBy": "bench.capydb.dev/none", "template": {"metadata": {"labels": labels}, "spec": pod}}
        reference = build_owner_reference("PostgresImport", owner)
        body = {"metadata": meta | {"ownerReferences": [reference]}, "spec": spec}
        job = self.cluster.create(api_paths.jobs(self.project), {"apiVersion": "batch/v1", "kind": "Job", **body})
        controller: Json = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "controller": True}
        body = {"metadata": meta | {"ownerReferences": [controller | {"uid": job["metadata"]["uid"]}]}, "spec": pod}
        self.cluster.create(api_paths.core(self.project, "pods"), {"apiVersion": "v1", "kind": "Pod", **body})


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def _condition(kind: str, reason: str, status: ConditionStatus = ConditionStatus.TRUE) -> Condition:
    return Condition(
        type=kind, status=status, reason=reason, message=SENTENCE, last_transition_time=_now(), observed_generation=1
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def is_current(body: Json) -> bool:
    """Tells whether an object's status is that of its newest generation."""
    return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])


def build_ended_status() -> ImportStatus:
    """Builds the status of an import that failed after three attempts, with all that it usually shows."""
    attempts = [
        Attempt(
            number=number,
            pod=f"pgi-ended-{number}",
            pod_uid=f"00000000-0000-0000-0000-00000000000{number}",
            started_at=_now(),
            ended_at=_now(),
            exit_code=1,
            reason="RestoreFailed",
            error=SENTENCE,
            hint=SENTENCE,
            last_stdout=TAIL,
            last_stderr=TAIL,
            retry_classification=RetryClassification.TRANSIENT,
            cleaned_up=True,
        )
        for number in range(1, ATTEMPTS + 1)
    ]
    checks = [
        PreflightCheck(name=f"check_number_{number}", status=CheckStatus.PASS, detail=SENTENCE)
        for number in range(CHECKS)
    ]
    skipped = [SkippedObject(object=f"TABLE public.table_{number}", reason=SENTENCE) for number in range(SKIPPED)]
    return ImportStatus(
        state=ImportState.FAILED,
        observed_generation=1,
        started_at=_now() - timedelta(minutes=5),
        completed_at=_now(),
        updated_at=_now(),
        cleaned_up=True,
        attempts=ATTEMPTS,
        attempt_history=attempts,
        preflight=PreflightReport(checks=checks, ok=True, skipped=skipped),
        skipped=SKIPPED,
        skipped_objects=skipped,
        error=SENTENCE,
        last_stdout=TAIL,
        last_stderr=TAIL,
        conditions=[
            _condition("Ready", "RestoreFailed", ConditionStatus.FALSE),
            _condition("Stalled", "RestoreFailed"),
            _condition("Succeeded", "RestoreFailed", ConditionStatus.FALSE),
            _condition("Finished", "RestoreFailed"),
        ],
    )

"""Builders of plain values for tests: a good one of each kind, and keyword arguments for what a test is about.

All of them belong together: import `debian` of project `shop`, into preview `pr-42`, in namespace `shop`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from pgimport.decide.conditions import stalled, with_conditions
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview, ObservedProject, ObservedSchedule
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import (
    FINALIZER_PREVIEW,
    attempt_names,
    connection_secret_name,
    job_name,
    owner_role_name,
    preview_database_name,
)
from pgimport.model.observations import (
    ObservedContainer,
    ObservedJob,
    ObservedPod,
    ObservedServer,
    ObservedSwap,
    ObservedWorkload,
)
from pgimport.model.policy import Policy
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, ObjectMeta, PreviewObject, ProjectObject, ScheduleObject
from pgimport.model.result import (
    CheckStatus,
    FailureReport,
    PreflightCheck,
    PreflightReport,
    SourceExtension,
    SourceInfo,
    Verification,
    WorkerResult,
)
from pgimport.model.schedule_spec import ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import (
    Attempt,
    ImportPhase,
    ImportState,
    ImportStatus,
    PreviewState,
    PreviewStatus,
    Progress,
    Shadow,
)

BORN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NOW = BORN + timedelta(minutes=10)
PROJECT, NAMESPACE, PREVIEW, IMPORT = "shop", "shop", "pr-42", "debian"
SCHEDULE, SCHEDULE_UID = "nightly", "schedule-uid"
IMPORT_UID, PREVIEW_UID, PROJECT_UID, JOB_UID, POD_UID = (
    "import-uid",
    "preview-uid",
    "project-uid",
    "job-uid",
    "pod-uid-1",
)
DATABASE = preview_database_name(PROJECT, PREVIEW, PREVIEW_UID)


def _merge(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return given | changes


def a_policy(**changes: Any) -> Policy:
    return Policy(**_merge({"operator_namespace": "pgimport", "worker_images": {"17": "registry/worker:17"}}, changes))


def a_meta(name: str = IMPORT, uid: str = IMPORT_UID, **changes: Any) -> ObjectMeta:
    given: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resource_version": "7",
        "generation": 1,
        "created_at": BORN,
    }
    return ObjectMeta(**(given | changes))


def an_import_spec(**changes: Any) -> ImportSpec:
    """Builds a spec.

    Fields have the names of the resource, as in `an_import_spec(maxAttempts=1)`; None removes a field.
    """
    given: dict[str, Any] = {
        "project": PROJECT,
        "source": {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": PREVIEW},
    }
    return ImportSpec.model_validate({key: value for key, value in (given | changes).items() if value is not None})


def an_import(spec: ImportSpec | None = None, status: ImportStatus | None = None, **meta: Any) -> ImportObject:
    return ImportObject(
        meta=a_meta(**meta), spec=spec or an_import_spec(), status=status or ImportStatus(observed_generation=-1)
    )


def a_running_status(**changes: Any) -> ImportStatus:
    """Builds the status of an import whose Job exists."""
    given: dict[str, Any] = {
        "state": ImportState.RUNNING,
        "started_at": BORN,
        "job": job_name(IMPORT, IMPORT_UID),
        "locked_resource": f"preview/{PROJECT}/{PREVIEW}",
        "progress": Progress(phase=ImportPhase.PREFLIGHT, percent=0, at=BORN),
    }
    return ImportStatus(**(given | changes))


def a_shadow(pod_uid: str = POD_UID, **changes: Any) -> Shadow:
    names = attempt_names(pod_uid)
    return Shadow(**_merge({"pod_uid": pod_uid, "database": names.database, "role": names.role}, changes))


def a_project_spec(**changes: Any) -> ProjectSpec:
    given: dict[str, Any] = {
        "organizationID": "capy",
        "namespace": NAMESPACE,
        "server": {"clusterID": "eu-1", "host": "pg.internal", "adminSecretRef": {"name": "admin"}},
    }
    return ProjectSpec.model_validate(given | changes)


def a_project(spec: ProjectSpec | None = None, status: ProjectStatus | None = None, **meta: Any) -> ProjectObject:
    return ProjectObject(
        meta=a_meta(**_merge({"name": PROJECT, "uid": PROJECT_UID, "namespace": ""}, meta)),
        spec=spec or a_project_spec(),
        status=status or ProjectStatus(ready=True, target_version="17.12"),
    )


def a_preview_spec(**changes: Any) -> PreviewSpec:
    return PreviewSpec.model_validate({"project": PROJECT} | changes)


def a_ready_status(**changes: Any) -> PreviewStatus:
    given: dict[str, Any] = {
        "state": PreviewState.READY,
        "database": DATABASE,
        "role": owner_role_name(DATABASE),
        "connection_secret": connection_secret_name(PREVIEW),
    }
    return PreviewStatus(**(given | changes))


def a_failing_status(state: PreviewState, message: str, reason: Reason = Reason.LIMIT_REACHED) -> PreviewStatus:
    """Builds the status of a preview without a database, whose condition says why."""
    failing = PreviewStatus(state=state, observed_generation=1)
    return with_conditions(failing, stalled(reason, message), BORN)


def a_preview(spec: PreviewSpec | None = None, status: PreviewStatus | None = None, **meta: Any) -> PreviewObject:
    """Builds a ready preview with the operator's finalizer."""
    return PreviewObject(
        meta=a_meta(**_merge({"name": PREVIEW, "uid": PREVIEW_UID, "finalizers": (FINALIZER_PREVIEW,)}, meta)),
        spec=spec or a_preview_spec(),
        status=status or a_ready_status(),
    )


def a_schedule_spec(**changes: Any) -> ScheduleSpec:
    """Builds the spec of a schedule that imports every night. Fields have the names of the resource."""
    template = {
        "project": PROJECT,
        "source": {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": PREVIEW},
        "recreate": True,
    }
    return ScheduleSpec.model_validate({"schedule": "0 2 * * *", "importTemplate": template} | changes)


def a_schedule(spec: ScheduleSpec | None = None, status: ScheduleStatus | None = None, **meta: Any) -> ScheduleObject:
    return ScheduleObject(
        meta=a_meta(**_merge({"name": SCHEDULE, "uid": SCHEDULE_UID}, meta)),
        spec=spec or a_schedule_spec(),
        status=status or ScheduleStatus(observed_generation=-1),
    )


def observed_schedule(
    spec: ScheduleSpec | None = None, status: ScheduleStatus | None = None, **changes: Any
) -> ObservedSchedule:
    """Builds an observation of a schedule whose Project exists. `meta` holds changes of the metadata."""
    meta = changes.pop("meta", {})
    golden = a_preview(a_preview_spec(golden=True), a_ready_status(expires_at=None))
    given: dict[str, Any] = {"object": a_schedule(spec, status, **meta), "project": a_project(), "target": golden}
    return ObservedSchedule(**(given | changes))


def a_server(**changes: Any) -> ObservedServer:
    return ObservedServer(**_merge({"version": "17.12", "version_num": 170012}, changes))


def a_job(**changes: Any) -> ObservedJob:
    given: dict[str, Any] = {
        "name": job_name(IMPORT, IMPORT_UID),
        "uid": JOB_UID,
        "ours": True,
        "created_at": BORN,
    }
    return ObservedJob(**(given | changes))


def a_workload(**changes: Any) -> ObservedWorkload:
    given: dict[str, Any] = {
        "name": f"job-{job_name(IMPORT, IMPORT_UID)}-1a2b3",
        "message": "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default",
    }
    return ObservedWorkload(**(given | changes))


def a_source(**changes: Any) -> SourceInfo:
    given: dict[str, Any] = {
        "server_version": "17.5",
        "server_version_num": 170005,
        "database_size_bytes": 8_000_000,
        "extensions": [SourceExtension(name="citext", version="1.6", schema_name="public")],
    }
    return SourceInfo(**(given | changes))


def a_preflight(**changes: Any) -> PreflightReport:
    given: dict[str, Any] = {
        "checks": [PreflightCheck(name="source_reachable", status=CheckStatus.PASS, detail="it answers")],
        "ok": True,
        "source": a_source(),
        "target_version": "17.12",
    }
    return PreflightReport(**(given | changes))


def a_result(step: str = "import", **changes: Any) -> WorkerResult:
    given: dict[str, Any] = {"step": step, "ok": True}
    given |= (
        {"preflight": a_preflight()} if step == "preflight" else {"verification": Verification(verified=True, tables=2)}
    )
    return WorkerResult(**(given | changes))


def a_failed_result(reason: Reason, message: str = "it went wrong", step: str = "import") -> WorkerResult:
    return WorkerResult(step=step, ok=False, failure=FailureReport(reason=reason, message=message))  # type: ignore[arg-type]


def a_container(name: str, **changes: Any) -> ObservedContainer:
    return ObservedContainer(**_merge({"name": name}, changes))


def passed_preflight(at: datetime = BORN) -> ObservedContainer:
    return a_container("preflight", exit_code=0, ended_at=at, ended_reason="Completed", result=a_result("preflight"))


def a_pod(uid: str = POD_UID, **changes: Any) -> ObservedPod:
    """Builds a pod whose preflight runs and whose main container waits."""
    given: dict[str, Any] = {
        "name": f"pod-{uid}",
        "uid": uid,
        "job_uid": JOB_UID,
        "created_at": BORN,
        "phase": "Pending",
        "started_at": BORN,
        "preflight": a_container("preflight", running_since=BORN),
        "import_": a_container("import", waiting_reason="PodInitializing"),
    }
    return ObservedPod(**(given | changes))


def a_copying_pod(uid: str = POD_UID, **changes: Any) -> ObservedPod:
    """Builds a pod whose preflight has passed and whose main container runs."""
    given: dict[str, Any] = {
        "phase": "Running",
        "preflight": passed_preflight(),
        "import_": a_container("import", running_since=BORN),
    }
    return a_pod(uid, **(given | changes))


def a_finished_pod(uid: str = POD_UID, at: datetime = NOW, **changes: Any) -> ObservedPod:
    """Builds a pod whose import succeeded."""
    ended = a_container("import", exit_code=0, ended_at=at, ended_reason="Completed", result=a_result())
    return a_copying_pod(uid, **_merge({"phase": "Succeeded", "import_": ended}, changes))


def a_failed_pod(uid: str = POD_UID, reason: Reason = Reason.SOURCE_UNREACHABLE, **changes: Any) -> ObservedPod:
    """Builds a pod whose main container failed and reported the reason."""
    ended = a_container(
        "import",
        exit_code=Failure(reason, "").exit_code,
        ended_at=NOW - timedelta(seconds=5),
        ended_reason="Error",
        result=a_failed_result(reason),
    )
    return a_copying_pod(uid, **_merge({"phase": "Failed", "import_": ended}, changes))


def an_attempt(uid: str = POD_UID, number: int = 1, **changes: Any) -> Attempt:
    return Attempt(**_merge({"number": number, "pod": f"pod-{uid}", "pod_uid": uid, "started_at": BORN}, changes))


def a_swap(**changes: Any) -> ObservedSwap:
    """Builds a swap before it has begun: shadow and target exist."""
    return ObservedSwap(**_merge({"target_oid": 100, "shadow_oid": 200}, changes))


def observed_import(
    spec: ImportSpec | None = None, status: ImportStatus | None = None, **changes: Any
) -> ObservedImport:
    """Builds the observation of a pending import, with everything that it needs. `meta={…}` changes its metadata."""
    meta = changes.pop("meta", {})
    given: dict[str, Any] = {
        "object": an_import(spec, status, **meta),
        "observed_since": BORN - timedelta(hours=1),
        "project": a_project(),
        "preview": a_preview(),
    }
    return ObservedImport(**(given | changes))


def observed_running_import(
    spec: ImportSpec | None = None, status: ImportStatus | None = None, **changes: Any
) -> ObservedImport:
    """Builds the observation of a running import: its Job exists, it has claimed its target, its first pod runs
    preflight.
    """
    given: dict[str, Any] = {
        "preview": a_preview(status=a_ready_status(active_import=IMPORT_UID)),
        "job": a_job(),
        "pods": (a_pod(),),
    }
    return observed_import(spec, status or a_running_status(), **(given | changes))


def observed_preview(
    spec: PreviewSpec | None = None, status: PreviewStatus | None = None, **changes: Any
) -> ObservedPreview:
    meta = changes.pop("meta", {})
    given: dict[str, Any] = {"object": a_preview(spec, status, **meta), "project": a_project()}
    return ObservedPreview(**(given | changes))


def observed_project(
    spec: ProjectSpec | None = None, status: ProjectStatus | None = None, **changes: Any
) -> ObservedProject:
    meta = changes.pop("meta", {})
    given: dict[str, Any] = {
        "object": a_project(spec, status, **meta),
        "server": a_server(),
        "namespace_exists": True,
    }
    return ObservedProject(**(given | changes))

"""Builds objects of all kinds as the API server stores them in each of their states.

Every status is the result of a decision of the operator, so the objects cannot differ from real ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tests.decide.simulation import Simulation
from tests.support.samples import (
    BORN,
    IMPORT,
    NAMESPACE,
    NOW,
    PREVIEW,
    PROJECT,
    SCHEDULE,
    a_job,
    a_policy,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    a_schedule,
    a_schedule_spec,
    an_import,
    an_import_spec,
    observed_import,
    observed_preview,
    observed_project,
    observed_running_import,
    observed_schedule,
)

from pgimport.decide.failures import (
    show_import_failure,
    show_preview_failure,
    show_project_failure,
    show_schedule_failure,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.schedules import decide_schedule
from pgimport.model.base_models import LenientModel, StrictModel
from pgimport.model.names import API_VERSION
from pgimport.model.observations import Unreachable
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportState, ImportStatus, PreviewState, PreviewStatus
from pgimport.schema.crd import UNOBSERVED_STATUS

Json = dict[str, Any]
POLICY = a_policy()
DAY = timedelta(hours=24)
NEW_PREVIEW, NEW_PROJECT = PreviewStatus(observed_generation=-1), ProjectStatus(observed_generation=-1)


def build_stored_object(kind: str, name: str, spec: StrictModel, status: LenientModel | None) -> Json:
    """Builds an object of generation 1; without a status, as it is stored when it is created."""
    metadata = {"name": name, "uid": f"uid-of-{name}", "generation": 1, "creationTimestamp": BORN.isoformat()}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": metadata if kind == "Project" else {**metadata, "namespace": NAMESPACE},
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": UNOBSERVED_STATUS if status is None else status.to_json(),
    }


def with_metadata(stored: Json, **changes: object) -> Json:
    return {**stored, "metadata": {**stored["metadata"], **changes}}


def being_deleted(stored: Json) -> Json:
    return with_metadata(stored, deletionTimestamp=NOW.isoformat(), deletionGracePeriodSeconds=0)


def changed(stored: Json) -> Json:
    """Returns the object after a change of its spec that the operator has not observed."""
    return with_metadata(stored, generation=2)


# --- imports ---


def export_import(simulation: Simulation) -> Json:
    spec = an_import_spec(**simulation.spec)
    return build_stored_object("PostgresImport", IMPORT, spec, simulation.status)


def _start(**spec: object) -> Simulation:
    simulation = Simulation(dict(spec))
    simulation.settle()
    simulation.pod_appears()
    simulation.settle()
    return simulation


def _copy(**spec: object) -> Simulation:
    simulation = _start(**spec)
    simulation.preflight_passes()
    simulation.settle()
    return simulation


def _fail(reason: Reason) -> Simulation:
    simulation = _copy()
    simulation.attempt_fails(reason)
    simulation.settle()
    return simulation


def _complete() -> Simulation:
    simulation = _copy()
    simulation.pod_completes()
    simulation.settle()
    return simulation


def _set(simulation: Simulation, option: str) -> Simulation:
    simulation.set_option(option, True)
    simulation.settle()
    return simulation


def _decide_waiting(**observed: Any) -> Json:
    status = decide_import(observed_import(**observed), NOW, POLICY).status
    return build_stored_object("PostgresImport", IMPORT, an_import_spec(), status)


def _decide_queued() -> Json:
    """A queue such as Kueue suspends the Job until it admits it."""
    observed = observed_running_import(job=replace(a_job(), suspended=True), pods=())
    return build_stored_object("PostgresImport", IMPORT, an_import_spec(), decide_import(observed, NOW, POLICY).status)


# --- previews and Projects ---


def _decide_preview(now: Any = NOW, **observed: Any) -> Json:
    status = decide_preview(observed_preview(**observed), now, POLICY).status
    return build_stored_object("PreviewDatabase", PREVIEW, observed.get("spec") or a_preview_spec(), status)


def _decide_project(**observed: Any) -> Json:
    status = decide_project(observed_project(**observed), NOW, POLICY).status
    return build_stored_object("Project", PROJECT, a_project_spec(), status)


def _decide_schedule(now: Any = NOW, **observed: Any) -> Json:
    status = decide_schedule(observed_schedule(**observed), now, POLICY).status
    return build_stored_object("PostgresImportSchedule", SCHEDULE, observed.get("spec") or a_schedule_spec(), status)


def _fail_schedule(seconds: int) -> Json:
    """Returns a schedule whose reconciles have failed for some seconds."""
    schedule = a_schedule()
    for now in (NOW, NOW + timedelta(seconds=seconds)):
        schedule = replace(schedule, status=show_schedule_failure(schedule, NO_ANSWER, now, POLICY).status)
    return build_stored_object("PostgresImportSchedule", SCHEDULE, a_schedule_spec(), schedule.status)


NO_ANSWER = Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached")
UNREACHABLE = Unreachable(failure=NO_ANSWER)


def _fail_repeatedly(seconds: int) -> tuple[Json, Json]:
    """Returns a preview and a Project whose reconciles have failed for some seconds."""
    preview, project = a_preview(status=NEW_PREVIEW), a_project(status=NEW_PROJECT)
    for now in (NOW, NOW + timedelta(seconds=seconds)):
        shown = show_preview_failure(preview, NO_ANSWER, now, POLICY).status
        shown_project = show_project_failure(project, NO_ANSWER, now, POLICY).status
        preview, project = replace(preview, status=shown), replace(project, status=shown_project)
    return (
        build_stored_object("PreviewDatabase", PREVIEW, a_preview_spec(), preview.status),
        build_stored_object("Project", PROJECT, a_project_spec(), project.status),
    )


def _fail_import(simulation: Simulation) -> Json:
    """Returns the import after a reconcile or a clean-up that failed."""
    item = an_import(an_import_spec(**simulation.spec), simulation.status)
    simulation.status = show_import_failure(item, NO_ANSWER, simulation.now, POLICY).status
    return export_import(simulation)


TOO_LONG = int(POLICY.preview_patience.total_seconds()) + 1
NEW_IMPORT = build_stored_object("PostgresImport", IMPORT, an_import_spec(), None)


@dataclass(frozen=True, slots=True)
class Sample:
    """One object in one state, and what each tool must say about it."""

    name: str
    build: Callable[[], Json]
    kstatus: str
    argo_cd: str

    @property
    def flux(self) -> str:
        """What Flux says with its health check expressions, which know no Terminating."""
        return "InProgress" if self.kstatus == "Terminating" else self.kstatus


def _in_progress(name: str, build: Callable[[], Json], argo_cd: str = "Progressing") -> Sample:
    return Sample(name, build, "InProgress", argo_cd)


def _current(name: str, build: Callable[[], Json]) -> Sample:
    return Sample(name, build, "Current", "Healthy")


def _failed(name: str, build: Callable[[], Json]) -> Sample:
    return Sample(name, build, "Failed", "Degraded")


def _terminating(name: str, build: Callable[[], Json]) -> Sample:
    return Sample(name, build, "Terminating", "Progressing")


IMPORTS = (
    _in_progress("import just created", lambda: NEW_IMPORT),
    _in_progress("import pending, without its Project", lambda: _decide_waiting(project=None)),
    _in_progress(
        "import pending, without its Secret",
        lambda: _decide_waiting(missing_mount=(Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")),
    ),
    _in_progress("import queued", _decide_queued),
    _in_progress("import in its preflight", lambda: export_import(_start())),
    _in_progress("import running", lambda: export_import(_copy())),
    _in_progress("import between attempts", lambda: export_import(_fail(Reason.SOURCE_UNREACHABLE))),
    _in_progress("import suspended", lambda: export_import(_set(_copy(), "suspend")), argo_cd="Suspended"),
    _in_progress("import changed", lambda: changed(export_import(_copy()))),
    _current("import completed", lambda: export_import(_complete())),
    _in_progress("import completed and changed", lambda: changed(export_import(_complete()))),
    _failed("import failed", lambda: export_import(_fail(Reason.SOURCE_AUTH_FAILED))),
    _failed("import cancelled", lambda: export_import(_set(_copy(), "cancel"))),
    _in_progress("import whose reconcile fails", lambda: _fail_import(_copy())),
    _current("completed import whose clean-up fails", lambda: _fail_import(_complete())),
    _failed("failed import whose clean-up fails", lambda: _fail_import(_fail(Reason.SOURCE_AUTH_FAILED))),
    _terminating("running import being deleted", lambda: being_deleted(export_import(_copy()))),
    _terminating("completed import being deleted", lambda: being_deleted(export_import(_complete()))),
    _terminating("new import being deleted", lambda: being_deleted(NEW_IMPORT)),
)
PREVIEWS = (
    _in_progress(
        "preview just created", lambda: build_stored_object("PreviewDatabase", PREVIEW, a_preview_spec(), None)
    ),
    _in_progress("preview pending, without its Project", lambda: _decide_preview(status=NEW_PREVIEW, project=None)),
    _in_progress("preview before its finalizer", lambda: _decide_preview(status=NEW_PREVIEW, meta={"finalizers": ()})),
    _in_progress(
        "clone at work",
        lambda: _decide_preview(
            spec=a_preview_spec(mode="clone"),
            status=NEW_PREVIEW,
            project=a_project(a_project_spec(primary={"urlSecretRef": {"name": "primary", "key": "url"}})),
        ),
    ),
    _current("preview ready", lambda: _decide_preview(status=NEW_PREVIEW)),
    _failed(
        "preview over the limit",
        lambda: _decide_preview(
            status=NEW_PREVIEW, project=a_project(a_project_spec(limits={"maxPreviews": 1})), position=2
        ),
    ),
    _failed("preview expired", lambda: _decide_preview(BORN + DAY)),
    _in_progress(
        "preview whose expiry waits for its import",
        lambda: _decide_preview(
            BORN + DAY, status=a_ready_status(active_import="import-uid"), active_import_exists=True
        ),
    ),
    _in_progress("preview whose server does not answer", lambda: _fail_repeatedly(1)[0]),
    _failed("preview whose server has not answered for long", lambda: _fail_repeatedly(TOO_LONG)[0]),
    _terminating("ready preview being deleted", lambda: being_deleted(_decide_preview(status=NEW_PREVIEW))),
    _terminating(
        "preview whose deletion waits for its import",
        lambda: being_deleted(
            _decide_preview(
                status=a_ready_status(state=PreviewState.READY, active_import="import-uid"),
                active_import_exists=True,
                meta={"deleting": True},
            )
        ),
    ),
)
PROJECTS = (
    _in_progress("Project just created", lambda: build_stored_object("Project", PROJECT, a_project_spec(), None)),
    _in_progress("Project without its namespace", lambda: _decide_project(status=NEW_PROJECT, namespace_exists=False)),
    _in_progress("Project without its server", lambda: _decide_project(status=NEW_PROJECT, server=UNREACHABLE)),
    _current("Project ready", lambda: _decide_project(status=NEW_PROJECT)),
    _failed("Project whose namespace is taken", lambda: _decide_project(namespace_owner="first")),
    _in_progress("Project whose reconcile fails", lambda: _fail_repeatedly(1)[1]),
    _failed("Project whose reconcile has failed for long", lambda: _fail_repeatedly(TOO_LONG)[1]),
    _terminating("Project being deleted", lambda: being_deleted(_decide_project(status=NEW_PROJECT))),
    _terminating(
        "Project in use being deleted", lambda: being_deleted(_decide_project(previews=2, meta={"deleting": True}))
    ),
)
FAILED_IMPORT = an_import(status=ImportStatus(state=ImportState.FAILED, error="it failed", cleaned_up=True))
SCHEDULES = (
    _in_progress(
        "schedule just created",
        lambda: build_stored_object("PostgresImportSchedule", SCHEDULE, a_schedule_spec(), None),
    ),
    _in_progress("schedule without its Project", lambda: _decide_schedule(project=None)),
    _in_progress("schedule changed", lambda: changed(_decide_schedule())),
    _current("schedule that waits for its time", lambda: _decide_schedule()),
    _current("schedule whose import is created", lambda: _decide_schedule(NOW + DAY)),
    _current("schedule whose import runs", lambda: _decide_schedule(imports=(an_import(),))),
    _current("schedule whose import has failed", lambda: _decide_schedule(imports=(FAILED_IMPORT,))),
    _current("schedule suspended", lambda: _decide_schedule(spec=a_schedule_spec(suspend=True))),
    _failed("schedule without times", lambda: _decide_schedule(spec=a_schedule_spec(schedule="0 0 30 2 *"))),
    _in_progress("schedule whose reconcile fails", lambda: _fail_schedule(1)),
    _failed("schedule whose reconcile has failed for long", lambda: _fail_schedule(TOO_LONG)),
    _terminating("schedule being deleted", lambda: being_deleted(_decide_schedule())),
)
SAMPLES = (*IMPORTS, *PREVIEWS, *PROJECTS, *SCHEDULES)

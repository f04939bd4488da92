"""The moves between an import's states: each builds the whole status, with conditions that say the same."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import Wanted, build_conditions, done, stuck, working
from pgimport.decide.decision import AT_ONCE, Action, Decision
from pgimport.decide.seen import SeenImport
from pgimport.model.facts import ImportObject, ProjectObject
from pgimport.model.names import JOB_TYPE
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.status import ImportState, ImportStatus

ERROR_LIMIT = 2000  # characters: the first real error is a sentence, its statement may be long


def begin(found: ImportObject, project: ProjectObject | None) -> ImportStatus:
    """The status as it is, with all that follows from the object and its Project."""
    if found.status.terminal:  # absorbing: only the generation moves on
        return _seen_again(found)
    spec, known = found.spec, project.spec if project else None
    target = spec.target.preview_database if spec and spec.target else None
    facts = {
        "type": JOB_TYPE,
        "id": f"{spec.project}.{found.meta.name}" if spec else found.status.id,
        "max_attempts": spec.max_attempts if spec else found.status.max_attempts,
        "attempts": found.status.attempts or 0,
        "project_id": spec.project if spec else found.status.project_id,
        "preview_database_id": f"{spec.project}.{target}" if spec and target else found.status.preview_database_id,
        "cluster_id": known.server.cluster_id if known else found.status.cluster_id,
        "organization_id": known.organization_id if known else found.status.organization_id,
        "created_at": found.meta.created_at,
        "observed_generation": found.meta.generation,
    }
    return found.status.model_copy(update=facts)


def _seen_again(found: ImportObject) -> ImportStatus:
    seen = {"observed_generation": found.meta.generation}
    conditions = [one.model_copy(update=seen) for one in found.status.conditions]
    return found.status.model_copy(update={**seen, "conditions": conditions})


def pending(
    seen: SeenImport,
    status: ImportStatus,
    reason: Reason,
    because: str,
    now: datetime,
    again: timedelta,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    wanted = status.model_copy(update={"state": ImportState.PENDING})
    return Decision(
        status=_with_conditions(seen, wanted, working(reason), because, now),
        actions=actions,
        look_again_after=again,
        because=because,
    )


def running(
    seen: SeenImport,
    status: ImportStatus,
    reason: Reason,
    because: str,
    now: datetime,
    again: timedelta | None,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    wanted = status.model_copy(update={"state": ImportState.RUNNING})
    return Decision(
        status=_with_conditions(seen, wanted, working(reason), because, now),
        actions=actions,
        look_again_after=again,
        because=because,
    )


def completed(seen: SeenImport, status: ImportStatus, because: str, now: datetime) -> Decision[ImportStatus]:
    wanted = status.model_copy(
        update={
            "state": ImportState.COMPLETED,
            "completed_at": now,
            "error": None,
            "retry_classification": None,
        }
    )
    return Decision(
        status=_with_conditions(seen, wanted, done(Reason.COMPLETED, succeeded=True), because, now),
        look_again_after=AT_ONCE,
        because=because,
    )


def failed(seen: SeenImport, status: ImportStatus, failure: Failure, now: datetime) -> Decision[ImportStatus]:
    wanted = status.model_copy(
        update={
            "state": ImportState.FAILED,
            "completed_at": now,
            "error": failure.for_a_person()[:ERROR_LIMIT],
            "retry_classification": failure.classification,
        }
    )
    return Decision(
        status=_with_conditions(seen, wanted, stuck(failure.reason, finished=True), failure.message, now),
        look_again_after=AT_ONCE,
        because=failure.message,
    )


def cancelled(seen: SeenImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    because = "cancelled as spec.cancel asks"
    wanted = status.model_copy(
        update={
            "state": ImportState.CANCELLED,
            "completed_at": now,
            "error": None,
            "retry_classification": RetryClassification.CANCELLED,
        }
    )
    return Decision(
        status=_with_conditions(seen, wanted, stuck(Reason.CANCELLED, finished=True), because, now),
        look_again_after=AT_ONCE,
        because=because,
    )


def _with_conditions(
    seen: SeenImport, status: ImportStatus, wanted: Wanted, because: str, now: datetime
) -> ImportStatus:
    found = build_conditions(seen.object.status.conditions, wanted, because, seen.object.meta.generation, now)
    return status.model_copy(update={"conditions": found})

"""The moves between an import's states: each builds the whole status, with conditions that say the same."""

from datetime import datetime, timedelta

from pgimport.decide.conditions import DesiredConditions, build_conditions, done, stuck, working
from pgimport.decide.decision import IMMEDIATELY, Action, Decision
from pgimport.decide.observed import ObservedImport
from pgimport.model.names import JOB_TYPE
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.resources import ImportObject, ProjectObject
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
    observed = {"observed_generation": found.meta.generation}
    conditions = [one.model_copy(update=observed) for one in found.status.conditions]
    return found.status.model_copy(update={**observed, "conditions": conditions})


def pending(
    observed: ObservedImport,
    status: ImportStatus,
    reason: Reason,
    message: str,
    now: datetime,
    again: timedelta,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    wanted = status.model_copy(update={"state": ImportState.PENDING})
    return Decision(
        status=_with_conditions(observed, wanted, working(reason), message, now),
        actions=actions,
        requeue_after=again,
        message=message,
    )


def running(
    observed: ObservedImport,
    status: ImportStatus,
    reason: Reason,
    message: str,
    now: datetime,
    again: timedelta | None,
    actions: tuple[Action, ...] = (),
) -> Decision[ImportStatus]:
    wanted = status.model_copy(update={"state": ImportState.RUNNING})
    return Decision(
        status=_with_conditions(observed, wanted, working(reason), message, now),
        actions=actions,
        requeue_after=again,
        message=message,
    )


def completed(observed: ObservedImport, status: ImportStatus, message: str, now: datetime) -> Decision[ImportStatus]:
    wanted = status.model_copy(
        update={
            "state": ImportState.COMPLETED,
            "completed_at": now,
            "error": None,
            "retry_classification": None,
        }
    )
    return Decision(
        status=_with_conditions(observed, wanted, done(Reason.COMPLETED, succeeded=True), message, now),
        requeue_after=IMMEDIATELY,
        message=message,
    )


def failed(observed: ObservedImport, status: ImportStatus, failure: Failure, now: datetime) -> Decision[ImportStatus]:
    wanted = status.model_copy(
        update={
            "state": ImportState.FAILED,
            "completed_at": now,
            "error": failure.format_with_hint()[:ERROR_LIMIT],
            "retry_classification": failure.classification,
        }
    )
    return Decision(
        status=_with_conditions(observed, wanted, stuck(failure.reason, finished=True), failure.message, now),
        requeue_after=IMMEDIATELY,
        message=failure.message,
    )


def cancelled(observed: ObservedImport, status: ImportStatus, now: datetime) -> Decision[ImportStatus]:
    message = "cancelled as spec.cancel asks"
    wanted = status.model_copy(
        update={
            "state": ImportState.CANCELLED,
            "completed_at": now,
            "error": None,
            "retry_classification": RetryClassification.CANCELLED,
        }
    )
    return Decision(
        status=_with_conditions(observed, wanted, stuck(Reason.CANCELLED, finished=True), message, now),
        requeue_after=IMMEDIATELY,
        message=message,
    )


def _with_conditions(
    observed: ObservedImport, status: ImportStatus, wanted: DesiredConditions, message: str, now: datetime
) -> ImportStatus:
    found = build_conditions(observed.object.status.conditions, wanted, message, observed.object.meta.generation, now)
    return status.model_copy(update={"conditions": found})
